"""The economic reasons a payout may state: the provider's closed list, each with its own words.

From Stables' documentation, page "Purpose Codes" (CONFIRMED), as published on CHECKED_ON. One is required on every
transfer; a wrong one may be rejected or delayed by the receiving bank. A test compares the list with the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

CHECKED_ON: Final = date(2026, 11, 21)
SOURCE: Final = "Stables documentation, Purpose Codes"

#: A shop's own takings on their way to its bank.
DEFAULT_PURPOSE: Final = "MERCHANT_SETTLEMENT"

PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PAYMENT_FOR_SERVICES": "Payment for professional or business services rendered",
        "PAYMENT_FOR_SOFTWARE": "Payment for software licences, SaaS subscriptions, or other digital products",
        "PAYMENT_FOR_IMPORTED_GOODS": "Payment for physical goods imported across borders",
        "TRAVEL_SERVICES": "Payment for travel-related services such as flights, hotels, or tours",
        "VENDOR_CONTRACTOR_PAYOUTS": "Payments to vendors or independent contractors for work performed",
        "TRANSFER_TO_OWN_ACCOUNT": "Transfer between accounts owned by the same individual or entity",
        "INVESTMENT_IN_SHARES": "Investment in equity, shares, or stock",
        "PURCHASE_OF_PROPERTY": "Payment for real estate or property acquisition",
        "REPAYMENT_OF_LOANS": "Repayment of outstanding loans or credit facilities",
        "SALARY": "Employee salary or wage payments",
        "PAYMENT_OF_PROPERTY_RENTAL": "Rental payments for property or real estate",
        "INFORMATION_SERVICE_CHARGES": "Charges for data, research, or information services",
        "ADVERTISING_PR_EXPENSES": "Payment for advertising, marketing, or public relations services",
        "ROYALTY_FEES": "Payment of royalties for intellectual property usage",
        "BROKER_COMMITMENT_FEES": "Brokerage or commitment fees for financial transactions",
        "ADVISOR_TECHNICAL_FEES": "Fees for advisory, consulting, or technical services",
        "REPRESENTATIVE_OFFICE_EXPENSES": "Expenses for maintaining a representative or liaison office abroad",
        "TAX_PAYMENT": "Payment of taxes to government authorities",
        "TRANSPORTATION_FEES_FOR_GOODS": "Freight or logistics fees for transporting goods",
        "CONSTRUCTION_COSTS": "Payments for construction or infrastructure projects",
        "INSURANCE_PREMIUM": "Insurance premium payments",
        "GENERAL_GOODS_TRADES": "General trade payments for goods not covered by another category",
        "INSURANCE_CLAIMS_PAYMENT": "Payment of insurance claims or settlements",
        "FAMILY_MAINTENANCE": "Remittances for family support or living expenses",
        "EDUCATION_EXPENSES": "Tuition, fees, or other expenses related to education",
        "MEDICAL_TREATMENT": "Payments for medical care or healthcare services",
        "DONATIONS": "Charitable donations or gifts",
        "MUTUAL_FUND_INVESTMENT": "Investment into mutual funds or collective investment schemes",
        "CURRENCY_EXCHANGE": "Foreign exchange or currency conversion transactions",
        "USER_WITHDRAWAL": "End-user withdrawal of funds from a platform",
        "ADVANCE_PAYMENTS_FOR_GOODS": "Advance or prepayment for goods to be delivered at a later date",
        "VENDOR_CONTRACTOR_SOFTWARE_PAYOUTS": "Payments to vendors or contractors specifically for software deliverables",
        "MERCHANT_SETTLEMENT": "Settlement of funds to merchants for completed transactions",
        "REPATRIATION_FUND_SETTLEMENT": "Repatriation of funds back to the country of origin",
        "PERSONAL_REMITTANCE": "Personal money transfers between individuals",
        "RETURN_OF_FUNDS": "Return or refund of previously sent funds",
    }
)
PURPOSE_CODES: Final = frozenset(PURPOSES)
