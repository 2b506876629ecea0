"""`checkout payouts`: the only way by which money can leave. Each act has a name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from checkout.commands.answers import answer, facts, json_option, limit_option, moment, table, who_option
from checkout.commands.installation import opened, proven
from checkout.errors import NotPossible
from checkout.paying_out.resolution_verbs import Said
from checkout.rules.payouts import DEAD
from checkout.rules.resolutions import Where
from checkout.store import payouts as rows

#: What a person does next, by the payout's state.
NEXT: Mapping[str, str] = {
    "proposed": "A worker asks for a quote; look again with `checkout payouts show {id}`.",
    "quoted": "Approve it with `checkout payouts approve {id}`, or stop it with `checkout payouts cancel {id}`.",
    "approved": "A worker makes the transfer; look again with `checkout payouts show {id}`.",
    "transfer_created": "A worker checks the transfer; look again with `checkout payouts show {id}`.",
    "awaiting_funding": "See where to send it with `checkout payouts reveal {id}`.",
    "on_hold": "See its case with `checkout cases list`; then `checkout payouts retry {id}` or `checkout payouts cancel {id}`.",
    "needs_decision": (
        "See its case with `checkout cases list`: find out where the funds are before anything else is sent; then say so "
        "with `checkout payouts resolve {id} …` (`checkout payouts resolve --help` has every verb)."
    ),
    "returned": "Ask Stables; then say so with `checkout payouts resolve {id} back|arrived|lost …`.",
}
#: What each verb of ``resolve`` says.
WHERE: Mapping[str, str] = {
    "arrived": "the bank shows it after all: --credit X",
    "never-sent": "it never left the treasury, which is free again",
    "back": "so much is in the treasury again: --amount X, and --cost X if some was kept on the way",
    "at-provider": "Stables has it and says so; it stays in transit",
    "lost": "nobody gives it back: a cost",
    "found": "it was seen at the address of a transfer that no longer takes it: --amount X",
    "late-funded": "the same, because it was sent after the funding window",
    "under-funded": "less was sent than asked for: --amount is all that was sent",
    "over-funded": "more was sent than asked for: --amount is all that was sent",
    "returned": "the bank sent it back to Stables: --credit X unless the credit had arrived",
    "resumed": "Stables goes on with the transfer",
}


@click.group(short_help="Money on its way to the bank.")
def payouts() -> None:
    """One Stables off-ramp each: settlement records in, one bank credit out."""


@payouts.command()
@click.argument("store")
@click.option("--account", metavar="ACCOUNT", help="Id or name of the payout account, if there are several.")
@who_option
@json_option
def propose(store: str, account: str | None, claimed: str | None, as_json: bool) -> None:
    """Reserve STORE's free treasury for one payout; prints its id."""
    with opened() as services:
        ident = services.payouts.propose(store, account_id=account, who=proven(services, claimed))
        shown = services.payouts.show(ident)
    answer(as_json, _told(shown), _summary(shown), _next(shown))


@payouts.command()
@click.argument("id", metavar="ID")
@click.option("--min-credit", metavar="X", help="Smallest bank credit to allow. Default: the quote's, less 0.5 %.")
@click.option("--valid-hours", type=click.IntRange(1, 24), help="How long it holds. Default: the policy's, or 4.")
@who_option
@json_option
def approve(id: str, min_credit: str | None, valid_hours: int | None, claimed: str | None, as_json: bool) -> None:
    """Give a mandate on the displayed quote, expired or not: exactly this, to this account, for at least so much.

    Where the store's policy asks for two people, each gives the same command with a name and secret of their own.
    """
    valid_for = None if valid_hours is None else timedelta(hours=valid_hours)
    with opened() as services:
        who = proven(services, claimed)
        given = services.payouts.approve(id, min_credit=min_credit, who=who, valid_for=valid_for)
    least = f"{given['currency']} {given['min_credit']}"
    answer(
        as_json,
        given,
        facts([("payout", id), ("mandate", given["mandate"]), ("credits at least", least),
               ("valid until", moment(given["valid_until"]))]),
        "It waits for a second person's approval." if given["waits_for_second"] else _next(given),
    )  # fmt: skip


@payouts.command()
@click.argument("account", metavar="ACCOUNT")
@click.option("--amount", metavar="X", help="In the account's asset. Default: all that is free.")
@json_option
def estimate(account: str, amount: str | None, as_json: bool) -> None:
    """What a payout to ACCOUNT (its id) would bring now, by Stables' preview. Nothing is stored or bought."""
    with opened() as services:
        told = services.price_guard.estimate(account, amount=amount)
    fees = ", ".join(f"{name} {currency} {fee}" for name, currency, fee in told["fees"])
    cost = None if told["cost"] is None else f"{told['currency']} {told['cost']} ({told['cost_percent']} %)"
    answer(
        as_json,
        told,
        facts([("sends", f"{told['sends']} {told['asset']} on {told['network']}"),
               ("credits", f"{told['currency']} {told['credit']} at {told['rate']}"), ("fees", fees or None),
               ("costs in all", cost), ("price guard", told["outside_the_guard"] or "allows it")]),
    )  # fmt: skip


@payouts.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def cancel(id: str, claimed: str | None, as_json: bool) -> None:
    """Stop a payout that has no transfer; its treasury is free again."""
    with opened() as services:
        services.payouts.cancel(id, who=proven(services, claimed))
    answer(as_json, {"id": id, "state": "cancelled"}, f"Payout {id} is cancelled; its treasury is free again.")


@payouts.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def retry(id: str, claimed: str | None, as_json: bool) -> None:
    """Start a payout on hold, without a transfer, again: standing read and quoted anew."""
    with opened() as services:
        services.payouts.retry(id, who=proven(services, claimed))
        shown = services.payouts.show(id)
    answer(as_json, _told(shown), _summary(shown), _next(shown))


@payouts.command()
@click.argument("id", metavar="ID")
@click.option("--qr", is_flag=True, help="Draw a QR code of the address.")
@click.option("--qr-svg", metavar="FILE", type=click.Path(path_type=Path), help="Write it to a new SVG file.")
@who_option
@json_option
def reveal(id: str, qr: bool, qr_svg: Path | None, claimed: str | None, as_json: bool) -> None:
    """Show the deposit address. From here on somebody may pay it: send the exact amount, once."""
    if qr_svg is not None and qr_svg.exists():
        raise click.UsageError(f"{qr_svg} is there already")  # before anything is revealed
    with opened() as services:
        told = services.payouts.reveal(id, who=proven(services, claimed))
    if qr_svg is not None:
        _write_new(qr_svg, told.qr_svg())
    document = {
        "id": told.payout_id, "asset": told.asset, "network": told.network, "network_name": told.network_name,
        "amount": told.amount, "base_units": str(told.base_units), "address": told.address,
        "address_grouped": told.address_grouped, "fundable_until": told.fundable_until,
        "seconds_left": told.seconds_left, "chain_id": told.chain_id, "contract": told.contract, "uri": told.uri,
    }  # fmt: skip
    answer(
        as_json,
        document,
        facts([("send exactly", f"{told.amount} {told.asset}"), ("on the network", f"{told.network_name} ({told.network})"),
               ("to", told.address), ("compare", told.address_grouped), ("before", told.fundable_until),
               ("time left", told.time_left), ("token contract", told.contract), ("EIP-681", told.uri)]),
        told.qr_terminal() if qr else "",
        "Send it once, from any wallet, on this network alone. The address is for this payout alone; the QR code holds\n"
        "nothing but the address. What arrives after the time is left, or in another amount, waits for a person.\n"
        f"Then: `checkout payouts funded {id} --hash HASH`; in the sandbox `checkout payouts simulate-deposit {id}`.",
    )  # fmt: skip


def _write_new(path: Path, content: bytes) -> None:
    try:
        # for the eyes of who reveals: whoever reads the file has the address
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as problem:
        raise NotPossible(f"the address is revealed, but {path} cannot be written: {problem.strerror}") from None


@payouts.command()
@click.argument("id", metavar="ID")
@click.option("--hash", "tx_hash", metavar="HASH", help="Of the transaction that sent the funds.")
@who_option
@json_option
def funded(id: str, tx_hash: str | None, claimed: str | None, as_json: bool) -> None:
    """Record that the funds were sent. The provider's own state still decides."""
    with opened() as services:
        services.payouts.funded(id, tx_hash=tx_hash, who=proven(services, claimed))
    answer(as_json, {"id": id, "hash": tx_hash}, f"Recorded. Follow it with `checkout payouts show {id}`.")


