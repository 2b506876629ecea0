"""`checkout refunds`: money back to shoppers. Each act has a name; no account, address or name of a shopper is ever shown."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, TextIO

import click

from checkout.app import Services
from checkout.commands.answers import answer, facts, json_option, limit_option, moment, table, who_option
from checkout.commands.installation import opened, proven
from checkout.commands.json_files import read_json
from checkout.errors import AmountRefused, NotFound, RequestRefused
from checkout.providers.withdrawal_request import DETAILS
from checkout.refunding.refund_resolving import Resolution
from checkout.refunding.refunds import NewRefund, RefundAnswer
from checkout.rules.money import parse_amount
from checkout.rules.refunds import UNSENT, RefundState
from checkout.store import payments as payment_rows
from checkout.store import refunds as rows
from checkout.store.moves import cases_on, moves_of

#: What a person does next, by the refund's state.
NEXT: Final[Mapping[str, str]] = {
    "requested": "Let it be sent with `checkout refunds approve {id}`, or give it up with "
    "`checkout refunds resolve {id} stopped --evidence TEXT`.",
    "in_doubt": "It may have been sent after the backup that was put back: look for its order in Stable Mint's dashboard. If "
    "it was: `checkout refunds resolve {id} sent --withdrawal REF --evidence TEXT`. If not: `checkout refunds approve {id}`.",
    "approved": "A worker sends it, once; look again with `checkout refunds show {id}`.",
    "needs_details": "Give what is missing as JSON: `checkout refunds details {id} --file FILE`.",
    "needs_funding": "Bring the amount to Stable Mint, then `checkout refunds resolve {id} funded --evidence TEXT`.",
    "sending": "Stable Mint's events tell how it goes on; look again with `checkout refunds show {id}`.",
    "unknown": "It is never sent again. Ask Stable Mint with the identifiers above, then `checkout refunds resolve {id} "
    "sent|failed --evidence TEXT`.",
    "accepted": "Stable Mint's events tell how it goes on; look again with `checkout refunds show {id}`.",
}

file_option = click.option(
    "--file", "source", type=click.File("r", encoding="utf-8"), metavar="FILE",
    help=f"JSON object with some of {', '.join(DETAILS)}; `-` reads standard input.",
)  # fmt: skip


@click.group(short_help="Money back to shoppers.")
def refunds() -> None:
    """Refunds: asked for, approved by a person, sent once as a Stable Mint withdrawal, followed by its events."""


@refunds.command()
@click.argument("payment")
@click.option("--amount", required=True, metavar="X", help="In the currency that was received.")
@click.option("--currency", metavar="C", help="Default: the payment's.")
@click.option("--deposit", metavar="ID", help="Which receipt to pay it from, by id or reference, if there are several.")
@click.option("--key", metavar="KEY", help="Idempotency key: the same request under the same key is one refund.")
@file_option
@who_option
@json_option
def request(
    payment: str, amount: str, currency: str | None, deposit: str | None, key: str | None, source: TextIO | None,
    claimed: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Ask for a refund of PAYMENT and reserve its money. Nothing is sent before it is approved."""
    details = _details(source)
    with opened() as services:
        who = proven(services, claimed)
        with services.context.database.read() as unit:
            found = payment_rows.payment_by_id(unit, payment)
        if found is None:
            raise NotFound("payment", payment)
        try:
            money = parse_amount(amount, currency or found.currency)
        except AmountRefused as problem:
            raise RequestRefused({"amount": str(problem)}) from None
        wanted = NewRefund(amount=money, idempotency_key=key or uuid.uuid4().hex, deposit=deposit, details=details)
        made, _ = services.refunds.request(payment, wanted, who=who)
        document = told(services, made)
    answer(as_json, document, _summary(document), _next(document))


