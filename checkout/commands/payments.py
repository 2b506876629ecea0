"""`checkout payments`: every order's request for money, across stores."""

from __future__ import annotations

import json
from typing import Any

import click

from checkout.app import Services
from checkout.commands.answers import answer, facts, json_option, limit_option, moment, table, text
from checkout.commands.installation import opened
from checkout.errors import NotFound, NotPossible
from checkout.rules.payments import Status
from checkout.store import payments as rows
from checkout.store.records import PaymentRow
from checkout.store.tracing import subject_of


@click.group(short_help="Orders' requests for money.")
def payments() -> None:
    """One order's request for money; may need several sessions."""


@payments.command("list")
@click.option("--store", metavar="STORE", help="Only this store's.")
@click.option("--status", type=click.Choice([status.value for status in Status]))
@click.option("--order", metavar="ORDER", help="The shop's own number.")
@click.option("--starting-after", metavar="ID", help="Go on after this payment.")
@limit_option
@json_option
def list_(
    store: str | None, status: str | None, order: str | None, starting_after: str | None, limit: int, as_json: bool
) -> None:
    """Payments, newest first."""
    with opened() as services:
        store_id = None if store is None else services.stores.find(store).id
        with services.context.database.read() as unit:
            found = rows.page_of_payments(
                unit, store_id, limit=limit, after=starting_after, filters={"status": status, "order_ref": order}
            )
    lines = [
        (one.id, one.order_ref, _amount(one), one.status, ", ".join(one.anomaly_list), one.created_at) for one in found
    ]
    answer(
        as_json,
        [_shown(one) for one in found],
        table(("id", "order", "amount", "status", "anomalies", "created"), lines, empty="No payment yet."),
        f"More: `--starting-after {found[-1].id}`" if len(found) == limit else "",
    )


@payments.command()
@click.argument("id", metavar="ID")
@json_option
def show(id: str, as_json: bool) -> None:
    """One payment by its id, order number or provider reference, with its sessions, deposits and news."""
    with opened() as services:
        row = _find(services, id)
        token = services.context.sealer.open_text(row.pay_token_sealed)
        checkout_url = f"{services.settings.public_url}/pay/{token}"
        line = services.report.trace(row.id)["payments"][0]
    document = {**_shown(row), "checkout_url": checkout_url, "metadata": json.loads(row.metadata), **line}
    deposits = [
        (
            one["id"],
            one["reference"],
            one["stage"] or "failed",
            text(one["amount"]),
            "counted" if one["counted"] else "",
        )
        for one in line["deposits"]
    ]
    news = [(moment(one["at"]), one["from"], one["to"], one["cause"]) for one in line["moves"]]
    answer(
        as_json,
        document,
        facts([("id", row.id), ("order", row.order_ref), ("amount", _amount(row)), ("status", row.status),
               ("anomalies", ", ".join(row.anomaly_list) or None), ("flow", row.flow), ("created", row.created_at),
               ("expires", row.expires_at), ("checkout page", checkout_url)]),
        table(("at", "from", "to", "because"), news, empty=""),
        table(("deposit", "reference", "stage", "amount", ""), deposits, empty="No deposit yet."),
        f"The whole line to the bank: `checkout trace {row.id}`",
    )  # fmt: skip


def _find(services: Services, ident: str) -> PaymentRow:
    with services.context.database.read() as unit:
        row = rows.payment_by_id(unit, ident)
        if row is not None:
            return row
        kind, ids = subject_of(unit, ident) or ("", [])
        if kind == "payment" and len(ids) > 1:
            raise NotPossible(f"{ident!r} names several payments: {', '.join(ids)}; choose one")
        row = rows.payment_by_id(unit, ids[0]) if kind == "payment" and ids else None
    if row is None:
        raise NotFound("payment", ident)
    return row


def _amount(row: PaymentRow) -> str:
    return row.currency if row.asked is None else str(row.asked)


def _shown(row: PaymentRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "store": row.store_id,
        "status": row.status,
        "anomaly": row.anomaly_list[0] if row.anomaly_list else None,
        "anomalies": row.anomaly_list,
        "amount": None if row.asked is None else row.asked.fixed(),
        "currency": row.currency,
        "order": row.order_ref,
        "flow": row.flow,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }
