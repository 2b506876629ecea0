"""What a shop's developer does about each problem that the API answers: why it came, and what to do now.

:mod:`checkout.web.problems` says what a problem is; this says how one gets out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from checkout.web import problems
from checkout.web.problems import Kind


@dataclass(frozen=True, slots=True)
class Remedy:
    """In Markdown's backquotes, as the kinds' own sentences are."""

    cause: str
    fix: str


_ANSWERED_BY_RETRY: Final = (
    "Send the same request again, under the same `Idempotency-Key`, after the seconds in `Retry-After`."
)

REMEDIES: Final[Mapping[str, Remedy]] = MappingProxyType(
    {
        problems.UNREADABLE.name: Remedy(
            "The body is not JSON, not one object, not UTF-8, has a name twice, or ended early.",
            "Let a library write the JSON, and send its bytes unchanged. The detail names the place.",
        ),
        problems.BAD_HEADER.name: Remedy(
            "Nearly always: a request that makes something came without `Idempotency-Key`.",
            "Send one key for each thing you want made: the number of the order, for a payment. `errors` names the header.",
        ),
        problems.NOT_AUTHENTICATED.name: Remedy(
            "No `Authorization: Bearer …`, a key that was mistyped or revoked, or a key of the other mode "
            "(`sk_test_` in live, `sk_live_` in the sandbox).",
            "Look at the variable your server reads the key from. `checkout stores keys STORE` lists the keys in force.",
        ),
        problems.NOT_ACCEPTED.name: Remedy(
            "A provider's webhook whose signature does not hold. No shop is ever answered this.",
            "Leave `/webhooks/…` to the providers; your own notifications come to your server.",
        ),
        problems.FORBIDDEN.name: Remedy(
            "`/metrics` was read from another machine without its token. No shop is ever answered this.",
            "Send `CHECKOUT_METRICS_TOKEN` as a bearer, or ask from the machine itself.",
        ),
        problems.WRONG_SCOPE.name: Remedy(
            "The key is known, and may not do this: a key that only reads has opened a payment, for example.",
            "The detail names the scope. Make a key that has it: `checkout stores key STORE --scope …`.",
        ),
        problems.NOT_FOUND.name: Remedy(
            "A mistyped id or path, or an id of another store: a store sees only its own.",
            "Ask with the key of the store that made it. Sandbox and live share nothing.",
        ),
        problems.METHOD.name: Remedy(
            "The path is there, but not for this method.", "Use one of those in the header `Allow`."
        ),
        problems.NOT_POSSIBLE.name: Remedy(
            "The payment, the link or the refund stands where this cannot be done any more, or not yet.",
            "Read it again (`GET`), show the shopper what it says, and do not repeat the request as it is.",
        ),
        problems.KEY_REUSED.name: Remedy(
            "One `Idempotency-Key` came with two different requests: one of the two is a mistake.",
            "For another payment take another key. For the same one, send exactly what you sent first: read it from your "
            "order, do not work it out again.",
        ),
        problems.TOO_LARGE.name: Remedy(
            "A body of more than 64 kB.", "Keep what is yours in your own database, and only its id in `metadata`."
        ),
        problems.MEDIA_TYPE.name: Remedy(
            "The body is a form, or the header is missing.", "Send JSON with `Content-Type: application/json`."
        ),
        problems.TOO_MANY.name: Remedy(
            "This key has made its requests of this minute. Other keys of the store have their own.",
            f"{_ANSWERED_BY_RETRY} Hear notifications in place of asking in a loop; `--per-minute` gives a key more.",
        ),
        problems.REFUSED.name: Remedy(
            "One or more fields are wrong. All of them are in `errors`, each with its name and what to write.",
            "Mend them in your code. Nothing was stored: the same `Idempotency-Key` may be used again.",
        ),
        problems.DECLINED.name: Remedy(
            "Stable Mint did not want this session: an amount above its limit, a country it does not serve, …",
            "Show the shopper another way to pay. When the cause is mended: `POST /v1/payments/{id}/sessions` with the "
            "`payment_id` of the answer.",
        ),
        problems.INTERNAL.name: Remedy(
            "A mistake of this service.",
            "Send the same request again, under the same `Idempotency-Key`: it is done once at most. Tell the operator the "
            "`request_id`; the log has it.",
        ),
        problems.LOST_RACE.name: Remedy("Two requests changed one payment in the same moment.", _ANSWERED_BY_RETRY),
        problems.STORE_UNAVAILABLE.name: Remedy(
            "The database is being restarted, backed up or overloaded. Nothing was stored.", _ANSWERED_BY_RETRY
        ),
        problems.BUSY.name: Remedy(
            "More requests at once than this service takes on, or Stable Mint is slow. Nothing was stored.",
            _ANSWERED_BY_RETRY,
        ),
    }
)  # fmt: skip


def remedied() -> list[dict[str, Any]]:
    """Every kind of problem in the order of its status, as the guide shows it."""
    return [
        {"kind": kind, "remedy": remedy_of(kind)}
        for kind in sorted(problems.KINDS, key=lambda one: (one.status, one.name))
    ]


def remedy_of(kind: Kind) -> Remedy:
    """What is known of a kind; one that nobody has thought of yet says of itself what it can."""
    return REMEDIES.get(kind.name) or Remedy(kind.meaning, "See the detail of the answer.")
