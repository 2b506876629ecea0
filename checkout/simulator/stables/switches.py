"""How the simulated Stables behaves where its documents say nothing, contradict each other or may be wrong.

One field per question; the annotation lists the answers it can take and the default is the documented or
OBSERVED one. Every duration is nominal seconds, divided by the simulator's speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Review = Literal["approved", "in_progress", "rejected", "requires_action"]
Entitled = Literal["approved", "submitted", "in_progress", "rejected", "absent"]
Routing = Literal["none", "ROUTING_ROUTE_NOT_CONFIGURED", "ROUTING_ROUTE_DISABLED", "ROUTING_QUOTE_FAILED"]
Risk = Literal[
    "none", "fraud_detected", "compliance_block", "restricted_region", "sanctions_match", "pep_match",
    "onchain_risk_detected", "velocity_limit_exceeded", "amount_limit_exceeded", "sof_required",
    "sow_required", "additional_info_required", "corridor_not_supported", "unsupported_route",
    "restricted_jurisdiction",
]  # fmt: skip
EndsAs = Literal[
    "completed", "failed", "cancelled", "expired", "compliance_hold", "unknown", "in_progress"
]  # fmt: skip
Stage = Literal[
    "created", "awaiting_funds_collection", "funds_collected", "payment_submitted", "payment_processed",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Positions of every switch of the Stables port."""

    # What exists, and how answers look
    list_only: bool = False  #: answer only the published OpenAPI: no transfer by id, no simulate-deposit, no validate
    list_lag_s: float = 0.0  #: a new transfer is missing from lists for this long
    id_lag_s: float = 0.0  #: and answers 404 by its id for this long
    error_shape: Literal["flat", "nested", "code_fields"] = "flat"
    transfer_answer: Literal[200, 201] = 200  #: OpenAPI 200, OBSERVED 201
    answer_case: Literal["lower", "upper"] = "lower"  #: codes in transfers: quickstart lower, transfers page upper
    amount_form: Literal["shortest", "as_sent", "padded"] = "shortest"  #: 100, 100.00 (as it was sent), 100.000000
    sparse_answers: bool = False  #: destination, fees and exchange_rate of a transfer are null (OpenAPI allows it)
    metadata_echo: Literal["same", "absent", "other"] = "same"

    # Idempotency
    key_memory_s: float = 86_400.0
    key_reuse: Literal["refuse", "replay"] = "refuse"  #: one key, another body: 422, or the first answer again
    key_in_flight: Literal["wait", "conflict"] = "wait"  #: one key twice at once: wait for the first, or 409
    keeps_500: bool = True  #: whether a 500 is stored under its key and replayed

    # Customers
    customer_verification: Review = "approved"  #: of the pre-approved customer
    customer_payout: Entitled = "approved"  #: its base_payout
    new_customers_become: Review = "approved"
    review_s: float = 60.0
    not_entitled_answer: Literal[422, 403] = 422
    link_for_existing: Literal["conflict", "link"] = (
        "conflict"  #: for a customer that is there: 409 (OpenAPI), or given
    )
    ip_allowed: bool = True  #: whether the caller's address is on the allowlist; production refuses the others (docs)

    # Quotes
    quote_life_s: float = 30.0
    rate_shift_percent: Decimal = Decimal(0)  #: every rate moves by this much
    integrator_percent: Decimal = Decimal(0)
    fee_currency: Literal["usd", "destination"] = "usd"
    unexplained: Decimal = Decimal(0)  #: the credit is this much less than rate and fees explain
    quote_min: Decimal | None = None  #: in the source asset
    quote_max: Decimal | None = None
    routing_error: Routing = "none"
    routing_error_at: Literal["quotes", "transfers"] = "quotes"
    gbp_500: Literal["never", "quotes", "transfers"] = "never"  #: GBP but multiples of 20 from 60 (OBSERVED)
    sandbox_corridors: bool = False  #: NGN, MXN, KES, BRL are quoted and stay in_progress (OBSERVED)

    # Transfers
    purpose_code_required: bool = True
    validate_refuses: str = ""  #: name of a bank field that the check of bank details finds bad, quoting it
    beneficiary_extras_required: bool = False  #: recipient_type, address, date_of_birth (mcp-new)
    risk_error: Risk = "none"
    transfer_max: Decimal | None = None  #: above it a transfer is refused with 400, its quote notwithstanding
    null_instructions_reads: int = 0  #: the first answer and this many reads after it carry no instructions
    address_form: Literal["sandbox", "onchain", "bad_checksum"] = "sandbox"
    tamper_destination: str = ""  #: name of a bank field whose echo is altered
    tamper_amount: str = ""  #: what destination.amount says instead
    tamper_currency: str = ""
    tamper_source_amount: str = ""  #: what the instructions ask for instead
    tamper_asset: str = ""
    tamper_network: str = ""
    tamper_customer: bool = False  #: another customer_id is answered
    tamper_quote: bool = False  #: another quote_id is answered
    actual_payout: Literal["absent", "as_quoted", "one_cent_less"] = "absent"  #: OBSERVED absent

    # What becomes of a transfer
    funding_window_s: float = 900.0
    transfer_dies_with_quote: bool = False
    await_s: float = 1.0
    collect_s: float = 2.0
    submit_s: float = 5.0
    process_s: float = 20.0
    complete_s: float = 5.0
    ends_as: EndsAs = "completed"
    diverts_after: Stage = "funds_collected"  #: where a transfer leaves the path, unless it ends as completed
    divert_s: float = 2.0
    detour_s: float = 0.0  #: how long a hold, unknown or in_progress lasts before the path goes on; 0: for good

    # Webhooks
    webhooks: bool = True
    transition_webhooks: bool = True  #: transfer.updated.status_transitioned; OBSERVED never sent in the sandbox
    other_webhooks: bool = False  #: customer, kyc_link and quote events
    webhook_loss: tuple[str, ...] = ()  #: event types never sent: the whole name, or its last word
    webhook_loss_nth: int = 0  #: every nth event likewise; 0: none
    webhook_duplicates: int = 1  #: how often each event is sent
    webhook_order: Literal["normal", "swapped"] = "normal"  #: every second event of a subject overtakes one
    webhook_delay_s: float = 0.0
    hold_webhooks: bool = False  #: keep deliveries until ``POST /_control/webhooks/release``
    status_prefix: Literal["", "PAYMENT_STATUS_", "TRANSFER_STATUS_"] = ""  #: of event_object_status
    hmac_encoding: Literal["hex", "base64"] = "hex"
    hmac_prefix: Literal["", "sha256="] = ""
    subscriptions_deliver: bool = False  #: OBSERVED: API-managed subscriptions got nothing in the sandbox
