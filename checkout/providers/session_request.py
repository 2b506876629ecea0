"""What we ask Stable Mint for: one session, checked completely before a byte is sent, in the words of our
public API.

Field lists: CONFIRMED (hosted, full) for both hosted calls, CONFIRMED (embedded, readable part) for the
embedded one (providers.md A3). Checked here so that a payment can be refused before anything is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from checkout.errors import RequestRefused
from checkout.providers.countries import COUNTRIES
from checkout.rules.money import CURRENCY_EXPONENTS, Money
from checkout.rules.urls import read_url

HOSTED: Final = "hosted"
HOSTED_PARTNER: Final = "hosted_partner"
EMBEDDED: Final = "embedded"

#: Path of each flow (providers.md A3: hosted CONFIRMED full, embedded CONFIRMED).
PATHS: Final = MappingProxyType(
    {
        HOSTED: "/session/hosted",
        HOSTED_PARTNER: "/session/hosted/partner-managed-customer",
        EMBEDDED: "/session/embedded/partner-managed-customer",
    }
)

#: CONFIRMED (hosted, full): the request enum. Webhooks use other words.
PAYMENT_METHODS: Final = ("ManualBankTransfer", "OpenBanking")

#: Our snake_case names and the provider's, all optional. CONFIRMED (hosted, full); the last five INFERRED
#: on embedded.
KYC_FIELDS: Final = MappingProxyType(
    {
        "full_name": "fullName",
        "citizenship_country_code": "citizenshipCountryCode",
        "residence_address": "residenceAddress",
        "date_of_birth": "dateOfBirth",
        "place_of_birth": "placeOfBirth",
        "gender": "gender",
        "mobile_phone": "mobilePhone",
        "personal_identification_number": "personalIdentificationNumber",
    }
)

#: CONFIRMED (hosted, full): amounts the sandbox takes, in major units. Production limits are UNKNOWN: none
#: are checked.
SANDBOX_MIN: Final = Decimal("0.1")
SANDBOX_MAX: Final = Decimal(10)

#: Our own bounds; the provider states none.
_TEXT_MAX: Final = 200
_KYC_TEXT_MAX: Final = 500
_CUSTOM_FIELDS_MAX: Final = 50
_CUSTOM_VALUE_MAX: Final = 1_000
_EMAIL_MAX: Final = 254

#: Said by every part that looks at the setting.
NOT_ONBOARDED: Final = "this account is not onboarded for it (STABLE_MINT_FLOWS)"
_UNSENDABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EMAIL: Final = re.compile(
    r"[^\s@\"<>,;:\\\[\]()]{1,64}@(?:[^\s@.\"<>,;:\\\[\]()]{1,63}\.)+[^\s@.\"<>,;:\\\[\]()]{2,63}"
)
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().\-]{4,24}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """One session to open. ``amount`` may be None for ``embedded`` only; ``currency`` is always said."""

    flow: str
    currency: str
    country: str
    idempotency_key: str = field(repr=False)
    website_reference: str = field(repr=False)
    amount: Money | None
    #: Required by both hosted flows, not part of the embedded one. Ours (the shopper returns to us), so
    #: they hold tokens.
    success_url: str | None = field(default=None, repr=False)
    exit_url: str | None = field(default=None, repr=False)
    error_url: str | None = field(default=None, repr=False)
    support_url: str | None = field(default=None, repr=False)
    #: Comes back in notifications. Not sent for ``embedded``: its page does not list it where it could be
    #: read (UNKNOWN).
    custom_fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: The store's setting, sent on ``/session/hosted`` only; the other two calls do not list it.
    destination_address: str | None = None
    payment_method: str | None = None  #: ``hosted`` only
    user_id: str | None = None  #: required by both partner-managed flows, not sent on ``hosted``
    user_email: str | None = field(default=None, repr=False)
    kyc: Mapping[str, str] = field(default_factory=dict, repr=False)  #: checked always, sent by those two flows only


def session_body(request: SessionRequest) -> dict[str, object]:
    """The provider's fields in the order of its page; for a request that :func:`check_request` let pass."""
    partner = request.flow != HOSTED
    body: dict[str, object] = {}
    if partner:
        body |= {"userId": request.user_id, "userEmail": request.user_email}
    body |= {"userCountryCode": request.country, "currency": request.currency}
    if request.amount is not None:
        body["amount"] = request.amount
    if request.flow != EMBEDDED:
        body |= {
            "successUrl": request.success_url,
            "supportUrl": request.support_url,
            "exitUrl": request.exit_url,
            "errorUrl": request.error_url,
        }
    body |= {"idempotencyKey": request.idempotency_key, "websiteReference": request.website_reference}
    if request.flow != EMBEDDED and request.custom_fields:
        body["customFields"] = dict(request.custom_fields)
    if request.flow == HOSTED and request.destination_address is not None:
        body["blockchainDestinationAddress"] = request.destination_address
    if request.flow == HOSTED and request.payment_method is not None:
        body["paymentMethod"] = request.payment_method
    if partner and request.kyc:
        body["userKyc"] = {KYC_FIELDS[name]: text for name, text in request.kyc.items()}
    return body


