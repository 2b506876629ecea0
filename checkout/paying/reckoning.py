"""One place where a payment's standing changes: derive it from the facts, post what moved, tell whoever must know.

Called with the payment's row locked, inside the transaction that stored the new fact. Everything follows from the facts,
so news in any order, twice or late, ends the same.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from checkout.context import Context
from checkout.rules import ledger as books
from checkout.rules.payments import (
    NOTIFIED_AT_ONCE,
    NOTIFIED_BY_CLOCK,
    Anomaly,
    PaymentFacts,
    PaymentView,
    Status,
    derive,
)
from checkout.rules.refunds import less_refunds
from checkout.rules.work import (
    EXPIRY_SLACK,
    FAILED_GRACE,
    SENDER_LAST_TRY,
    SESSION_LIFE_ASSUMED,
    SILENCE,
    SILENCE_OPEN_BANKING,
)
from checkout.store import ledger, payments
from checkout.store.engine import Unit
from checkout.store.moves import WORKER, close_by_proof, open_case, record_move
from checkout.store.records import DepositRow, PaymentRow
from checkout.telling.announcing import announce, payment_data

#: What a person is asked to decide, per anomaly. ``late`` is honoured and told, nobody has to act.
CASES = {
    Anomaly.CONTRADICTION: "a deposit of this payment is both failed and accepted or settled; ask Stable Mint which is true",
    Anomaly.FOREIGN_DESTINATION: "a deposit went to a destination that is not ours; its money is not treasury",
    Anomaly.CURRENCY_MISMATCH: "money came in another currency than asked; allocate or refund it",
    Anomaly.UNDERPAID: "a deposit brought less than asked; allocate or refund it",
    Anomaly.DUPLICATE: "the order was paid more than once; allocate or refund the second deposit",
    Anomaly.OVERPAID: "a deposit brought more than asked; allocate or refund the excess",
}


def reckon(
    unit: Unit, context: Context, payment: PaymentRow, *, cause: str, now: datetime, who: str = WORKER, **learnt: Any
) -> PaymentRow:
    """Bring the payment's stored standing in line with its facts; the payment as it then stands.

    ``learnt`` are facts of the payment's own row that have just become known; they are written with its standing.
    """
    if "last_news_at" in learnt:
        _end_silence(unit, context, payment, now)
    payment = replace(payment, **learnt)
    # a deposit comes with news, in the same transaction: where there was none there is none
    deposits = [] if payment.last_news_at is None else payments.deposits_of(unit, payment.id)
    sessions = payments.sessions_of(unit, payment.id)
    facts = PaymentFacts(
        asked=payment.asked,
        deposits=[deposit.facts for deposit in deposits],
        sessions=[(session.id, session.session_state) for session in sessions],
        counted=payment.counted_deposit_id,
        expired=payment.expired_at is not None,
        cancelled=payment.cancelled_at is not None,
        currency=payment.currency,
    )
    view = derive(facts)
    for deposit in deposits:
        _place(unit, payment, deposit, counted=deposit.id == view.counted, now=now)
    standing = _store(unit, context, payment, view, cause=cause, now=now, who=who)
    payments.update_payment(unit, payment.id, **standing, **learnt)
    return replace(payment, **{name: value for name, value in standing.items() if name != "due_at"})


def _place(unit: Unit, payment: PaymentRow, deposit: DepositRow, *, counted: bool, now: datetime) -> None:
    """Post whatever takes the deposit's money from where it stands to where it belongs."""
    if deposit.settlement_record_id is not None or deposit.money is None or deposit.stage is None:
        return  # what a settlement record stands on stays where it is
    before, posted = ledger.placed(unit, deposit.id, deposit.money.currency)
    refunded = deposit.money.minor - sum(before.values()) if posted else 0
    after = less_refunds(
        books.place(deposit.facts, counted=counted, asked=payment.asked),
        held=before.get(books.Book.REFUNDS_PAYABLE, 0),
        sent=refunded,
    )
    if before == after:
        return
    # the first posting of a stage carries the stage's name, so it can exist only once; later ones re-place what is there
    settles = books.Book.ACCEPTED in before and books.Book.SETTLED in after
    name = deposit.stage if not before or settles else f"placed-{posted}"
    postings = books.shift(
        payment.store_id,
        deposit.money.currency,
        before,
        after,
        key=f"{deposit.id}/{name}",
        cause=deposit.id,
    )
    ledger.post(unit, postings, at=now)


