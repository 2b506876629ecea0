"""`checkout treasury` and `checkout deposits`: evidence that funds arrived, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import click

from checkout.commands.answers import age, answer, facts, json_option, table, typed, who_option
from checkout.commands.installation import opened, proven
from checkout.evidence_import import FILE_BYTES_MAX
from checkout.late_news import Said


@click.group(short_help="Stablecoin: arrived, free, reserved.", invoke_without_command=True)
@json_option
@click.pass_context
def treasury(ctx: click.Context, as_json: bool) -> None:
    """The merchant's stablecoin: what arrived, what is free, reserved and in transit. Without a command: of every store."""
    if ctx.invoked_subcommand is not None:
        return
    with opened() as services:
        found = [(store.name, services.treasury.overview(store.id)) for store in services.stores.all()]
    texts = ["\n\n".join([f"STORE {name}", *filter(None, _overview(one))]) for name, one in found]
    answer(as_json, [one for _, one in found], *(texts or ["There is no store yet."]))


@treasury.command()
@click.option("--store", required=True, metavar="STORE")
@click.option("--asset", required=True, metavar="A", help="USDC or USDT.")
@click.option("--network", required=True, metavar="N", help="For example polygon.")
@click.option("--amount", required=True, metavar="X", help="Exactly what arrived, in the asset.")
@click.option(
    "--fee", default="0", show_default=True, metavar="F", help="What Stable Mint kept, in the deposits' currency."
)
@click.option("--deposit", "deposits", multiple=True, required=True, metavar="ID", help="Id or reference; repeat it.")
@click.option("--evidence", required=True, metavar="TEXT", help="Where it was seen: an advice, a transaction hash.")
@who_option
@json_option
def record(
    store: str, asset: str, network: str, amount: str, fee: str, deposits: tuple[str, ...], evidence: str,
    claimed: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Enter that settled deposits arrived as an amount of stablecoin."""
    with opened() as services:
        who = proven(services, claimed)
        made = services.treasury.record(
            store, asset=asset.upper(), network=network.lower(), amount=amount, fee=fee, deposits=deposits,
            evidence=evidence, who=who,
        )  # fmt: skip
    document = {
        "id": made.id, "asset": made.received.currency, "network": network.lower(), "received": made.received.plain(),
        "free": made.free.plain(), "fee": fee, "deposits": list(made.deposits), "evidence": evidence, "by": who,
    }  # fmt: skip
    answer(
        as_json,
        document,
        facts([("settlement record", made.id), ("received", f"{made.received.plain()} {made.received.currency}"),
               ("free for payouts", f"{made.free.plain()} {made.free.currency}"), ("deposits", ", ".join(made.deposits))]),
        f"Next: `checkout payouts propose {typed(store)}`.",
    )  # fmt: skip


@treasury.command("import")
@click.argument("file", type=click.File("rb"))
@who_option
@json_option
def import_(file: BinaryIO, claimed: str | None, as_json: bool) -> None:
    """Take settlement records from a CSV file, whole or not at all.

    Its columns: key, store, asset, network, amount, fee, deposits, evidence. Deposits are ids or references with spaces between
    them; an empty fee is 0. The same line again, known by its key, changes nothing.
    """
    with opened() as services:
        who = proven(services, claimed)
        taken = services.evidence_import.file(file.read(FILE_BYTES_MAX + 1), who=who)
    new = sum(one.new for one in taken)
    rows = [(one.line, one.key, one.record, "made" if one.new else "known already") for one in taken]
    document = {
        "made": new, "known": len(taken) - new, "by": who,
        "lines": [{"line": one.line, "key": one.key, "record": one.record, "new": one.new} for one in taken],
    }  # fmt: skip
    answer(
        as_json, document, table(("line", "key", "settlement record", ""), rows, empty=""), f"{new} records were made."
    )


@treasury.command()
@click.argument("store")
@json_option
def show(store: str, as_json: bool) -> None:
    """What STORE holds, and the settled deposits that wait for evidence."""
    with opened() as services:
        found = services.treasury.overview(store)
    answer(as_json, found, *_overview(found))


def _overview(found: Mapping[str, Any]) -> list[str]:
    """What a store holds and what waits, in blocks of text."""
    held = [(one["book"].replace("_", " "), one["asset"], one["amount"]) for one in found["treasury"]]
    ages = [
        (currency, name, amount)
        for currency, by_age in found["waiting_by_age"].items()
        for name, amount in by_age.items()
    ]
    waiting = [
        (
            one["deposit"],
            one["reference"],
            f"{one['currency']} {one['amount']}",
            age(one["waiting_s"]),
            "a refund is under way" if one["refund_under_way"] else "",
        )
        for one in found["waiting_for_evidence"]
    ]
    more = found["waiting"] - len(waiting)
    return [
        table(("held", "asset", "amount"), held, empty="The treasury is empty."),
        table(("waits for evidence", "for", "amount"), ages, empty=""),
        table(("deposit", "reference", "amount", "waiting", ""), waiting, empty="No deposit waits for evidence."),
        f"{more} newer ones wait too; the sums above have them." if more else "",
        "Enter what Stable Mint delivered with `checkout treasury record`, or many at once with `checkout treasury import`."
        if waiting
        else "",
    ]


@click.group(short_help="Whose unallocated money is.")
def deposits() -> None:
    """Receipt attempts at Stable Mint: money belongs to deposits."""


@deposits.command()
@click.argument("id", metavar="ID")
@click.option("--evidence", required=True, metavar="TEXT", help="Which statement or message of Stable Mint's shows it.")
@click.option("--amount", metavar="X", help="What it brought, when no event has said so.")
@click.option("--currency", metavar="C", help="Of the amount, where it is not the payment's.")
@click.option("--reference", metavar="R", help="How the statement names it, where that is not the session's reference.")
@click.option("--another", is_flag=True, help="One more receipt, beside those the session is known to have.")
@who_option
@json_option
def settled(
    id: str, evidence: str, amount: str | None, currency: str | None, reference: str | None, another: bool,
    claimed: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Say that a deposit is settled whose news never came. Its own event, should it still come, changes nothing more.

    ID is a deposit, or, when no news ever came of any, its session or payment: our id or Stable Mint's reference.
    """
    with opened() as services:
        who = proven(services, claimed)
        said = Said(evidence, amount, currency, reference, another)
        found = services.late_news.settled(id, said, who=who)
    text = (
        f"Deposit {found['deposit']} ({found['reference']}) of payment {found['payment']} is settled "
        f"({found['currency']} {found['amount']}), on the word of {who}."
    )
    answer(as_json, {**found, "by": who}, text, "Next: enter what arrived for it with `checkout treasury record`.")


@deposits.command("known-as")
@click.argument("id", metavar="ID")
@click.argument("reference", metavar="REFERENCE")
@click.option("--evidence", required=True, metavar="TEXT", help="Which statement or message of Stable Mint's shows it.")
@who_option
@json_option
def known_as(id: str, reference: str, evidence: str, claimed: str | None, as_json: bool) -> None:
    """Say that Stable Mint names a deposit, entered by hand before, by REFERENCE. Its parked events are looked at again."""
    with opened() as services:
        who = proven(services, claimed)
        found = services.late_news.known_as(id, reference, evidence=evidence, who=who)
    text = f"Deposit {found['deposit']} is {found['reference']} now, on the word of {who}."
    again = f"Looked at again: {', '.join(found['events'])}." if found["events"] else ""
    answer(as_json, {**found, "by": who}, text, again)


@deposits.command()
@click.argument("id", metavar="ID")
@click.option("--evidence", required=True, metavar="TEXT", help="Why this money is yours to keep.")
@who_option
@json_option
def allocate(id: str, evidence: str, claimed: str | None, as_json: bool) -> None:
    """Say that a deposit's unallocated money (excess, duplicate, foreign) is ours after all."""
    with opened() as services:
        who = proven(services, claimed)
        services.treasury.allocate(id, evidence=evidence, who=who)
    document = {"deposit": id, "allocated_by": who, "evidence": evidence}
    answer(as_json, document, f"The unallocated money of deposit {id} is treasury now, on the word of {who}.")