def check_request(request: SessionRequest, *, flows: frozenset[str], sandbox: bool, now: datetime) -> None:
    """Raise :class:`RequestRefused` with every bad field, under the names of our public API."""
    problems: dict[str, list[str]] = {}
    for checks in (
        _flow(request, flows),
        _amount(request, sandbox=sandbox),
        _urls(request, sandbox=sandbox),
        _ours(request),
        _customer(request),
        _kyc(request.kyc, now),
    ):
        for name, problem in checks:
            problems.setdefault(name, []).append(problem)
    if problems:
        raise RequestRefused(problems)


Problems = Iterator[tuple[str, str]]


def early_problems(
    flow: str | None,
    amount: Money | None,
    kyc: Mapping[str, str],
    *,
    flows: frozenset[str],
    sandbox: bool,
    now: datetime,
) -> dict[str, list[str]]:
    """What :func:`check_request` would say of these, while a request's other fields are still wrong. None is not known."""
    problems: dict[str, list[str]] = {}
    if flow in PATHS and flow not in flows:
        problems["flow"] = [NOT_ONBOARDED]
    size = None if amount is None else _size(amount, sandbox=sandbox)
    if size is not None:
        problems["amount"] = [size]
    for name, problem in _kyc(kyc, now):
        problems.setdefault(name, []).append(problem)
    return problems


def _flow(request: SessionRequest, flows: frozenset[str]) -> Problems:
    if not isinstance(request.flow, str) or request.flow not in PATHS:
        yield "flow", f"write one of {', '.join(PATHS)}"
    elif request.flow not in flows:
        yield "flow", NOT_ONBOARDED
    method = request.payment_method
    if method is None:
        return
    if request.flow != HOSTED:
        yield "payment_method", "only the flow hosted can ask for one"
    elif method not in PAYMENT_METHODS:
        yield "payment_method", f"write one of {', '.join(PAYMENT_METHODS)}"


def _amount(request: SessionRequest, *, sandbox: bool) -> Problems:
    known = isinstance(request.currency, str) and request.currency in CURRENCY_EXPONENTS
    if not known:
        yield "currency", 'write a currency this service knows, as its ISO 4217 code, for example "EUR"'
    if not isinstance(request.country, str) or request.country not in COUNTRIES:
        yield "country", 'write an ISO 3166-1 alpha-2 country code in capitals, for example "DE"'
    amount: object = request.amount  # whatever the caller gave: this is where types are checked
    if amount is None:
        if request.flow != EMBEDDED:
            yield "amount", "the amount is required"
    elif not isinstance(amount, Money):
        yield "amount", 'write the amount as decimal text, for example "10.50"'
    elif known and amount.currency != request.currency:
        yield "amount", "the amount is in another currency than the request"
    elif (size := _size(amount, sandbox=sandbox)) is not None:
        yield "amount", size


def _size(amount: Money, *, sandbox: bool) -> str | None:
    if amount.minor <= 0:
        return "the amount must be more than zero"
    if sandbox and not SANDBOX_MIN <= amount.decimal <= SANDBOX_MAX:
        return f"the sandbox takes amounts from {SANDBOX_MIN} to {SANDBOX_MAX}"
    return None


def _urls(request: SessionRequest, *, sandbox: bool) -> Problems:
    for name in ("success_url", "exit_url", "error_url", "support_url"):
        url = getattr(request, name)
        if url is None:
            if request.flow != EMBEDDED:
                yield name, "the URL is required"
            continue
        read = read_url(url) if isinstance(url, str) else None
        if read is None:
            yield name, "write an absolute URL of plain ASCII characters, without user name"
        elif read.scheme != "https" and not (sandbox and read.loopback):
            yield name, "use https (plain http is for loopback in the sandbox)"