@refunds.command()
@click.argument("id", metavar="ID")
@file_option
@who_option
@json_option
def details(id: str, source: TextIO | None, claimed: str | None, as_json: bool) -> None:
    """Give what Stable Mint requires: the shopper's IP address, account, name, country, a text. Kept encrypted."""
    if source is None:
        raise click.UsageError("give the details with --file (personal data does not belong on a command line)")
    given = _details(source)
    with opened() as services:
        made = services.refunds.give_details(id, given, who=proven(services, claimed))
        document = told(services, made)
    answer(as_json, document, _summary(document), _next(document))


@refunds.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def approve(id: str, claimed: str | None, as_json: bool) -> None:
    """Let a worker send it: exactly this amount, to the account given, once."""
    with opened() as services:
        made = services.refunds.approve(id, who=proven(services, claimed))
        document = told(services, made)
    answer(as_json, document, _summary(document), _next(document))


@refunds.command()
@click.argument("id", metavar="ID")
@click.argument("what", type=click.Choice([one.value for one in Resolution]))
@click.option("--evidence", required=True, metavar="TEXT", help="Where you saw it, or why.")
@click.option(
    "--withdrawal",
    metavar="REF",
    help="With `sent`: Stable Mint's reference of it, by which its news finds the refund.",
)
@who_option
@json_option
def resolve(id: str, what: str, evidence: str, withdrawal: str | None, claimed: str | None, as_json: bool) -> None:
    """Say, with evidence, what became of a refund: sent, failed, funded (money was brought for it), stopped (not sent).

    Of a refund in doubt (a backup was put back in which it was not sent), `sent` says that it was, after that backup was made.
    """
    with opened() as services:
        made = services.refund_resolving.resolve(
            id, Resolution(what), evidence=evidence, withdrawal=withdrawal, who=proven(services, claimed)
        )
        document = told(services, made)
    answer(as_json, document, _summary(document), _next(document))


@refunds.command()
@click.argument("store")
@click.option("--currency", required=True, metavar="C")
@click.option(
    "--limit", metavar="X", help="So much in 24 h may be sent for the store's API without a person. Default: 0."
)
@click.option(
    "--hosted-withdrawal/--no-hosted-withdrawal", default=None,
    help="Whether the account may use /withdrawal/hosted. Its form is not documented whole: ask Stable Mint first.",
)  # fmt: skip
@who_option
@json_option
def rule(
    store: str, currency: str, limit: str | None, hosted_withdrawal: bool | None, claimed: str | None, as_json: bool
) -> None:
    """Say what STORE's own refund requests in a currency may do without a person's approval."""
    if limit is None and hosted_withdrawal is None:
        raise click.UsageError("nothing to change: give --limit or --hosted-withdrawal")
    with opened() as services:
        shown = services.refund_resolving.rule(
            store, currency=currency.upper(), limit=limit, hosted_withdrawal=hosted_withdrawal,
            who=proven(services, claimed),
        )  # fmt: skip
    answer(as_json, shown, facts([(name.replace("_", " "), value) for name, value in shown.items()]))


@refunds.command()
@click.argument("id", metavar="ID")
@json_option
def show(id: str, as_json: bool) -> None:
    """Everything about a refund but the shopper's personal data."""
    with opened() as services:
        document = told(services, services.refunds.get(id))
    moves = [(moment(one["at"]), one["from"], one["to"], one["cause"], one["who"]) for one in document["moves"]]
    cases = [(one["id"], one["kind"], "open" if one["open"] else "closed") for one in document["cases"]]
    answer(
        as_json,
        document,
        _summary(document),
        table(("at", "from", "to", "because", "who"), moves, empty=""),
        table(("case", "kind", ""), cases, empty=""),
        _next(document),
    )


