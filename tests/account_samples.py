"""A good payout account for every documented currency and rail; numbers are the banks' published examples or made up."""

from __future__ import annotations

import copy
from typing import Any

CUSTOMER = "6f1d2c3b-4a59-4e68-8b7c-9d0e1f2a3b4c"
HOME = {
    "USD": "US", "EUR": "DE", "AUD": "AU", "AED": "AE", "GBP": "GB", "HKD": "HK", "INR": "IN", "IDR": "ID", "SGD": "SG",
    "THB": "TH", "CNY": "CN",
}  # fmt: skip
LOCAL: dict[str, dict[str, object]] = {
    "USD": {"aba_code": "021000021", "account_number": "123456789"},
    "EUR": {"iban": "DE89370400440532013000"},
    "AUD": {"bsb_code": "633333", "account_number": "1111111111"},
    "AED": {"iban": "AE070331234567890123456"},
    "GBP": {"sort_code": "601613", "account_number": "31926819"},
    "HKD": {"bank_code": "004", "account_number": "123456789001"},
    "INR": {"ifsc_code": "HDFC0000001", "account_number": "50100012345678"},
    "IDR": {"bank_code": "014", "account_number": "1234567890"},
    "SGD": {"bank_code": "7171", "account_number": "0120000000"},
    "THB": {"bank_code": "004", "account_number": "1234567890"},
    "CNY": {"cnaps": "102100099996", "account_number": "6222020200012345678"},
}
SWIFT: dict[str, dict[str, object]] = {
    "USD": {"swift_code": "CHASUS33", "account_number": "123456789"},
    "EUR": {"swift_code": "COBADEFFXXX", "iban": "DE89370400440532013000"},
    "AUD": {"swift_code": "CTBAAU2S", "account_number": "1111111111"},
    "AED": {"swift_code": "BOMLAEAD", "iban": "AE070331234567890123456"},
    "GBP": {"swift_code": "NWBKGB2L", "iban": "GB29NWBK60161331926819"},
    "HKD": {"swift_code": "HSBCHKHH", "account_number": "123456789001"},
    "INR": {"swift_code": "HDFCINBB", "account_number": "50100012345678"},
    "IDR": {"swift_code": "CENAIDJA", "account_number": "1234567890"},
    "SGD": {"swift_code": "DBSSSGSG", "account_number": "0120000000"},
    "THB": {"swift_code": "KASITHBK", "account_number": "1234567890"},
    "CNY": {"swift_code": "ICBKCNBJ", "account_number": "6222020200012345678"},
}
EXTRAS: dict[str, object] = {
    "recipient_type": "business",
    "address": {"street": "Harbour 1", "city": "Port", "state": "Bay", "postal_code": "10115", "country": "DE"},
}


def account(currency: str = "EUR", rail: str = "bank", /, **changes: Any) -> dict[str, Any]:
    """A whole account; ``changes`` go into its bank, ``...`` takes a field away."""
    country = HOME[currency]
    bank: dict[str, Any] = {
        "type": "bank", "account_holder_name": "Quayside Trading", "bank_name": "Lighthouse Savings",
        "bank_country": country, "currency": currency, **(LOCAL if rail == "bank" else SWIFT)[currency],
    }  # fmt: skip
    if currency in ("USD", "EUR", "GBP", "AED"):
        bank |= copy.deepcopy(EXTRAS)
    if currency == "USD":
        bank["account_type"] = "checking"
    bank |= changes
    return {
        "name": "Main", "stables_customer_id": CUSTOMER, "source": {"currency": "USDC", "network": "polygon"},
        "destination": {"currency": currency, "country": country, "network": rail},
        "bank": {name: value for name, value in bank.items() if value is not ...}, "purpose_code": "MERCHANT_SETTLEMENT",
    }  # fmt: skip