@payouts.command(
    epilog="\b\n" + "\n".join(f"{name:<13} {meaning}" for name, meaning in WHERE.items()),
)
@click.argument("id", metavar="ID")
@click.argument("where", metavar="WHERE", type=click.Choice(list(WHERE)))
@click.option("--evidence", metavar="TEXT", required=True, help="Where you saw it: a statement, a ticket, a hash.")
@click.option("--amount", metavar="X", help="Of the payout's asset.")
@click.option("--credit", metavar="X", help="In the bank account's currency, as its statement shows it.")
@click.option("--cost", metavar="X", help="Of the payout's asset: what was kept on the way back.")
@click.option("--hash", "tx_hash", metavar="HASH", help="Of the transaction it is about.")
@who_option
@json_option
def resolve(
    id: str, where: str, evidence: str, amount: str | None, credit: str | None, cost: str | None, tx_hash: str | None,
    claimed: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Record, with evidence, where the money of a payout is. It is posted, the payout moves, and its case is closed."""
    said = Said(Where(where.replace("-", "_")), evidence, amount, credit, cost, tx_hash)
    with opened() as services:
        shown = services.resolutions.say(id, said, who=proven(services, claimed))
    answer(as_json, _told(shown), _summary(shown), _next(shown))


@payouts.command("simulate-deposit")
@click.argument("id", metavar="ID")
@who_option
@json_option
def simulate_deposit(id: str, claimed: str | None, as_json: bool) -> None:
    """Sandbox only, after reveal: ask Stables' sandbox to act as if the funds had come."""
    with opened() as services:
        said = services.payouts.simulate_deposit(id, who=proven(services, claimed))
    answer(
        as_json,
        {"id": id, "result": said},
        f"{said[:1].upper()}{said[1:]}. Follow it with `checkout payouts show {id}`.",
    )


@payouts.command()
@click.argument("id", metavar="ID")
@json_option
def show(id: str, as_json: bool) -> None:
    """Everything about a payout but the address and the bank details."""
    with opened() as services:
        shown = services.payouts.show(id)
    moves = [(moment(one["at"]), one["from"], one["to"], one["cause"], one["who"]) for one in shown["moves"]]
    cases = [(one["id"], one["kind"], "open" if one["open"] else "closed") for one in shown["cases"]]
    answer(
        as_json,
        _told(shown),
        _summary(shown),
        table(("at", "from", "to", "because", "who"), moves, empty=""),
        table(("case", "kind", ""), cases, empty=""),
        _next(shown),
    )


@payouts.command("list")
@click.option("--store", metavar="STORE", help="Only this store's.")
@limit_option
@json_option
def list_(store: str | None, limit: int, as_json: bool) -> None:
    """Payouts, newest first."""
    with opened() as services:
        store_id = None if store is None else services.stores.find(store).id
        with services.context.database.read() as unit:
            found = rows.list_payouts(unit, store_id, limit=limit)
    document = [
        {
            "id": one.id, "store": one.store_id, "state": one.state, "status": one.state, "amount": one.amount.plain(),
            "asset": one.asset, "network": one.network, "note": one.note, "created_at": one.created_at,
            "created_by": one.created_by,
        }
        for one in found
    ]  # fmt: skip
    lines = [
        (one.id, one.state, f"{one.amount.plain()} {one.asset}", one.created_at, one.created_by, one.note)
        for one in found
    ]
    heads = ("id", "state", "amount", "created", "by", "note")
    answer(as_json, document, table(heads, lines, empty="No payout; `checkout payouts propose STORE` makes one."))


def _told(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The document: ``status`` is the word of the API and of notifications for the same thing."""
    return {**shown, "status": shown["state"]}


def _summary(shown: Mapping[str, Any]) -> str:
    quote, transfer, credit, account = shown["quote"], shown["transfer"], shown["credit"], shown["account"]
    fees = [] if quote is None else [f"{name} {currency} {amount}" for name, currency, amount in quote["fees"]]
    dead = shown["state"] in DEAD  # nothing of it can be funded any more, or comes to the bank
    return facts(
        [
            ("payout", shown["id"]),
            ("state", shown["state"]),
            ("sends", f"{shown['amount']} {shown['asset']} on {shown['network']}"),
            ("to", None if account is None else f"{account['name']} ({account['bank']})"),
            ("quote", None if quote is None else f"{quote['currency']} {quote['credit']} at {quote['rate']}"),
            ("fees", ", ".join(fees) or None),
            ("costs in all", None if quote is None or quote["cost"] is None else _cost(quote)),
            ("refused quotes", "; ".join(one["why"] for one in shown["refused_quotes"]) or None),
            ("quote ends", None if quote is None else moment(quote["expires_at"])),
            ("mandate", None if shown["mandate"] is None else _mandate(shown["mandate"])),
            ("transfer", None if transfer is None else f"{transfer['id']}, {transfer['status']}: {transfer['means']}"),
            ("fundable until", None if transfer is None or dead else moment(transfer["fundable_until"])),
            (
                "bank credit",
                None if credit is None or dead else f"{credit['currency']} {credit['amount']} ({credit['is']})",
            ),
            ("sent", None if transfer is None or transfer["funding"] is None else _funding(transfer["funding"])),
            ("holds", ", ".join(f"{amount} {book}" for book, amount in shown["holds"].items()) or None),
            *(("entered", _entered(one)) for one in shown["resolutions"]),
            ("note", shown["note"] or None),
        ]
    )


def _next(shown: Mapping[str, Any]) -> str:
    return NEXT.get(shown["state"], "").format(id=shown["id"])


def _cost(quote: Mapping[str, Any]) -> str:
    return f"{quote['currency']} {quote['cost']} ({quote['cost_percent']} %), by the quote's own rate and fees"


def _mandate(mandate: Mapping[str, Any]) -> str:
    second = ", waits for a second person" if mandate["waits_for_second"] else ""
    second = f" and {mandate['second_by']}" if mandate["second_by"] else second
    return f"by {mandate['by']}{second}, at least {mandate['currency']} {mandate['min_credit']}"


def _funding(sent: Mapping[str, Any]) -> str:
    return f"by {sent['by']}, {sent['hash'] or 'without a hash'} ({sent['kind']})"


def _entered(one: Mapping[str, Any]) -> str:
    return f"{one['is']} {one['amount']}, by {one['by']}: {one['evidence']}"
