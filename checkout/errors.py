"""Every exception a caller may catch, as one tree.

CheckoutError
├── SettingsRefused        the environment cannot start this service; every problem at once, never a value
├── KeyRefused             a key file or text cannot be used
├── AmountRefused          an amount or currency is not acceptable
├── BadSignature           a delivery is not proven to come from the provider
├── RequestRefused         a request has bad fields; all of them, by name
├── NotAuthenticated       a store key or a person's secret is wrong
│   └── KeyOutOfPlace      it may be a key, but not here or not sent like this
├── NotPermitted           the key is known, and is for something else
│   └── ScopeMissing       it has not the scope that this needs
├── TooManyRequests        the key's requests of this minute are used up; try again later
├── NotFound               nothing of that kind has that id
├── NotPossible            the subject's state, a rule or a pause does not allow this now
│   ├── ForbiddenMove      a state machine has no such move
│   └── IdempotencyReused  the same key came with other content
├── LostRace               somebody else moved the row first; read again and decide again
├── StoreUnavailable       the database is busy or gone; try again later
└── ProviderCallsBusy      too many calls to the provider are under way; try again later
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CheckoutError(Exception):
    """The root: catching it catches everything this package raises on purpose."""


class SettingsRefused(CheckoutError):
    """Settings are missing or malformed: names and reasons, never values."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{name}: {reason}" for name, reason in problems))
        self.problems = tuple(problems)


class KeyRefused(CheckoutError):
    """A key cannot be used; the message says which form was expected and never shows the key."""


class AmountRefused(CheckoutError):
    """An amount or currency is not acceptable; the message says what to write instead."""


class BadSignature(CheckoutError):
    """A delivery is not proven to come from the provider. The public answer never says why."""


class RequestRefused(CheckoutError):
    """A request has bad fields; ``fields`` maps each to what is wrong with it and how to fix it."""

    def __init__(self, fields: Mapping[str, Sequence[str] | str]) -> None:
        self.fields: dict[str, list[str]] = {
            name: [reasons] if isinstance(reasons, str) else list(reasons) for name, reasons in fields.items()
        }
        super().__init__("; ".join(f"{name}: {' '.join(reasons)}" for name, reasons in self.fields.items()))


class NotAuthenticated(CheckoutError):
    """A store key or a person's secret is missing or wrong."""


class KeyOutOfPlace(NotAuthenticated):
    """It may be a key, but not here or not sent like this: the message says what to do, and quotes nothing."""


class NotPermitted(CheckoutError):
    """The key is known, and is for something else."""


class ScopeMissing(NotPermitted):
    """The key has not the scope that this needs."""

    def __init__(self, scope: str) -> None:
        super().__init__(
            f"This needs a key of the scope `{scope}`; `checkout stores key STORE --scope {scope}` makes one "
            "(--scope may be repeated)."
        )
        self.scope = scope


class TooManyRequests(CheckoutError):
    """The key's requests of this minute are used up: try again later."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the key's requests of this minute are used up")
        self.retry_after_s = retry_after_s


class NotFound(CheckoutError):
    """Nothing of that kind has that id (or it belongs to somebody else)."""

    def __init__(self, kind: str, ident: str) -> None:
        super().__init__(f"there is no {kind} {ident!r}")
        self.kind = kind
        self.ident = ident


class NotPossible(CheckoutError):
    """The subject's state, a rule or a pause does not allow this now; the message says why and what would."""


class ForbiddenMove(NotPossible):
    """A state machine has no such move."""

    def __init__(self, subject: str, before: str, after: str) -> None:
        super().__init__(f"a {subject} that is {before} cannot become {after}")
        self.subject = subject
        self.before = before
        self.after = after


class IdempotencyReused(NotPossible):
    """The same Idempotency-Key came with other content."""


class LostRace(CheckoutError):
    """Somebody else moved the row first: read again and decide again."""


class StoreUnavailable(CheckoutError):
    """The database is busy or gone: nothing was stored; try again later."""


class ProviderCallsBusy(CheckoutError):
    """Too many calls to the provider are under way in this process: try again later."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many provider calls are under way")
        self.retry_after_s = retry_after_s