def _store(
    unit: Unit,
    context: Context,
    payment: PaymentRow,
    view: PaymentView,
    *,
    cause: str,
    now: datetime,
    who: str,
) -> dict[str, Any]:
    """Store what follows from the standing: the move, cases, notifications. Returns the row's new values."""
    anomalies = [anomaly.value for anomaly in view.anomalies]
    moved = view.status != payment.status
    changed = moved or anomalies != payment.anomaly_list
    moves = payment.moves
    if moved:
        moves += 1
        record_move(unit, payment.id, moves, payment.status, view.status, cause=cause, who=who, at=now)
    for anomaly in view.anomalies:
        if anomaly in CASES:
            open_case(
                unit,
                context.new_id("case"),
                kind=anomaly.value,
                subject=payment.id,
                detail=CASES[anomaly],
                at=now,
            )
    kinds: list[str] = []
    notified = payment.notified_status
    if moved and view.status in NOTIFIED_AT_ONCE:
        kinds.append(NOTIFIED_AT_ONCE[view.status])
        notified = view.status
    if changed and anomalies:
        kinds.append("payment.anomaly")
    if moved and view.status not in NOTIFIED_AT_ONCE:
        notified = None
    sequence = _tell(unit, context, payment, view, kinds, now=now)
    return {
        "status": view.status.value,
        "anomalies": ",".join(anomalies),
        "counted_deposit_id": view.counted,
        "moves": moves,
        "sequence": sequence,
        "notified_status": notified,
        "updated_at": now if changed else payment.updated_at,
        "due_at": next_look(context, payment, view.status, notified, now=now),
    }


def _tell(
    unit: Unit, context: Context, payment: PaymentRow, view: PaymentView, kinds: list[str], *, now: datetime
) -> int:
    sequence = payment.sequence
    if not kinds:
        return sequence
    data = payment_data(payment, status=view.status, anomalies=[anomaly.value for anomaly in view.anomalies])
    for kind in kinds:
        sequence += 1
        announce(
            unit,
            context,
            store_id=payment.store_id,
            subject=payment.id,
            payment_id=payment.id,
            kind=kind,
            sequence=sequence,
            data=data,
            now=now,
        )
    return sequence


def tell_by_clock(unit: Unit, context: Context, payment: PaymentRow, *, now: datetime) -> None:
    """Send the notification of a status that only time makes certain (failed, expired), once."""
    status = payment.state
    if status not in NOTIFIED_BY_CLOCK or payment.notified_status == status:
        return
    view = PaymentView(status, tuple(Anomaly(one) for one in payment.anomaly_list), None)
    sequence = _tell(unit, context, payment, view, [NOTIFIED_BY_CLOCK[status]], now=now)
    payments.update_payment(unit, payment.id, sequence=sequence, notified_status=status.value)


def expires_at(context: Context, payment: PaymentRow) -> datetime:
    """When the clock may say that a payment which nobody began has expired: past the sender's last possible try."""
    end = payment.expires_at or payment.created_at + context.scaled(SESSION_LIFE_ASSUMED)
    return end + context.scaled(SENDER_LAST_TRY + EXPIRY_SLACK)


def _end_silence(unit: Unit, context: Context, payment: PaymentRow, now: datetime) -> None:
    """News has come: close the cases of silence, if there was time for any."""
    since = payment.last_news_at or payment.created_at
    shortest = min(*SILENCE.values(), *SILENCE_OPEN_BANKING.values())
    if now - since >= context.scaled(shortest):
        for stage in SILENCE:
            close_by_proof(unit, kind=f"silent_{stage}", subject=payment.id, note="the news has come", at=now)


def silent_since(context: Context, payment: PaymentRow, status: Status) -> datetime | None:
    """When silence at this stage becomes a case, by stage and payment method; None for stages that may be silent."""
    table = SILENCE_OPEN_BANKING if payment.payment_method == "OpenBanking" else SILENCE
    patience = table.get(status.value)
    if patience is None:
        return None
    return (payment.last_news_at or payment.created_at) + context.scaled(patience)


def next_look(
    context: Context, payment: PaymentRow, status: Status, notified: str | None, *, now: datetime
) -> datetime | None:
    """When the clock has to look at the payment again, or None."""
    if status in (Status.CREATED, Status.OPEN):
        return expires_at(context, payment)
    if status in NOTIFIED_BY_CLOCK:
        return None if notified == status.value else now + context.scaled(FAILED_GRACE)
    return silent_since(context, payment, status)
