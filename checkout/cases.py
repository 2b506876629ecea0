"""Cases: what waits for a person. Each kind says in words what has happened and what may be done about it.

A case is opened where the fact is found (``store.moves.open_case``); here it is read, and closed by somebody with a note.
Closing moves no money: the acts that do are commands of their own, named in the case's actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.recovery import steps
from checkout.store import moves as rows
from checkout.store.moves import record_act

NOTE_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of case means, and the commands that may help, with ``{subject}`` where its subject goes."""

    meaning: str
    actions: tuple[str, ...] = ()


_TRACE: Final = "checkout trace {subject}"
_ALLOCATE: Final = "checkout deposits allocate DEPOSIT --evidence TEXT"
_SHOW_PAYMENT: Final = "checkout payments show {subject}"
_SHOW_PAYOUT: Final = "checkout payouts show {subject}"
_SHOW_REFUND: Final = "checkout refunds show {subject}"
_RETRY: Final = "checkout payouts retry {subject}"
_CANCEL: Final = "checkout payouts cancel {subject}"
_SHOW_EVENT: Final = "checkout events show {subject}"
_REPLAY: Final = "checkout events replay {subject}"
_MISSED: Final = (
    "checkout notifications list --endpoint {subject} --state abandoned",
    "checkout notifications resend --endpoint {subject} --missed --from TIME",
)
_SILENT: Final = Kind(
    "Stable Mint has sent no news for longer than this stage takes; ask them.",
    (_SHOW_PAYMENT, _TRACE, "checkout deposits settled DEPOSIT --evidence TEXT", "checkout treasury import FILE"),
)
_HELD: Final = (_SHOW_PAYOUT, _RETRY, _CANCEL)
#: Where the money of a payout can be, once a person knows; `checkout payouts resolve --help` has every verb.
_AFTERWARDS: Final = (
    "checkout payouts resolve {subject} back --amount X --evidence TEXT",
    "checkout payouts resolve {subject} lost --evidence TEXT",
)
_RESOLVE: Final = (
    "checkout payouts resolve {subject} never-sent --evidence TEXT",
    "checkout payouts resolve {subject} arrived --credit X --evidence TEXT",
    "checkout payouts resolve {subject} at-provider --evidence TEXT",
    "checkout payouts resolve {subject} found --amount X --evidence TEXT",
    *_AFTERWARDS,
)

