"""What Stables says of a customer, a refusal or a delivery, as a sentence and a next step.

Statuses, levels, entitlements and sub-statuses are the OpenAPI's closed lists (CONFIRMED, v1.6.72); a test compares these
tables with it. A word that is not in them is shown as it came, and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from checkout.errors import NotPossible
from checkout.providers import stables_codes
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.stables_records import CustomerStanding

T = TypeVar("T")

#: CONFIRMED (production checklist): calls from elsewhere are rejected. With which status is not said; 403 is INFERRED.
ALLOWLIST: Final = (
    "is this server's IP address on the allowlist? Live keys work only from listed addresses: Stables' dashboard, "
    "Settings, Security or API"
)

LEVELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "individual_base": "a person's base verification",
        "individual_enhanced": "a person's enhanced verification, for higher limits",
        "business_base": "a business's base verification",
        "base_business": "a business's base verification (an older name)",
        "kyc_level_0": "verification level 0 (an older name)",
        "kyc_level_1": "verification level 1 (an older name)",
        "kyc_level_2": "verification level 2 (an older name)",
    }
)
LEVEL_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "in_progress": "Stables is looking at it; a person usually has an answer within minutes, a business the same day",
        "approved": "passed",
        "rejected": "refused for good: only a new verification changes that; ask Stables why",
        "requires_action": "Stables waits for you: open the verification link and correct what is named",
    }
)
ENTITLEMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "base_payout": "payouts to banks",
        "virtual_account": "receiving bank transfers (not used by this service)",
        "higher_limits": "higher limits",
    }
)
ENTITLEMENT_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "submitted": "asked for; it is looked at once the verification is complete",
        "in_progress": "being looked at",
        "approved": "granted",
        "rejected": "refused; ask Stables why",
    }
)
SUB_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {code.upper(): str(word) for code, word in stables_codes.SUB_STATUSES.items()}
)
DELIVERY_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PENDING": "not sent yet",
        "RETRYING": "not taken yet; it is sent again",
        "SUCCESS": "taken",
        "FAILED": "given up: it is not sent again",
    }
)


def words_of(declined: Declined) -> str:
    """A refusal with its status, its words, its support id; a 403 and a 401 with what to look at."""
    text = f"Stables answered {declined.status}: {declined.message}"
    if declined.fields:
        text += " (" + "; ".join(f"{name}: {reason}" for name, reason in declined.fields.items()) + ")"
    if declined.status == 403:
        text += f" – {ALLOWLIST}"
    elif declined.status == 401:
        text += " – is STABLES_API_KEY the whole key, and not revoked?"
    return text + _support(declined.correlation_id)


def unknown_words(unknown: Unknown) -> str:
    """What is known of an answer that is no answer."""
    return f"no usable answer: {unknown.reason}{_support(unknown.correlation_id)}"


def _support(correlation_id: str | None) -> str:
    return "" if correlation_id is None else f" [support id {correlation_id}]"


def spelled(table: Mapping[str, str], word: str) -> str:
    """``word`` with its meaning; a word the documents do not have stays as it is."""
    meaning = table.get(word)
    return f"{word} (a word the documents do not have)" if meaning is None else meaning


def told(outcome: Outcome[T]) -> T:
    """What was answered; NotPossible, in words, when that was nothing useful."""
    match outcome:
        case Accepted(value=value):
            return value
        case Declined():
            raise NotPossible(words_of(outcome))
        case Unknown():
            raise NotPossible(f"Stables could not be asked: {unknown_words(outcome)}")


def standing_words(standing: CustomerStanding) -> str:
    """Every entitlement and level of a customer as stated, and what each reason of a level means."""
    levels = [f"{one.level} {one.status}" for one in standing.levels]
    stated = [*(f"{one.name} {one.status}" for one in standing.entitlements), *levels]
    reasons = [
        str(stables_codes.word_for(code)) for one in standing.levels if one.status != "approved" for code in one.sub_statuses
    ]  # fmt: skip
    return " ".join([", ".join(stated) or "nothing said", *reasons])
