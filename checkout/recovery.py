"""What a person does about a case, step by step: whom to ask, with which identifiers, what to enter, and what ends it.

A case about silence ends by itself when the news comes. Every other is closed by the person who has done what it asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_BY_NEWS: Final = "It closes by itself when the news comes; until then it stays open, however often it is looked at."
_BY_NOTE: Final = "Close it with a note that says what was found: `checkout cases close ID --note TEXT`."
_IDENTIFIERS: Final = "`checkout trace {subject}` shows the deposit's reference, its session, and when each news came."
_ASK_MINT: Final = (
    "Ask Stable Mint by the reference what became of it, and to send the missing events again; repeats are harmless."
)
_EVIDENCE: Final = "If their answer or a statement shows it: `checkout deposits settled DEPOSIT --evidence TEXT`."
_STATEMENT: Final = (
    "What arrives as stablecoin: `checkout treasury record`, or a whole statement with `checkout treasury import FILE`."
)
_SILENT: Final = (_IDENTIFIERS, _ASK_MINT, _EVIDENCE, _STATEMENT, _BY_NEWS)
_ASK_STABLES: Final = (
    "Ask Stables by the transfer's id (`checkout payouts show {subject}`) where it stands and since when."
)
_MONEY: Final = (
    "Compare with Stable Mint's statement: is the money there, and whose is it?",
    "Keep it with `checkout deposits allocate DEPOSIT --evidence TEXT`, or give it back with a refund.",
    _BY_NOTE,
)
_DELIVERY: Final = (
    "`checkout events show {subject} --body` shows what it says; ask the sender if it cannot be true.",
    "When its cause is gone, apply it: `checkout events replay {subject}`; the case closes when that succeeds.",
)
_HELD: Final = (
    "The case's detail has Stables' own words; mend what they name (the customer's documents, the account, a limit).",
    "Then `checkout payouts retry {subject}`, or free its money with `checkout payouts cancel {subject}`.",
    _BY_NOTE,
)
_REFUND: Final = (
    "`checkout refunds show {subject}` shows its withdrawal's identifiers. Ask Stable Mint by them: was it made, was it sent?",
    "Never make another before you know: a withdrawal is sent once.",
    "Enter what they answer with `checkout refunds resolve`; an event that names it ends it as well.",
)
_DECIDE: Final = (
    _ASK_STABLES,
    "Find out where the funds are: the transaction's hash, the provider's answer, the bank statement. Send nothing before.",
    "Say it with `checkout payouts resolve {subject}` (its --help has every answer): that moves the money, and ends the case.",
)
_WHERE: Final = (
    _ASK_STABLES,
    "Find out where the funds are: the transaction's hash, the provider's answer, the bank statement. Send nothing before.",
    _BY_NOTE,
)
#: For a kind that has no steps of its own.
GENERAL: Final = ("Read its detail, do what it asks, and keep what proves it.", _BY_NOTE)

#: Steps by kind of case; ``{subject}`` is what the case is about.
STEPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "silent_initiated": _SILENT,
        "silent_submitted": _SILENT,
        "silent_accepted": _SILENT,
        "payout_silent": (
            _ASK_STABLES,
            "If the bank statement shows the credit already, keep its line: it confirms the credit at completion.",
            _BY_NEWS,
        ),
        "notification_undelivered": (
            "`checkout notifications list --endpoint {subject} --state abandoned` names what it did not take; "
            "`checkout notifications show ID` has every answer it gave.",
            "When the shop has mended it, send it again: `checkout notifications resend ID --endpoint {subject}`.",
            _BY_NOTE,
        ),
        "endpoint_disabled": (
            "Ask the shop's developer; `checkout notifications test {subject}` shows what the endpoint answers now.",
            "When it works: `checkout notifications enable {subject} --resend-missed`, which also closes this case.",
            "If it is not wanted any more: `checkout notifications remove {subject}`.",
        ),
        "refund_needs_approval": (
            "Look in Stable Mint's dashboard for a withdrawal of its order, made after the backup: `checkout refunds show "
            "{subject}` names the order.",
            "If there is none: `checkout refunds approve {subject}`, and the case closes when it is sent.",
            "If there is one that was sent: `checkout refunds resolve {subject} sent --withdrawal REF --evidence TEXT`, with "
            "its reference. That moves the money as its news would have, and ends the case.",
            "If there is one still under way, wait: the amount stays reserved. Say so when it is sent; a failed one is none.",
        ),
        "refund_unknown": _REFUND,
        "refund_silent": _REFUND,
        "refund_contradiction": _REFUND,
        "contradiction": (
            _IDENTIFIERS,
            "Ask Stable Mint which of the two is true; hold the goods back if the money is not on their statement.",
            _BY_NOTE,
        ),
        "foreign_destination": _MONEY,
        "currency_mismatch": _MONEY,
        "underpaid": _MONEY,
        "duplicate": _MONEY,
        "overpaid": _MONEY,
        "event_failed": _DELIVERY,
        "event_unmatched": _DELIVERY,
        "event_quarantined": _DELIVERY,
        "merchant_standing": (
            "`checkout stables status` says what Stables waits for, level by level, and why it refused what it refused.",
            "Give it on the verification link: `checkout stables link {subject}`; where it was refused for good, ask Stables.",
            "It closes by itself when Stables tells that payouts are approved; otherwise with a note.",
        ),
        "customer_not_approved": _HELD,
        "customer_unreadable": _HELD,
        "quote_unfit": _HELD,
        "quote_declined": _HELD,
        "transfer_declined": _HELD,
        "transfer_mismatch": _DECIDE,
        "exposed_transfer_ended": _DECIDE,
        "funded_without_reveal": _WHERE,
        "forgotten_transfer": (
            "`checkout reconcile` shows every transfer that this database does not remember, with Stables' word on each.",
            "Find the bank credit, or the transaction that funded it; decide the payout it belongs to by what you found.",
            "When every one is explained: `checkout reconcile --confirm TEXT`; until then no money moves.",
            _BY_NOTE,
        ),
        "credit_unexplained": (
            "`checkout statement payout {subject}` shows their rate, their fee lines, and what those leave.",
            "Ask Stables to explain the remainder by the transfer's id; a fee they did not list is theirs to name.",
            "If the bank shows another amount, say so: `checkout statement confirm {subject} --amount X --evidence TEXT`.",
            "If it is no more than you accept, raise the limit: `checkout statement limit STORE --percent P`.",
            "It closes by itself when the remainder is within the limit; otherwise with a note.",
        ),
        "credit_differs": (
            "Compare the bank statement with `checkout statement payout {subject}`; the ledger has what was said last.",
            "If that was a mistake, confirm the right amount; if the bank kept something, ask Stables by the transfer's id.",
            _BY_NOTE,
        ),
    }
)


def steps(kind: str, subject: str) -> list[str]:
    """What to do about a case of this kind on this subject."""
    return [one.replace("{subject}", subject) for one in STEPS.get(kind, GENERAL)]