def _ours(request: SessionRequest) -> Problems:
    for name in ("idempotency_key", "website_reference"):
        yield from _text(name, getattr(request, name), required=True)
    if request.idempotency_key == request.website_reference:
        yield "website_reference", "the two identifiers of a session differ"
    yield from _text("destination_address", request.destination_address)
    entries: object = request.custom_fields
    if not isinstance(entries, Mapping):
        yield "metadata", "write an object of texts"
        return
    if len(entries) > _CUSTOM_FIELDS_MAX:
        yield "metadata", f"at most {_CUSTOM_FIELDS_MAX} entries"
    for key, value in entries.items():
        yield from _text("metadata", key, required=True, what="each name")
        yield from _text("metadata", value, longest=_CUSTOM_VALUE_MAX, blank=True, what="each value")


def customer_problems(
    email: str | None, country: str | None, kyc: Mapping[str, str], *, now: datetime, prefix: str
) -> dict[str, list[str]]:
    """Every bad field of a customer by itself, each name behind ``prefix``; e-mail and country are required."""
    problems: dict[str, list[str]] = {}
    if country not in COUNTRIES:
        problems[f"{prefix}country"] = ['write an ISO 3166-1 alpha-2 country code in capitals, for example "DE"']
    for name, problem in (*_email("email", email, required=True), *_kyc(kyc, now, name="kyc")):
        problems.setdefault(prefix + name, []).append(problem)
    return problems


def kyc_problems(kyc: Mapping[str, str], *, now: datetime) -> dict[str, list[str]]:
    """The part of :func:`customer_problems` that says what is wrong with the facts themselves."""
    problems: dict[str, list[str]] = {}
    for name, problem in _kyc(kyc, now, name="kyc"):
        problems.setdefault(name, []).append(problem)
    return problems


def _customer(request: SessionRequest) -> Problems:
    partner = request.flow in (HOSTED_PARTNER, EMBEDDED)
    yield from _text("customer.id", request.user_id, required=partner)
    yield from _email("customer.email", request.user_email, required=partner)


def _email(name: str, email: object, *, required: bool) -> Problems:
    if email is None:
        if required:
            yield name, "the e-mail address is required"
    elif (
        not isinstance(email, str)
        or len(email) > _EMAIL_MAX
        or _EMAIL.fullmatch(email) is None
        or _UNSENDABLE.search(email)
    ):
        yield name, 'write an e-mail address, for example "jo@shop.example"'


def _kyc(facts: object, now: datetime, *, name: str = "customer.kyc") -> Problems:
    if not isinstance(facts, Mapping):
        yield name, "write an object"
        return
    for key, value in facts.items():
        if key not in KYC_FIELDS:
            # the name is quoted only when it is plainly a name: anything else may be a person's data in the
            # wrong place
            plain = isinstance(key, str) and re.fullmatch(r"[A-Za-z_]{1,40}", key)
            yield (f"{name}.{key}" if plain else name), f"the names are {', '.join(KYC_FIELDS)}"
            continue
        at = f"{name}.{key}"
        bad = list(_text(at, value, required=True, longest=_KYC_TEXT_MAX))
        yield from bad
        check = _KYC_CHECKS.get(key)
        if check is not None and not bad:
            problem = check(value, now)
            if problem is not None:
                yield at, problem


def _born(text: str, now: datetime) -> str | None:
    try:
        born = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        born = None
    if born is None or not date(1900, 1, 1) <= born <= now.date():
        return 'write a past date as YYYY-MM-DD, for example "1990-01-31"'
    return None


def _citizen(text: str, _now: datetime) -> str | None:
    return None if text in COUNTRIES else 'write an ISO 3166-1 alpha-2 country code in capitals, for example "DE"'


def _phone(text: str, _now: datetime) -> str | None:
    return None if _PHONE.fullmatch(text) else 'write the number with its country code, for example "+4915112345678"'


_KYC_CHECKS: Final[Mapping[str, Callable[[str, datetime], str | None]]] = MappingProxyType(
    {"date_of_birth": _born, "citizenship_country_code": _citizen, "mobile_phone": _phone}
)


def _text(
    name: str,
    value: object,
    *,
    required: bool = False,
    longest: int = _TEXT_MAX,
    blank: bool = False,
    what: str = "it",
) -> Problems:
    if value is None and not required:
        return
    if value is None:
        yield name, "it is required"
    elif not isinstance(value, str):
        yield name, f"{what} must be text"
    elif not value.strip() and not blank:
        yield name, f"{what} must not be empty"
    elif len(value) > longest:
        yield name, f"{what} has at most {longest} characters"
    elif _UNSENDABLE.search(value):
        yield name, f"{what} must not contain control characters or half a surrogate pair"
