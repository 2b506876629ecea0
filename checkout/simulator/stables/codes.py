"""What Stables documents as closed lists: assets, networks, rails, purposes, states, event types.

Written out again here, from the provider's documentation, because the simulator shares no table with the
service it tests: a wrong table used on both sides would pass every test. Labels are those of the provider
notes.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

#: The one customer that is verified from the start; a payout account of the demo and of the tests names it.
CUSTOMER_ID: Final = "6f1d2c3b-4a59-4e68-8b7c-9d0e1f2a3b4c"
#: How the pre-approved customer is known to the integrator.
EXTERNAL_CUSTOMER_ID: Final = "demo-merchant"
CUSTOMER_NAME: Final = "Demo Merchant GmbH"
#: The tenant every answer belongs to, and the ``event_developer_id`` of every webhook.
TENANT_ID: Final = "2b8e7c1a-6d4f-4a3b-9c2d-5e6f7a8b9c0d"

_SHARED: Final = ("arbitrum", "avalanche", "base", "ethereum", "optimism", "polygon", "solana")
#: CONFIRMED (docs, supported currencies): there is no USDC on Tron. ``polygon-amoy`` is the sandbox's own
#: test network: in the OpenAPI's enumeration and in the provider's tool list, not in the table of
#: currencies.
NETWORKS: Final = MappingProxyType(
    {
        "USDC": frozenset({*_SHARED, "polygon-amoy"}),
        "USDT": frozenset({*_SHARED, "polygon-amoy", "tron"}),
    }
)
#: CONFIRMED (OpenAPI): the request also allows STABLES; no corridor for it is documented.
SOURCE_CURRENCIES: Final = ("STABLES", "USDC", "USDT")
ASSET_DECIMALS: Final = 6

RAILS: Final = ("swift", "bank")
#: CONFIRMED (docs, supported currencies), each over both rails.
FIAT: Final = ("USD", "EUR", "AUD", "AED", "GBP", "HKD", "INR", "IDR", "SGD", "THB", "CNY")
#: OBSERVED: priced by the sandbox though not in the table above; such transfers stay ``in_progress`` there.
SANDBOX_FIAT: Final = ("NGN", "MXN", "KES", "BRL")
FIAT_DECIMALS: Final = 2

#: CONFIRMED (docs, purpose codes).
PURPOSE_CODES: Final = (
    "PAYMENT_FOR_SERVICES", "PAYMENT_FOR_SOFTWARE", "PAYMENT_FOR_IMPORTED_GOODS", "TRAVEL_SERVICES",
    "VENDOR_CONTRACTOR_PAYOUTS", "TRANSFER_TO_OWN_ACCOUNT", "INVESTMENT_IN_SHARES", "PURCHASE_OF_PROPERTY",
    "REPAYMENT_OF_LOANS", "SALARY", "PAYMENT_OF_PROPERTY_RENTAL", "INFORMATION_SERVICE_CHARGES",
    "ADVERTISING_PR_EXPENSES", "ROYALTY_FEES", "BROKER_COMMITMENT_FEES", "ADVISOR_TECHNICAL_FEES",
    "REPRESENTATIVE_OFFICE_EXPENSES", "TAX_PAYMENT", "TRANSPORTATION_FEES_FOR_GOODS", "CONSTRUCTION_COSTS",
    "INSURANCE_PREMIUM", "GENERAL_GOODS_TRADES", "INSURANCE_CLAIMS_PAYMENT", "FAMILY_MAINTENANCE",
    "EDUCATION_EXPENSES", "MEDICAL_TREATMENT", "DONATIONS", "MUTUAL_FUND_INVESTMENT", "CURRENCY_EXCHANGE",
    "USER_WITHDRAWAL", "ADVANCE_PAYMENTS_FOR_GOODS", "VENDOR_CONTRACTOR_SOFTWARE_PAYOUTS",
    "MERCHANT_SETTLEMENT", "REPATRIATION_FUND_SETTLEMENT", "PERSONAL_REMITTANCE", "RETURN_OF_FUNDS",
)  # fmt: skip

#: Bank fields a destination may carry and an answer gives back. CONFIRMED (OpenAPI).
BANK_FIELDS: Final = (
    "account_holder_name", "account_number", "iban", "bank_name", "bank_country", "account_type",
    "branch_name", "swift_code", "bic_code", "ifsc_code", "aba_code", "sort_code", "branch_code", "bsb_code",
    "bank_code", "cnaps",
)  # fmt: skip
ACCOUNT_TYPES: Final = ("savings", "checking", "payment")
ADDRESS_FIELDS: Final = ("street", "city", "state", "postal_code", "country")
#: Currencies whose beneficiary needs a recipient type and an address (mcp-new). Not enforced by default.
BENEFICIARY_EXTRAS: Final = frozenset({"AED", "CAD", "EUR", "GBP", "MXN", "USD"})


class Status(StrEnum):
    """A transfer's state as REST answers spell it; lists and webhooks use the same words in capitals."""

    CREATED = "created"
    AWAITING = "awaiting_funds_collection"
    COLLECTED = "funds_collected"
    SUBMITTED = "payment_submitted"
    PROCESSED = "payment_processed"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    HOLD = "compliance_hold"
    UNKNOWN = "unknown"
    IN_PROGRESS = "in_progress"  #: OBSERVED and in the provider's tool list; not in the OpenAPI


#: The documented progression of a transfer that goes well.
PATH: Final = (
    Status.CREATED,
    Status.AWAITING,
    Status.COLLECTED,
    Status.SUBMITTED,
    Status.PROCESSED,
    Status.COMPLETED,
)
#: "No further state changes occur" (docs; expired is said to be terminal in its own line).
FINAL: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})

#: CONFIRMED (OpenAPI) for subscriptions.
EVENT_TYPES: Final = (
    "customer.created", "customer.updated", "kyc_link.updated.status_transitioned", "transfer.created",
    "transfer.updated.status_transitioned", "quote.created", "quote.updated.status_transitioned",
    "virtual_account.created", "virtual_account.activity.created",
    "virtual_account.activity.updated.status_transitioned", "all",
)  # fmt: skip
