"""The bank fields a corridor needs, and whether each has its form: length, letters, check digits. Never a value in a word.

Which fields the provider has: its OpenAPI v1.6.72 (CONFIRMED). Which of them a local rail needs: INFERRED from the OpenAPI's
own descriptions ("IFS Code (India)", "required if iban is not provided") and the national schemes. Recipient extras: the
guide to the provider's tool server (mcp-new). All as read on CHECKED_ON. A form that holds is not an account that exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from types import MappingProxyType
from typing import Final

from schwifty import BIC, IBAN
from schwifty.exceptions import InvalidLength, SchwiftyException

CHECKED_ON: Final = date(2026, 11, 21)
SOURCE: Final = "Stables OpenAPI v1.6.72; the provider's tool server guide; national payment schemes"

#: Countries whose IBANs carry another country's letters.
_IBAN_LETTERS: Final = MappingProxyType(
    {
        **dict.fromkeys(("GG", "JE", "IM"), "GB"),
        **dict.fromkeys(("BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"), "FR"),
        "AX": "FI",
    }
)
_DIGITS: Final = re.compile(r"[0-9]+")
_BETWEEN: Final = re.compile(r"[\s\-]+")


def uses_iban(country: str) -> bool:
    """Whether accounts in this country have an IBAN (the SWIFT IBAN registry, as schwifty carries it)."""
    known = _iban_length(_IBAN_LETTERS.get(country, country))
    return known is not None and known[1]


@cache
def _iban_length(letters: str) -> tuple[int, bool] | None:
    """How long IBANs with these letters are, and whether the registry has them officially."""
    try:
        spec = IBAN(letters, allow_invalid=True).spec
    except SchwiftyException:
        return None
    return spec.iban_length, not spec.aspirational


# --- forms -------------------------------------------------------------------------------------------------------


def iban_problem(text: str, country: str) -> str | None:
    """ISO 13616: the country's length and structure, and the check digits."""
    letters = _IBAN_LETTERS.get(country, country)
    known = _iban_length(letters)
    if known is None:
        return "accounts in this bank_country have no IBAN: write account_number"
    if text[:2] != letters:
        return f"an IBAN of this bank_country begins with {letters}"
    try:
        IBAN(text)
    except InvalidLength:
        return f"an IBAN that begins with {letters} has {known[0]} characters"
    except SchwiftyException:
        return "its letters, digits or check digits do not fit: copy it again from the bank's own document"
    return None


def bic_problem(text: str, country: str) -> str | None:
    """ISO 9362: 8 or 11 characters; the fifth and sixth are the bank's country."""
    try:
        BIC(text)
    except SchwiftyException:
        return "a BIC has 8 or 11 characters: bank (4 letters), country (2 letters), place (2), branch (3)"
    letters = text[4:6]
    if letters not in (country, _IBAN_LETTERS.get(country, country)):
        return "its fifth and sixth letters are not the bank_country"
    return None


def aba_problem(text: str, _country: str = "US") -> str | None:
    """Nine digits; a Federal Reserve prefix; the weighted sum 3, 7, 1 is a multiple of ten."""
    if not re.fullmatch(r"[0-9]{9}", text):
        return "an ABA routing number has 9 digits"
    prefix = int(text[:2])
    if not (prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80) or int(text) == 0:
        return "no ABA routing number begins with these two digits"
    total = sum(weight * int(digit) for weight, digit in zip((3, 7, 1) * 3, text, strict=True))
    return None if total % 10 == 0 else "its check digit does not fit: copy it again from the bank's own document"


def cnaps_problem(text: str, _country: str = "CN") -> str | None:
    """Twelve digits, the last by ISO 7064 MOD 11,10."""
    if not re.fullmatch(r"[0-9]{12}", text):
        return "a CNAPS code has 12 digits"
    product = 10
    for digit in text[:-1]:
        total = (product + int(digit)) % 10 or 10
        product = total * 2 % 11
    if (11 - product) % 10 != int(text[-1]):
        return "its check digit does not fit: copy it again from the bank's own document"
    return None


def abn_problem(text: str) -> str | None:
    """Eleven digits; with the first less one, the weighted sum is a multiple of 89 (Australian Business Register)."""
    digits = _BETWEEN.sub("", text)
    if not re.fullmatch(r"[1-9][0-9]{10}", digits):
        return "an ABN has 11 digits"
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    values = [int(digits[0]) - 1, *(int(digit) for digit in digits[1:])]
    total = sum(weight * value for weight, value in zip(weights, values, strict=True))
    return None if total % 89 == 0 else "its check digits do not fit: it is not an ABN"


def _form(pattern: str, words: str) -> Callable[[str, str], str | None]:
    compiled = re.compile(pattern)

    def problem(text: str, _country: str) -> str | None:
        return None if compiled.fullmatch(text) else words

    return problem


