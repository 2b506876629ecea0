"""Every way the simulated Stable Mint can behave where the real one's behaviour is UNKNOWN, or goes wrong.

Defaults are the documented or likeliest behaviour. Change them with ``POST /_control/switches {name:
value}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from checkout.simulator.switches import SwitchRefused

Flow = Literal["hosted", "hosted_partner", "embedded"]
Method = Literal["ManualBankTransfer", "OpenBanking"]

#: A transfer is submitted and accepted after it was initiated, also on the fastest clock.
MANUAL_SOONEST_S: Final = 10


def ratio(text: str) -> Fraction:
    """``9.71/9`` as an exact number above zero; ValueError for anything else."""
    over, _, under = text.partition("/")
    value = Fraction(over) / Fraction(under or "1")
    if value <= 0:
        raise ValueError("a ratio is above zero")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class StableMintSwitches:
    """One position per switch; ``takes`` in ``GET /_control/switches`` lists the permitted values."""

    # --- session calls

    #: How far a request's Timestamp may be from our clock, both ways. UNKNOWN.
    timestamp_tolerance_s: int = 300
    #: What the account is onboarded for; the other calls are refused with 403.
    flows: tuple[Flow, ...] = ("hosted", "hosted_partner", "embedded")
    #: What a second request with the same idempotencyKey gets. UNKNOWN. ``error`` is 409; ``no_url`` leaves
    #: out the URL (embedded: the session id).
    session_replay: Literal["same", "error", "no_url"] = "same"
    #: What happens to a session call. ``declined`` 400, ``rate_limited`` 429, ``error_500_before_work`` and
    #: ``error_500_after_work`` (the session exists), ``hang`` (it exists, the answer takes ``hang_s``),
    #: ``foreign_url`` (a page elsewhere), ``no_url`` (200 without it), ``unparseable`` (200, not JSON).
    session_outcome: Literal[
        "ok",
        "declined",
        "rate_limited",
        "error_500_before_work",
        "error_500_after_work",
        "hang",
        "foreign_url",
        "no_url",
        "unparseable",
    ] = "ok"
    #: How many calls get ``session_outcome``, counted from the last change of any switch; null: all.
    session_outcome_times: int | None = None
    hang_s: float = 30.0
    #: The form of 4xx and 5xx bodies. UNKNOWN.
    error_body: Literal["json", "html", "empty"] = "json"
    #: Nominal life of a session. UNKNOWN; shortened by the clock's speed, but never below the floor (real
    #: seconds).
    session_life_s: int = 1800
    session_floor_s: int = 900
    #: The documentation says seconds; ``milliseconds`` is the unit mistake to survive.
    expires_at: Literal["seconds", "milliseconds"] = "seconds"
    #: Whether the embedded answer has what the hosted one has. UNKNOWN.
    embedded_extras: Literal["both", "reference", "expires_at", "none"] = "both"
    #: Whether the embedded answer has its ``sessionId``. INFERRED present.
    embedded_session_id: Literal["present", "missing"] = "present"
    #: The shape of ``savedBanks``: a list of objects, one object keyed by the bank's id, or the list as JSON text.
    #: UNKNOWN.
    saved_banks: Literal["list", "object", "text"] = "list"
    #: What the embedded answer's ``allowedPaymentMethods`` and ``paymentMethod`` say.
    allowed_payment_methods: tuple[Method, ...] = ("ManualBankTransfer", "OpenBanking")
    embedded_payment_method: Method | None = "OpenBanking"
    #: Whether a page or widget whose session's time is over takes money all the same. UNKNOWN.
    late_money: bool = False
    #: ``missing``: the widget's script is not there (404).
    widget: Literal["present", "missing"] = "present"

    # --- deposits

    #: What arrives instead of the asked amount: half of it, 1 more, or exactly this much.
    wrong_amount: Literal["none", "less", "more"] | Decimal = "none"
    #: Nominal seconds until a transfer that the shopper says is sent has arrived; null: it never does.
    manual_transfer_s: int | None = 600
    #: The currency that arrives instead of the asked one; null: the asked one.
    currency: str | None = None
    #: Whether a session's first deposit has the session's reference. INFERRED same; later deposits never
    #: have.
    deposit_reference: Literal["same", "new"] = "same"
    #: Whether webhooks' sessionId is the UUID in the session's URL. UNKNOWN.
    session_id: Literal["same", "other"] = "same"
    #: V1 ``created`` only: whose wallet the funds go to, and its address (null: as asked, else none).
    destination_type: str = "Partner"
    destination_address: str | None = None

    # --- withdrawals

    #: Whether a second withdrawal with the same idempotencyKey is another one (``again``), answered like the first
    #: (``same``) or refused with 409 (``error``). UNKNOWN: nobody promised deduplication.
    withdrawal_replay: Literal["again", "same", "error"] = "again"
    #: What happens to a withdrawal call, as with ``session_outcome``; ``no_reference`` is a 200 without one.
    withdrawal_outcome: Literal[
        "ok",
        "declined",
        "rate_limited",
        "error_500_before_work",
        "error_500_after_work",
        "hang",
        "no_reference",
        "unparseable",
    ] = "ok"
    #: How many calls get ``withdrawal_outcome``, counted from the last change of any switch; null: all.
    withdrawal_outcome_times: int | None = None
    #: How a withdrawal goes on. ``silent``: no event ever tells.
    withdrawal_end: Literal["sent", "failed", "failed_after_accepted", "failed_after_sent", "silent"] = "sent"
    #: Which fields withdrawal events carry. UNKNOWN but for the event types.
    withdrawal_events: Literal["everything", "reference", "identifiers"] = "everything"

    # --- webhook bodies

    #: Envelope, flat, or each event one or the other.
    webhook_version: Literal["v2", "v1", "mixed"] = "v2"
    #: How an amount is written: ``9.5``, ``9.50``, ``9.5e+0``. All are the same JSON number.
    amount_form: Literal["plain", "fixed", "exponent"] = "plain"
    #: Which correlation fields events after ``created`` carry. UNKNOWN but for the event types.
    later_events: Literal["everything", "reference", "session", "identifiers"] = "everything"

    # --- webhook deliveries

    #: The form of StableMint-Timestamp. CONFIRMED ISO 8601, precision and zone UNKNOWN.
    webhook_timestamp: Literal["seconds", "milliseconds", "seven_digits", "no_zone", "offset"] = "seconds"
    #: Whether a retry is signed with a new timestamp or the first one. UNKNOWN.
    retry_timestamp: Literal["new", "old"] = "new"
    #: Event types never sent (whole name, or its last word), and every nth event likewise (0: none).
    webhook_loss: tuple[str, ...] = ()
    webhook_loss_nth: int = 0
    #: How often each event is sent; the copies travel side by side.
    webhook_duplicates: int = 1
    #: The order of one deposit's events.
    webhook_order: Literal["normal", "reversed", "shuffled"] = "normal"
    #: Seed of everything that is shuffled or mixed.
    seed: int = 0
    #: Nominal seconds added before every delivery.
    webhook_delay_s: float = 0.0
    #: Keep deliveries until ``POST /_control/webhooks/release``.
    hold_webhooks: bool = False

    # --- settlement

    #: USDC delivered per unit of the deposit's currency, as a quotient. The only rate there is, and it is
    #: theirs.
    delivered_ratio: str = "9.71/9"

    def __post_init__(self) -> None:
        problems = {}
        try:
            ratio(self.delivered_ratio)
        except (ValueError, ZeroDivisionError):
            problems["delivered_ratio"] = "takes a quotient above zero, for example 9.71/9"
        if self.webhook_duplicates < 1:
            problems["webhook_duplicates"] = "takes a whole number from 1"
        if self.webhook_loss_nth < 0:
            problems["webhook_loss_nth"] = "takes a whole number from 0"
        if self.manual_transfer_s is not None and self.manual_transfer_s < MANUAL_SOONEST_S:
            problems["manual_transfer_s"] = f"takes a whole number from {MANUAL_SOONEST_S}, or null"
        if self.hang_s < 0 or self.webhook_delay_s < 0:
            problems["hang_s, webhook_delay_s"] = "take a number from 0"
        if problems:
            raise SwitchRefused(problems)
