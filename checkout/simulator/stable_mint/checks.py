"""What Stable Mint checks before it opens a session: who calls, when, whether they signed these bytes, every
field.

Stricter than the real thing may be: a field that the documentation does not list for a call is refused,
because in this repository that is a mistake to be found.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from checkout.errors import AmountRefused
from checkout.rules.money import read_provider_amount
from checkout.simulator.stable_mint.jsontext import NotJson, read

#: Sandbox limits. CONFIRMED (hosted session page).
SMALLEST: Final = Decimal("0.1")
LARGEST: Final = Decimal(10)
TEXT_MAX: Final = 2000


class Refusal(Exception):
    """A request is answered with ``status``; the form of the body is a switch, because nobody knows it."""

    def __init__(self, status: int, code: str, message: str, fields: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = dict(fields)


def check_caller(
    headers: Mapping[str, str],
    body: bytes,
    *,
    api_key: str,
    api_secret: str,
    partner_key: RSAPublicKey,
    now: datetime,
    tolerance_s: int,
) -> None:
    """Raise a 401 :class:`Refusal` unless ApiKey, Timestamp and Signature are right for these very bytes.

    Signed: ``<timestamp>,<secret>,<raw body>``, RSA-SHA256 (CONFIRMED), PKCS#1 v1.5 (INFERRED), Base64; the
    timestamp in whole Unix seconds (CONFIRMED), its tolerance UNKNOWN.
    """
    if not hmac.compare_digest(headers.get("ApiKey", "").encode(), api_key.encode()):
        raise Refusal(401, "InvalidApiKey", "The API key is missing or unknown.")
    timestamp = headers.get("Timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise Refusal(401, "InvalidTimestamp", "The Timestamp header must be Unix time in seconds.")
    if abs(now.timestamp() - int(timestamp)) > tolerance_s:
        raise Refusal(401, "InvalidTimestamp", "The Timestamp header is too far from the present time.")
    signed = timestamp.encode() + b"," + api_secret.encode() + b"," + body
    try:
        signature = base64.b64decode(headers.get("Signature", ""), validate=True)
        partner_key.verify(signature, signed, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):  # ValueError: not Base64
        raise Refusal(401, "InvalidSignature", "The signature does not match the request.") from None


def _text(value: object) -> str | None:
    right = isinstance(value, str) and 0 < len(value) <= TEXT_MAX
    return None if right else "must be a non-empty string"


def _country(value: object) -> str | None:
    right = isinstance(value, str) and re.fullmatch(r"[A-Z]{2}", value)
    return None if right else "must be an ISO 3166 alpha-2 country code"


def _currency(value: object) -> str | None:
    right = isinstance(value, str) and re.fullmatch(r"[A-Z]{3}", value)
    return None if right else "must be an ISO 4217 currency code"


def _amount(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return "must be a number"
    within = SMALLEST <= value <= LARGEST
    return None if within else f"must be between {SMALLEST} and {LARGEST} in the sandbox"


def _url(value: object) -> str | None:
    if isinstance(value, str) and len(value) <= TEXT_MAX and not re.search(r"[\s\x00-\x1f\x7f]", value):
        try:
            parts = urlsplit(value)
        except ValueError:
            return "must be an absolute URL"
        if parts.scheme in ("http", "https") and parts.hostname:
            return None
    return "must be an absolute URL"


def _email(value: object) -> str | None:
    right = isinstance(value, str) and re.fullmatch(r"[^@\s]+@[^@\s]+", value)
    return None if right else "must be an e-mail address"


def _object(value: object) -> str | None:
    return None if isinstance(value, dict) else "must be an object"


def _method(value: object) -> str | None:
    right = value in ("ManualBankTransfer", "OpenBanking")
    return None if right else "must be ManualBankTransfer or OpenBanking"


def _reason(value: object) -> str | None:
    return None if value in ("CashOut", "Refund") else "must be CashOut or Refund"


def _address(value: object) -> str | None:
    try:
        ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return "must be an IP address"
    return None


def _account(value: object) -> str | None:
    right = isinstance(value, str) and re.fullmatch(r"[A-Z0-9]{4,34}", value)
    return None if right else "must be an account number or IBAN without spaces"


def _birth(value: object) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            date.fromisoformat(value)
        except ValueError:
            return "must be a date, YYYY-MM-DD"
        return None
    return "must be a date, YYYY-MM-DD"


Check = Callable[[object], str | None]

#: userKyc, all optional. CONFIRMED (hosted session page); for embedded INFERRED beyond the first three.
KYC: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "fullName": _text,
        "citizenshipCountryCode": _country,
        "residenceAddress": _text,
        "dateOfBirth": _birth,
        "placeOfBirth": _text,
        "gender": _text,
        "mobilePhone": _text,
        "personalIdentificationNumber": _text,
    }
)
_MONEY: Final = {"userCountryCode": _country, "currency": _currency, "amount": _amount}
_PAGES: Final = {"successUrl": _url, "supportUrl": _url, "exitUrl": _url, "errorUrl": _url}
_PERSON: Final = {"userId": _text, "userEmail": _email}
_WITHDRAWN: Final = {"amount": _amount, "currency": _currency, "withdrawalReason": _reason}
_OURS: Final = {"idempotencyKey": _text, "websiteReference": _text, "customFields": _object}

#: Per call: the required fields, then the optional ones. CONFIRMED (hosted, embedded) but for embedded
#: customFields.
FIELDS: Final[Mapping[str, tuple[Mapping[str, Check], Mapping[str, Check]]]] = MappingProxyType(
    {
        "hosted": (
            {**_MONEY, **_PAGES},
            {**_OURS, "blockchainDestinationAddress": _text, "paymentMethod": _method},
        ),
        "hosted_partner": ({**_MONEY, **_PAGES, **_PERSON}, {**_OURS, "userKyc": _object}),
        "embedded": (
            {"userCountryCode": _country, "currency": _currency, **_PERSON},
            {**_OURS, "amount": _amount, "userKyc": _object},
        ),
        # CONFIRMED (withdrawal); the sandbox's amounts INFERRED to be those of sessions
        "withdrawal": (
            {
                **_WITHDRAWN,
                **_PERSON,
                "userCountryCode": _country,
                "userIp": _address,
                "remittanceInformation": _text,
                "creditorAccount": _account,
                "creditorCountryCode": _country,
                "creditorName": _text,
            },
            {**_OURS, "creditorBic": _text, "creditorAddress": _text, "userKyc": _object},
        ),
        "withdrawal_hosted": ({**_WITHDRAWN, "userUniqueId": _text}, {**_OURS}),
    }
)


def check_body(flow: str, body: bytes) -> dict[str, Any]:
    """The request of one of the three session calls; a 400 :class:`Refusal` that names every bad field."""
    try:
        document = read(body)
    except NotJson as error:
        raise Refusal(400, "InvalidBody", f"The body is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise Refusal(400, "InvalidBody", "The body must be a JSON object.")
    required, optional = FIELDS[flow]
    problems = {name: "is required" for name in required if document.get(name) is None}
    problems |= _problems(document, {**required, **optional})
    kyc = document.get("userKyc")
    if isinstance(kyc, dict):
        problems |= {f"userKyc.{name}": reason for name, reason in _problems(kyc, KYC).items()}
    if not problems and "amount" in document:
        try:
            read_provider_amount(document["amount"], document["currency"])
        except AmountRefused as error:
            problems["amount"] = str(error)
    if problems:
        raise Refusal(400, "ValidationError", "One or more fields are not valid.", problems)
    return document


def check_amount(value: object, currency: str) -> Decimal:
    """An amount that a shopper chose, as decimal text; a 400 :class:`Refusal` outside the limits."""
    text = value if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", value) else ""
    amount = Decimal(text) if text else None
    problem = "must be an amount in digits" if amount is None else _amount(amount)
    if amount is not None and problem is None:
        try:
            read_provider_amount(amount, currency)
        except AmountRefused as error:
            problem = str(error)
    if amount is None or problem is not None:
        raise Refusal(400, "ValidationError", f"The amount {problem}.", {"amount": str(problem)})
    return amount


def _problems(document: Mapping[str, object], known: Mapping[str, Check]) -> dict[str, str]:
    problems = {}
    for name, value in document.items():
        if name not in known:
            problems[name] = "is not a field of this request"
        elif (reason := known[name](value)) is not None:
            problems[name] = reason
    return problems