@refunds.command("list")
@click.option("--store", metavar="STORE", help="Only this store's.")
@click.option("--payment", metavar="PAYMENT", help="Only this payment's.")
@click.option("--state", "states", multiple=True, type=click.Choice([one.value for one in RefundState]))
@limit_option
@json_option
def list_(store: str | None, payment: str | None, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Refunds, newest first."""
    with opened() as services:
        store_id = None if store is None else services.stores.find(store).id
        found, _ = services.refunds.page(store_id=store_id, payment_id=payment, states=states, limit=limit)
    document = [_short(one) for one in found]
    lines = [
        (one["id"], one["state"], f"{one['amount']} {one['currency']}", one["payment"], one["created_at"], one["note"])
        for one in document
    ]
    heads = ("id", "state", "amount", "payment", "created", "note")
    answer(
        as_json,
        document,
        table(heads, lines, empty="No refund; `checkout refunds request PAYMENT --amount X` asks for one."),
    )


def _details(source: TextIO | None) -> dict[str, str]:
    """The object of texts in a file; refused without a word of what is in it."""
    if source is None:
        return {}
    content = read_json(source)
    if not isinstance(content, dict):
        raise RequestRefused({"file": "it is not a JSON object"})
    return content


def _short(made: RefundAnswer) -> dict[str, Any]:
    row = made.row
    return {
        "id": row.id, "payment": row.payment_id, "order": made.payment.order_ref, "state": row.state, "status": row.state,
        "amount": row.amount.fixed(), "currency": row.currency, "deposit": row.deposit_id, "reference": row.reference,
        "requested_by": row.requested_by, "approved_by": row.approved_by,
        "in_doubt_since": row.in_doubt_since if row.refund_state in UNSENT else None, "note": row.note,
        "missing": list(made.missing), "created_at": row.created_at,
    }  # fmt: skip


def told(services: Services, made: RefundAnswer) -> dict[str, Any]:
    """The document of one refund: which details are there, never what they say."""
    row = made.row
    with services.context.database.read() as unit:
        attempt = rows.withdrawal_of(unit, row.id)
        moves, cases = moves_of(unit, row.id), cases_on(unit, row.id)
    left = services.refunds.refundable(row.payment_id)
    return {
        **_short(made),
        "to": made.account_hint,
        "details": list(made.given),
        "shopper_url": made.shopper_url,
        "still_refundable": {ident: str(money) for ident, money in left.items()},
        "withdrawal": None if attempt is None else {
            "state": attempt.state, "idempotency_key": attempt.key, "website_reference": row.website_reference,
            "first_sent_at": attempt.first_sent_at, "evidence": attempt.evidence,
        },
        "moves": [{"from": one["before"], "to": one["after"], "cause": one["cause"], "who": one["who"],
                   "at": one["at"].isoformat()} for one in moves],
        "cases": [{"id": one["id"], "kind": one["kind"], "open": one["closed_at"] is None} for one in cases],
    }  # fmt: skip


def _summary(shown: Mapping[str, Any]) -> str:
    withdrawal = shown["withdrawal"] or {}
    return facts(
        [
            ("refund", shown["id"]),
            ("state", shown["state"]),
            ("amount", f"{shown['currency']} {shown['amount']}"),
            ("of payment", f"{shown['payment']} (order {shown['order']})"),
            ("from deposit", shown["deposit"]),
            ("to", shown["to"]),
            ("missing", ", ".join(shown["missing"]) or None),
            ("approved by", shown["approved_by"]),
            ("in doubt since", shown["in_doubt_since"]),
            ("reference", shown["reference"]),
            ("idempotencyKey", withdrawal.get("idempotency_key")),
            ("websiteReference", withdrawal.get("website_reference")),
            ("sent at", withdrawal.get("first_sent_at")),
            ("the shopper's page", shown["shopper_url"]),
            (
                "still refundable",
                ", ".join(f"{money} of {ident}" for ident, money in shown["still_refundable"].items()),
            ),
            ("note", shown["note"] or None),
        ]
    )


def _next(shown: Mapping[str, Any]) -> str:
    after: str = shown["state"]
    if after == "requested" and shown["approved_by"] is not None:
        after = "approved"
    elif after == "requested" and shown["in_doubt_since"] is not None:
        after = "in_doubt"
    return NEXT.get(after, "").format(id=shown["id"])