#: Every kind that is opened anywhere; a test compares this with the code.
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "contradiction": Kind("A deposit is both failed and accepted or settled; ask Stable Mint which.", (_TRACE,)),
        "foreign_destination": Kind("Money went to a destination that is not ours; it is not treasury.", (_TRACE, _ALLOCATE)),
        "currency_mismatch": Kind("Money came in another currency than asked.", (_TRACE, _ALLOCATE)),
        "underpaid": Kind("A deposit brought less than asked; the order is not paid.", (_TRACE, _ALLOCATE)),
        "duplicate": Kind("The order was paid more than once.", (_TRACE, _ALLOCATE)),
        "overpaid": Kind("A deposit brought more than asked; the excess is unallocated.", (_TRACE, _ALLOCATE)),
        "silent_initiated": _SILENT,
        "silent_submitted": _SILENT,
        "silent_accepted": _SILENT,
        "session_not_opened": Kind("No session could be opened for a payment; its shopper cannot pay.", (_SHOW_PAYMENT,)),
        "stable_mint_refuses_us": Kind(
            "Stable Mint refuses our credentials: key, secret, private key or clock.",
            ("checkout doctor", "checkout keys check"),
        ),
        "stables_refuses_us": Kind("Stables refuses our credentials or address.", ("checkout doctor",)),
        "event_failed": Kind("A delivery could not be applied, by our own fault; it is still retried.", (_SHOW_EVENT, _REPLAY)),
        "event_unmatched": Kind("A delivery names no session or transfer of ours.", (_SHOW_EVENT, _REPLAY)),
        "event_quarantined": Kind("A delivery cannot be believed as it is: nothing of it was applied.", (_SHOW_EVENT, _REPLAY)),
        "unverified_burst": Kind(
            "Many deliveries came with a signature we do not accept: a changed key, or somebody trying.",
            ("checkout events list --state unverified", "checkout events reverify --all", "checkout keys check"),
        ),
        "notification_undelivered": Kind(
            "An endpoint that takes others did not take a notification for three days.", _MISSED
        ),
        "endpoint_disabled": Kind(
            "A store's endpoint took nothing for days, or said that it is gone: it is sent nothing more.",
            ("checkout notifications test {subject}", "checkout notifications enable {subject} --resend-missed", *_MISSED),
        ),
        "merchant_standing": Kind(
            "Stables waits for you, or has refused the merchant: no payout can be made in its name.",
            ("checkout stables status", "checkout stables link {subject}", "checkout accounts customers"),
        ),
        "customer_not_approved": Kind("Stables has not approved payouts for the customer.", _HELD),
        "customer_unreadable": Kind("Stables does not show us the customer.", _HELD),
        "quote_unfit": Kind("Stables' quote is not for what was asked.", _HELD),
        "quote_declined": Kind("Stables declined to quote.", _HELD),
        "transfer_declined": Kind("Stables declined the transfer; nothing was sent.", _HELD),
        "payout_needs_approval": Kind(
            "The mandate no longer holds; nothing was sent. Approve the quote shown now, or stop.",
            (_SHOW_PAYOUT, "checkout payouts approve {subject}", _CANCEL),
        ),
        "price_guard": Kind(
            "Stables' quotes are outside the store's price guard; they were kept, not used.",
            (_SHOW_PAYOUT, "checkout policies guard STORE --currency C", _RETRY, _CANCEL),
        ),
        "policy_stuck": Kind("A payout policy has no payout account it can pay to.", ("checkout policies show {subject}",)),
        "payout_over_maximum": Kind(
            "Free treasury is in pieces above the policy's maximum; none is divided.",
            ("checkout policies show {subject}", "checkout payouts propose STORE"),
        ),
        "transfer_mismatch": Kind(
            "The transfer is not what was approved; its address was not shown.", (_SHOW_PAYOUT, _TRACE, *_RESOLVE)
        ),
        "compliance_hold": Kind("Stables holds the transfer; answer what its dashboard asks.", (_SHOW_PAYOUT,)),
        "exposed_transfer_ended": Kind(
            "The transfer ended after somebody could have paid it: find out where the funds are.",
            (_SHOW_PAYOUT, _TRACE, *_RESOLVE),
        ),
        "found_at_old_address": Kind(
            "Funds were seen at the address of a transfer that no longer takes them; ask Stables for them.",
            (_SHOW_PAYOUT, *_AFTERWARDS),
        ),
        "under_funded": Kind(
            "Less was sent than the transfer asked for; ask Stables whether it pays or returns it. Never send the rest.",
            (_SHOW_PAYOUT, *_RESOLVE),
        ),
        "over_funded": Kind(
            "More was sent than the transfer asked for; ask Stables for the difference.", (_SHOW_PAYOUT, *_AFTERWARDS)
        ),
        "payout_returned": Kind(
            "The bank sent the money back to Stables; ask whether it is paid again or given back.",
            (_SHOW_PAYOUT, "checkout payouts resolve {subject} arrived --credit X --evidence TEXT", *_AFTERWARDS),
        ),
        "funded_without_reveal": Kind("Funds came to an address nobody was shown here.", (_SHOW_PAYOUT, _TRACE)),
        "forgotten_transfer": Kind(
            "Stables has a transfer of ours that this database, restored from a backup, does not remember. Find out where its "
            "money is before anything is paid again.",
            (_TRACE, "checkout reconcile", "checkout reconcile --confirm TEXT"),
        ),
        "credit_unexplained": Kind(
            "The provider's own rate and fees leave more of a bank credit unexplained than the limit; ask them.",
            ("checkout statement payout {subject}", _SHOW_PAYOUT),
        ),
        "credit_differs": Kind(
            "The bank shows another amount than was said before, or less than was approved.",
            ("checkout statement payout {subject}", "checkout statement confirm {subject} --amount X --evidence TEXT"),
        ),
        "payout_silent": Kind("The transfer has not moved for days; ask Stables.", (_SHOW_PAYOUT,)),
        "refund_unknown": Kind(
            "A withdrawal was sent and nobody knows what came of it. It is never sent again; its amount stays reserved.",
            (_SHOW_REFUND, _TRACE, "checkout refunds resolve {subject} sent|failed --evidence TEXT"),
        ),
        "refund_contradiction": Kind(
            "Stable Mint's news of a withdrawal contradicts what was known of it; ask them which is true.",
            (_SHOW_REFUND, _TRACE),
        ),
        "refund_needs_approval": Kind(
            "A refund was not sent when the backup was made that this database is restored from, and may have been since.",
            (
                _SHOW_REFUND,
                "checkout refunds approve {subject}",
                "checkout refunds resolve {subject} sent --withdrawal REF --evidence TEXT",
            ),
        ),
        "refund_declined": Kind(
            "Stable Mint declined a refund; nothing was sent. Ask for another when its cause is removed.", (_SHOW_REFUND,)
        ),
        "refund_silent": Kind("Stable Mint has sent no news of a withdrawal for days; ask them.", (_SHOW_REFUND, _TRACE)),
        "travel_rule": Kind("Stables asks to verify a wallet (travel rule); see its dashboard.", (_TRACE,)),
        "rfi": Kind("Stables asks for information; see its dashboard and its deadline."),
    }
)  # fmt: skip
_UNLISTED: Final = Kind("See its detail.")