#: Account numbers by the bank's country; elsewhere up to 34 letters and digits. The Australian ten digits are those of
#: the provider's own example.
_ACCOUNT_NUMBERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "US": (r"[0-9]{4,17}", "an account number in the United States has 4 to 17 digits"),
        "GB": (r"[0-9]{8}", "an account number in the United Kingdom has 8 digits, zeros in front included"),
        "AU": (r"[0-9]{4,10}", "an account number in Australia has 4 to 10 digits"),
        "IN": (r"[0-9]{9,18}", "an account number in India has 9 to 18 digits"),
        "HK": (r"[0-9]{6,15}", "an account number in Hong Kong has 6 to 15 digits, without the bank's code"),
        "SG": (r"[0-9]{6,14}", "an account number in Singapore has 6 to 14 digits"),
        "ID": (r"[0-9]{6,20}", "an account number in Indonesia has 6 to 20 digits"),
        "TH": (r"[0-9]{10,15}", "an account number in Thailand has 10 to 15 digits"),
        "CN": (r"[0-9]{8,32}", "an account number in China has 8 to 32 digits"),
    }
)
_BANK_CODES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "HK": (r"[0-9]{3}", "a bank code in Hong Kong has 3 digits"),
        "TH": (r"[0-9]{3}", "a bank code in Thailand has 3 digits"),
        "ID": (r"[0-9]{3}", "a bank code in Indonesia has 3 digits"),
        "SG": (r"[0-9]{4}", "a bank code in Singapore has 4 digits"),
    }
)
_BRANCH_CODES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "HK": (r"[0-9]{3}", "a branch code in Hong Kong has 3 digits"),
        "SG": (r"[0-9]{3}", "a branch code in Singapore has 3 digits"),
        "TH": (r"[0-9]{4}", "a branch code in Thailand has 4 digits"),
    }
)


def _by_country(forms: Mapping[str, tuple[str, str]], otherwise: tuple[str, str]) -> Callable[[str, str], str | None]:
    def problem(text: str, country: str) -> str | None:
        pattern, words = forms.get(country, otherwise)
        return None if re.fullmatch(pattern, text) else words

    return problem


@dataclass(frozen=True, slots=True)
class Code:
    """A field with a form of its own. ``country``: the only one it exists in."""

    label: str
    problem: Callable[[str, str], str | None]
    country: str | None = None


CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "iban": Code("IBAN", iban_problem),
        "swift_code": Code("SWIFT code (BIC)", bic_problem),
        "bic_code": Code("BIC (the SWIFT code)", bic_problem),
        "aba_code": Code("ABA routing number, 9 digits", aba_problem, "US"),
        "sort_code": Code("sort code, 6 digits", _form(r"[0-9]{6}", "a sort code has 6 digits"), "GB"),
        "bsb_code": Code("BSB, 6 digits", _form(r"[0-9]{6}", "a BSB has 6 digits"), "AU"),
        "ifsc_code": Code(
            "IFSC, 11 characters",
            _form(r"[A-Z]{4}0[A-Z0-9]{6}", "an IFSC has 11 characters: 4 letters, a zero, 6 letters or digits"),
            "IN",
        ),
        "cnaps": Code("CNAPS code, 12 digits", cnaps_problem, "CN"),
        "account_number": Code(
            "account number",
            _by_country(_ACCOUNT_NUMBERS, (r"[A-Z0-9]{1,34}", "an account number has up to 34 letters and digits")),
        ),
        "bank_code": Code(
            "bank code", _by_country(_BANK_CODES, (r"[A-Z0-9]{1,12}", "a bank code has up to 12 letters and digits"))
        ),
        "branch_code": Code(
            "branch code",
            _by_country(_BRANCH_CODES, (r"[A-Z0-9]{1,12}", "a branch code has up to 12 letters and digits")),
        ),
    }
)
#: Where the sort code reaches besides the country it is named for.
_ALSO: Final = MappingProxyType({"GB": frozenset({"GG", "JE", "IM"})})


def tidy(bank: Mapping[str, object]) -> dict[str, object]:
    """The same fields as they are sent: codes and numbers in capitals without spaces and hyphens, country and currency too."""
    tidied: dict[str, object] = {}
    for name, value in bank.items():
        if isinstance(value, str) and name in CODES:
            tidied[name] = _BETWEEN.sub("", value).upper()
        elif isinstance(value, str) and name in ("bank_country", "currency"):
            tidied[name] = value.strip().upper()
        elif isinstance(value, str):
            tidied[name] = value.strip()
        else:
            tidied[name] = value
    return tidied


def form_problems(bank: Mapping[str, object], country: str) -> dict[str, str]:
    """Every coded field of a tidied bank whose form is not right for an account in ``country``, with the fix."""
    problems: dict[str, str] = {}
    for name, code in CODES.items():
        text = bank.get(name)
        if not isinstance(text, str) or not text:
            continue
        elsewhere = code.country is not None and country not in {code.country, *_ALSO.get(code.country, ())}
        if elsewhere:
            problems[f"bank.{name}"] = f"only accounts in {code.country} have one: leave it out"
        elif (problem := code.problem(text, country)) is not None:
            problems[f"bank.{name}"] = problem
    swift, bic = bank.get("swift_code"), bank.get("bic_code")
    if isinstance(swift, str) and isinstance(bic, str) and swift[:8] != bic[:8]:
        problems.setdefault("bank.bic_code", "it is another bank's than swift_code: they are the same code")
    return problems


__all__ = [
    "CHECKED_ON",
    "CODES",
    "SOURCE",
    "aba_problem",
    "abn_problem",
    "bic_problem",
    "cnaps_problem",
    "form_problems",
    "iban_problem",
    "tidy",
    "uses_iban",
]
