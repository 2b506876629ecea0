"""`checkout trace` and `checkout report`: explanation and proof, from the stored rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from checkout.commands.answers import age, answer, facts, json_option, limit_option, moment, table
from checkout.commands.installation import opened
from checkout.commands.moments import MOMENT


@click.command(short_help="The whole line from any id.")
@click.argument("id", metavar="ID")
@json_option
def trace(id: str, as_json: bool) -> None:
    """The whole line from any id: an order, payment, session, reference, deposit, settlement record, quote, transfer, payout,
    transaction hash, refund, payment link, customer, delivery or case."""
    with opened() as services:
        found = services.report.trace(id)
    paragraphs = [_payment(one) for one in found["payments"]] + [_payout(one) for one in found["payouts"]]
    answer(as_json, found, *paragraphs)


def _payment(one: Mapping[str, Any]) -> str:
    anomalies = ", ".join(one["anomalies"]) or None
    about = [("order", one["order"]), ("asked", _money(one)), ("status", one["status"]), ("anomalies", anomalies),
             ("customer", one["customer"]), ("payment link", one["link"])]  # fmt: skip
    lines = [f"PAYMENT {one['id']}", facts(about)]
    lines += _moves(one["moves"])
    for session in one["sessions"]:
        back = f", the shopper came back {moment(session['came_back'])}" if session["came_back"] else ""
        lines.append(f"  session {session['id']}  {session['state']}, reference {session['reference'] or '-'}{back}")
    for deposit in one["deposits"]:
        role = "counted" if deposit["counted"] else "not counted"
        lines.append(f"  deposit {deposit['id']}  {deposit['stage'] or 'failed'}, {_money(deposit)}, {role}")
        lines += [f"    {line}" for line in _moves(deposit["moves"])]
        lines += [f"    {line}" for line in _postings(deposit["postings"])]
        record = deposit["settlement_record"]
        if record is not None:
            said = f"{record['received']} {record['asset']} on {record['network']}, fee {record['fee']}"
            lines.append(f"    settlement record {record['id']}  {said}, {record['kind']} by {record['by']}")
            lines.append(f"      evidence: {record['evidence']}")
            lines += [f"      {line}" for line in _postings(record["postings"])]
    for refund in one["refunds"]:
        lines.append(
            f"  refund {refund['id']}  {refund['state']}, {_money(refund)}, reference {refund['reference'] or '-'}"
        )
        lines += [f"    {line}" for line in _moves(refund["moves"])]
        lines += [f"    {line}" for line in _postings(refund["postings"])]
        lines += [f"  {line}" for line in _cases(refund["cases"])]
    for told in one["notifications"]:
        lines.append(f"  notification {told['sequence']}  {told['type']}  {told['state']}")
    return "\n".join([*lines, *_cases(one["cases"])])


def _payout(one: Mapping[str, Any]) -> str:
    credit = one["credit"]
    shown = None if credit is None else f"{credit['currency']} {credit['amount']} ({credit['is']})"
    sends = f"{one['amount']} {one['asset']} on {one['network']}"
    about = [("state", one["state"]), ("sends", sends), ("bank credit", shown), ("of", ", ".join(one["items"]))]
    lines = [f"PAYOUT {one['id']}", facts(about)]
    lines += _moves(one["moves"])
    for quote in one["quotes"]:
        refused = f", refused: {quote['refused']}" if quote["refused"] else ""
        lines.append(f"  quote {quote['id']}  {quote['currency']} {quote['credit']} at {quote['rate']}{refused}")
    for mandate in one["mandates"]:
        void = f", void: {mandate['voided']}" if mandate["voided"] else ""
        lines.append(f"  mandate {mandate['id']}  by {mandate['by']}, at least {mandate['min_credit']}{void}")
    transfer = one["transfer"]
    if transfer is not None:
        funding = transfer["funding"]
        sent = "" if funding is None else f", funded ({funding['kind']}) by {funding['by']}"
        lines.append(
            f"  transfer {transfer['id']}  {transfer['status']}, revealed by {transfer['revealed_by'] or 'nobody'}{sent}"
        )
    lines += [f"  {line}" for line in _postings(one["postings"])]
    lines += [f"  act  {moment(act['at'])}  {act['action']} by {act['who']}" for act in one["acts"]]
    return "\n".join([*lines, *_cases(one["cases"])])


def _money(one: Mapping[str, Any]) -> str:
    return one["currency"] or "-" if one["amount"] is None else f"{one['currency']} {one['amount']}"


def _moves(moves: list[dict[str, Any]]) -> list[str]:
    return [
        f"  {moment(one['at'])}  {one['from'] or '·'} → {one['to']}  ({one['cause']}, {one['who']})" for one in moves
    ]


def _postings(postings: list[dict[str, Any]]) -> list[str]:
    return [f"ledger  {one['asset']} {one['amount']}  {one['credit']} → {one['debit']}" for one in postings]


def _cases(cases: list[dict[str, Any]]) -> list[str]:
    return [
        f"  case {one['id']}  {one['kind']}, {'open' if one['open'] else 'closed'}: {one['detail']}" for one in cases
    ]


@click.group(short_help="Prove the ledger.")
def report() -> None:
    """Proofs."""


@report.command()
@json_option
@click.pass_context
def balance(ctx: click.Context, as_json: bool) -> None:
    """Prove the ledger; exit code 1 when it does not balance."""
    with opened() as services:
        found = services.report.balance()
    rows = [(one["account"], one["asset"], one["balance"]) for one in found["accounts"]]
    verdict = (
        "The ledger balances."
        if found["balanced"]
        else "THE LEDGER DOES NOT BALANCE:\n  " + "\n  ".join(found["problems"])
    )
    answer(as_json, found, table(("account", "asset", "balance"), rows, empty="Nothing is posted yet."), verdict)
    if not found["balanced"]:
        ctx.exit(1)


@report.command()
@click.option("--store", metavar="STORE", help="Only this store.")
@click.option(
    "--from", "start", type=MOMENT, metavar="TIME", help="A date (UTC) or a time. Default: 30 days before --to."
)
@click.option("--to", "end", type=MOMENT, metavar="TIME", help="Not part of the period. Default: now.")
@limit_option
@json_option
@click.pass_context
def reconcile(
    ctx: click.Context, store: str | None, start: datetime | None, end: datetime | None, limit: int, as_json: bool
) -> None:
    """What waits now, by stage and age, tied to the ledger; what moved in a period. Exit code 1 when it does not tie."""
    with opened() as services:
        found = services.reconciling.report(store, start=start, end=end, limit=limit)
    paragraphs = [text for one in found["stores"] for text in _reconciled(one)]
    verdict = "\n  ".join(["IT DOES NOT TIE TO THE LEDGER:", *found["differences"]])
    answer(as_json, found, *paragraphs, verdict if found["differences"] else "Every sum ties to the ledger.")
    if found["differences"]:
        ctx.exit(1)


def _reconciled(store: Mapping[str, Any]) -> list[str]:
    paragraphs = [f"STORE {store['name']}"]
    for stage in store["stages"]:
        if not stage["count"] and not stage["sums"]:
            continue
        title = f"{stage['stage'].replace('_', ' ')}: {stage['count']}"
        sums = [(one["asset"], one["amount"], _ages(one["by_age"])) for one in stage["sums"]]
        items = [
            (one["id"], one["state"], f"{one['amount']} {one['asset']}", age(one["age_s"]), one["about"][:60])
            for one in stage["items"]
        ]
        paragraphs.append(
            "\n".join(
                [title, table(("asset", "waits", "by age"), sums, empty="no money of ours"),
                 table(("id", "state", "amount", "for", "about"), items, empty=""), f"next: {stage['next']}"]
            )
        )  # fmt: skip
    moved = [
        (one["account"], one["asset"], one["opening"], one["received"], one["given"], one["closing"])
        for one in store["turnover"]
    ]
    heads = ("account", "asset", "opening", "received", "given", "closing")
    return [*paragraphs, table(heads, moved, empty="No account moved.")]


def _ages(by_age: Mapping[str, str]) -> str:
    return ", ".join(f"{amount} {name}" for name, amount in by_age.items()) or "-"