class Cases:
    """The operator's verbs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def page(self, *, include_closed: bool, limit: int) -> list[dict[str, Any]]:
        """Cases, those that have waited longest first."""
        now = self._context.clock()
        with self._context.database.read() as unit:
            return [_shown(row, now) for row in rows.list_cases(unit, include_closed=include_closed, limit=limit)]

    def show(self, ident: str) -> dict[str, Any]:
        """One case with what may be done about it; NotFound."""
        with self._context.database.read() as unit:
            row = rows.case_by_id(unit, ident)
        if row is None:
            raise NotFound("case", ident)
        return _shown(row, self._context.clock())

    def close(self, ident: str, *, note: str, who: str) -> dict[str, Any]:
        """Close an open case with the reason; RequestRefused without one, NotPossible when it is closed already."""
        note = note.strip()
        if not 1 <= len(note) <= NOTE_MAX:
            raise RequestRefused({"note": f"say in 1 to {NOTE_MAX} characters why it is done"})
        now = self._context.clock()
        with self._context.database.write() as unit:
            row = rows.case_by_id(unit, ident)
            if row is None:
                raise NotFound("case", ident)
            if not rows.close_case(unit, ident, who=who, note=note, at=now):
                raise NotPossible(f"case {ident} was closed by {row['closed_by']}: {row['closing_note']}")
            record_act(
                unit, self._context.new_id("act"), who=who, action="case closed", subject=ident,
                detail={"kind": row["kind"], "subject": row["subject"]}, at=now,
            )  # fmt: skip
        return self.show(ident)


def _shown(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    kind = KINDS.get(row["kind"], _UNLISTED)
    is_open = row["closed_at"] is None
    actions = [action.format(subject=row["subject"]) for action in kind.actions]
    return {
        "id": row["id"],
        "kind": row["kind"],
        "subject": row["subject"],
        "open": is_open,
        "meaning": kind.meaning,
        "detail": row["detail"],
        "opened_at": row["opened_at"],
        "age_s": int((now - row["opened_at"]).total_seconds()),
        "steps": steps(row["kind"], row["subject"]) if is_open else [],
        "actions": [*actions, f"checkout cases close {row['id']} --note TEXT"] if is_open else [],
        "closed_at": row["closed_at"],
        "closed_by": row["closed_by"],
        "note": row["closing_note"],
    }
