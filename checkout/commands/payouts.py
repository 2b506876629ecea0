"""`checkout payouts`: the only way by which money can leave. Each act has a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from checkout.commands.answers import answer, facts, json_option, limit_option, moment, table, who_option
from checkout.commands.installation import opened, proven
from checkout.store import payouts as rows

#: What a person does next, by the payout's state.
NEXT: Mapping[str, str] = {
    "proposed": "A worker asks for a quote; look again with `checkout payouts show {id}`.",
    "quoted": "Approve it with `checkout payouts approve {id}`, or stop it with `checkout payouts cancel {id}`.",
    "approved": "A worker makes the transfer; look again with `checkout payouts show {id}`.",
    "transfer_created": "A worker checks the transfer; look again with `checkout payouts show {id}`.",
    "awaiting_funding": "See where to send it with `checkout payouts reveal {id}`.",
    "on_hold": "See its case with `checkout cases list`; then `checkout payouts retry {id}` or `checkout payouts cancel {id}`.",
    "needs_decision": "See its case with `checkout cases list`: find out where the funds are before anything else is sent.",
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
@who_option
@json_option
def approve(id: str, min_credit: str | None, claimed: str | None, as_json: bool) -> None:
    """Give a mandate on the displayed quote, expired or not: exactly this, to this account, for at least so much."""
    with opened() as services:
        given = services.payouts.approve(id, min_credit=min_credit, who=proven(services, claimed))
    least = f"{given['currency']} {given['min_credit']}"
    answer(
        as_json,
        given,
        facts([("payout", id), ("mandate", given["mandate"]), ("credits at least", least),
               ("valid until", moment(given["valid_until"]))]),
        _next(given),
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
@who_option
@json_option
def reveal(id: str, claimed: str | None, as_json: bool) -> None:
    """Show the deposit address. From here on somebody may pay it: send the exact amount, once."""
    with opened() as services:
        told = services.payouts.reveal(id, who=proven(services, claimed))
    document = {
        "id": told.payout_id, "asset": told.asset, "network": told.network, "amount": told.amount,
        "address": told.address, "fundable_until": told.fundable_until,
    }  # fmt: skip
    answer(
        as_json,
        document,
        facts([("send exactly", f"{told.amount} {told.asset}"), ("on", told.network), ("to", told.address),
               ("before", told.fundable_until)]),
        "Send it once. The address is for this payout alone.\n"
        f"Then: `checkout payouts funded {id} --hash HASH`; in the sandbox `checkout payouts simulate-deposit {id}`.",
    )  # fmt: skip


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
    return facts(
        [
            ("payout", shown["id"]),
            ("state", shown["state"]),
            ("sends", f"{shown['amount']} {shown['asset']} on {shown['network']}"),
            ("to", None if account is None else f"{account['name']} ({account['bank']})"),
            ("quote", None if quote is None else f"{quote['currency']} {quote['credit']} at {quote['rate']}"),
            ("fees", ", ".join(fees) or None),
            ("quote ends", None if quote is None else moment(quote["expires_at"])),
            ("transfer", None if transfer is None else f"{transfer['id']}, {transfer['status']}"),
            ("fundable until", None if transfer is None else moment(transfer["fundable_until"])),
            ("bank credit", None if credit is None else f"{credit['currency']} {credit['amount']} ({credit['is']})"),
            ("note", shown["note"] or None),
        ]
    )


def _next(shown: Mapping[str, Any]) -> str:
    return NEXT.get(shown["state"], "").format(id=shown["id"])
