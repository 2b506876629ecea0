"""What we ask Stable Mint to pay back: one withdrawal with reason ``Refund``, checked completely before a byte is sent.

Field lists: CONFIRMED (withdrawal, generation 1 sample) for the partner-managed call, CONFIRMED (withdrawal, generation 2) for
``/withdrawal/hosted`` as far as it could be read (providers.md A4). Our public names, and the provider's in the body.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from checkout.errors import RequestRefused
from checkout.providers.countries import COUNTRIES
from checkout.providers.session_request import SANDBOX_MAX, SANDBOX_MIN
from checkout.rules.money import CURRENCY_EXPONENTS, Money

PARTNER: Final = "partner"
HOSTED: Final = "hosted"

#: Path of each call (providers.md A4).
PATHS: Final = MappingProxyType({PARTNER: "/withdrawal/partner-managed-customer", HOSTED: "/withdrawal/hosted"})
#: CONFIRMED: ``CashOut`` or ``Refund``. Nothing here ever cashes out.
REASON: Final = "Refund"

#: Details that somebody has to give, by call, and those that may be given. ``user_email`` is the customer's where we know it;
#: ``user_unique_id`` is INFERRED to be the customer id that deposit events of a managed customer carry.
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        PARTNER: ("user_email", "user_ip", "creditor_account", "creditor_name", "creditor_country", "remittance"),
        HOSTED: ("user_unique_id",),
    }
)
OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {PARTNER: ("creditor_bic", "creditor_address"), HOSTED: ()}
)
DETAILS: Final = tuple(dict.fromkeys(name for names in (*REQUIRED.values(), *OPTIONAL.values()) for name in names))

#: Our own bounds; the provider states none. 140 is what one SEPA remittance line holds.
_TEXT_MAX: Final = 200
_LINE_MAX: Final = 140
_UNSENDABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EMAIL: Final = re.compile(
    r"[^\s@\"<>,;:\\\[\]()]{1,64}@(?:[^\s@.\"<>,;:\\\[\]()]{1,63}\.)+[^\s@.\"<>,;:\\\[\]()]{2,63}"
)
_ACCOUNT: Final = re.compile(r"[A-Z0-9](?:[ -]?[A-Z0-9]){3,41}", re.IGNORECASE)
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC: Final = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRequest:
    """One refund to send. ``details`` are texts under our public names; they are about a person."""

    call: str  #: partner or hosted
    amount: Money
    country: str  #: the customer's
    user_id: str | None  #: partner: the UUID under which Stable Mint knows the customer
    details: Mapping[str, str] = field(repr=False)
    idempotency_key: str = field(repr=False)
    website_reference: str = field(repr=False)
    custom_fields: Mapping[str, str] = field(default_factory=dict, repr=False)


def withdrawal_body(request: WithdrawalRequest) -> dict[str, object]:
    """The provider's fields in the order of its page; for a request that :func:`check_withdrawal` let pass."""
    given = request.details
    ours: dict[str, object] = {
        "idempotencyKey": request.idempotency_key,
        "websiteReference": request.website_reference,
        "customFields": dict(request.custom_fields),
    }
    if request.call == HOSTED:
        return {
            "userUniqueId": given["user_unique_id"],
            "amount": request.amount,
            "currency": request.amount.currency,
            "withdrawalReason": REASON,
            **ours,
        }
    body: dict[str, object] = {
        "userId": request.user_id,
        "userEmail": given["user_email"],
        "userCountryCode": request.country,
        "userIp": given["user_ip"],
        "remittanceInformation": given["remittance"],
        "amount": request.amount,
        "currency": request.amount.currency,
        "withdrawalReason": REASON,
        "creditorAccount": plain_account(given["creditor_account"]),
        "creditorCountryCode": given["creditor_country"],
        "creditorName": given["creditor_name"],
    }
    for name, theirs in (("creditor_bic", "creditorBic"), ("creditor_address", "creditorAddress")):
        if name in given:
            body[theirs] = given[name]
    return body | ours


def private_words(request: WithdrawalRequest) -> frozenset[str]:
    """Every text of a person that the provider's answer must not bring into a log: each detail, and a name's single words."""
    given = request.details
    names = given.get("creditor_name", "").split()
    texts = [text for name, text in given.items() if name != "creditor_country"]
    ours = (request.user_id or "", request.idempotency_key, request.website_reference)
    return frozenset(text for text in (*texts, *names, *ours) if len(text) > 2)


def plain_account(account: str) -> str:
    """An account number as it is sent: capitals without spaces or hyphens."""
    return re.sub(r"[ -]", "", account).upper()


def missing_details(call: str, details: Mapping[str, str]) -> tuple[str, ...]:
    """Which required details nobody has given yet, in the order they are asked for."""
    return tuple(name for name in REQUIRED[call] if name not in details)


def detail_problems(call: str, details: Mapping[str, object]) -> dict[str, list[str]]:
    """What is wrong with each detail, by its public name. Values are never quoted: they are about a person."""
    problems: dict[str, list[str]] = {}
    takes = (*REQUIRED[call], *OPTIONAL[call])
    for name, value in details.items():
        if name not in takes:
            plain = re.fullmatch(r"[A-Za-z_]{1,40}", name) is not None
            problems[name if plain else "details"] = [f"this refund takes {', '.join(takes)}"]
        elif not isinstance(value, str) or not value.strip():
            problems[name] = ["write text"]
        elif _UNSENDABLE.search(value):
            problems[name] = ["it must not contain control characters or half a surrogate pair"]
        elif (problem := _CHECKS[name](value)) is not None:
            problems[name] = [problem]
    return problems


def check_withdrawal(request: WithdrawalRequest, *, sandbox: bool) -> None:
    """Raise :class:`RequestRefused` with every bad or missing field."""
    problems = detail_problems(request.call, request.details)
    for name in missing_details(request.call, request.details):
        problems[name] = ["it is required"]
    if problem := amount_problem(request.amount, sandbox=sandbox):
        problems["amount"] = [problem]
    if request.country not in COUNTRIES:
        problems["country"] = ["the customer's country is required: an ISO 3166-1 alpha-2 code in capitals"]
    if request.call == PARTNER and not request.user_id:
        problems["customer"] = ["the payment has no customer"]
    if not request.idempotency_key or request.idempotency_key == request.website_reference:
        problems["idempotency_key"] = ["the two identifiers of a withdrawal are there and differ"]
    if problems:
        raise RequestRefused(problems)


def amount_problem(amount: Money, *, sandbox: bool) -> str | None:
    """Why an amount cannot be withdrawn. The sandbox's limits are CONFIRMED for sessions, INFERRED for withdrawals."""
    if amount.currency not in CURRENCY_EXPONENTS:
        return "a withdrawal is in a currency, not in a stablecoin"
    if amount.minor <= 0:
        return "the amount must be more than zero"
    if sandbox and not SANDBOX_MIN <= amount.decimal <= SANDBOX_MAX:
        return f"the sandbox takes amounts from {SANDBOX_MIN} to {SANDBOX_MAX}"
    return None


def _ip(text: str) -> str | None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return 'write the shopper\'s IP address, for example "203.0.113.7"'
    return None


def _account(text: str) -> str | None:
    if _ACCOUNT.fullmatch(text) is None:
        return "write an IBAN, or an account number of letters and digits"
    account = plain_account(text)
    if len(account) > 34:
        return "an account number has at most 34 letters and digits"
    if _IBAN.fullmatch(account) and _remainder(account) != 1:
        return "the check digits of this IBAN are wrong"
    return None


def _remainder(iban: str) -> int:
    """ISO 13616: the country and check digits go last, letters count from 10, the whole is taken modulo 97."""
    return int("".join(str(int(one, 36)) for one in iban[4:] + iban[:4])) % 97


def _country(text: str) -> str | None:
    return None if text in COUNTRIES else 'write an ISO 3166-1 alpha-2 country code in capitals, for example "DE"'


def _bic(text: str) -> str | None:
    return None if _BIC.fullmatch(text) else 'write a BIC of 8 or 11 characters, for example "COBADEFFXXX"'


def _email(text: str) -> str | None:
    right = len(text) <= 254 and _EMAIL.fullmatch(text) is not None
    return None if right else 'write an e-mail address, for example "jo@shop.example"'


def _at_most(longest: int) -> Callable[[str], str | None]:
    return lambda text: None if len(text) <= longest else f"it has at most {longest} characters"


_CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = MappingProxyType(
    {
        "user_email": _email,
        "user_ip": _ip,
        "creditor_account": _account,
        "creditor_name": _at_most(_LINE_MAX),
        "creditor_country": _country,
        "remittance": _at_most(_LINE_MAX),
        "creditor_bic": _bic,
        "creditor_address": _at_most(_TEXT_MAX),
        "user_unique_id": _at_most(_TEXT_MAX),
    }
)
