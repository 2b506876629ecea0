"""Encryption at rest, and the hashes secrets are looked up by. Beside signing, the only user of cryptography.

KYC, bank details, raw event bodies and tokens are sealed before they reach a row and opened only where they
are used. The first data key seals; every key opens, so a key is changed by putting a new one in front.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from checkout.errors import KeyRefused

TOKEN_BYTES: Final = 16  # 128 bits: design, rule 10

_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def generate_data_key() -> str:
    """A fresh key for ``CHECKOUT_DATA_KEY``."""
    return Fernet.generate_key().decode("ascii")


def data_key_problem(key: str) -> str | None:
    """Why ``key`` is not a Fernet key, or None. Never shows it."""
    if _FERNET_KEY.fullmatch(key) is None:
        return "a data key is a Fernet key: URL-safe Base64 of 32 bytes, 44 characters ending in ="
    return None


class Sealer:
    """Seals with the first of its keys, opens with any of them."""

    __slots__ = ("_fernet",)

    def __init__(self, data_keys: Sequence[str]) -> None:
        """Take Fernet keys, newest first; :class:`KeyRefused` when there is none, or one is no such key."""
        problem = next(filter(None, map(data_key_problem, data_keys)), None)
        if problem or not data_keys:
            raise KeyRefused(problem or "at least one data key is needed")
        self._fernet = MultiFernet([Fernet(key) for key in data_keys])

    def seal(self, plain: bytes) -> bytes:
        """Encrypt and authenticate; two seals of the same bytes differ."""
        return self._fernet.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """What was sealed; :class:`KeyRefused` when no key opens it (key removed, or row altered)."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise KeyRefused(
                "no data key opens this; put the key it was sealed with back at the end of CHECKOUT_DATA_KEY"
            ) from None

    def seal_text(self, plain: str) -> bytes:
        """:meth:`seal` for text, as UTF-8."""
        return self.seal(plain.encode())

    def open_text(self, sealed: bytes) -> str:
        """:meth:`open` for text."""
        return self.open(sealed).decode()


def token() -> str:
    """A random 128-bit token, safe in a URL. Looked up by :func:`token_hash`, otherwise stored sealed."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """SHA-256 in hex of a token of ours. Fast on purpose: 128 random bits cannot be guessed back."""
    return hashlib.sha256(_bytes(token)).hexdigest()


def secret_hash(secret: str) -> str:
    """What a store's API key or a person's secret is looked up by; for generated secrets, never passwords.

    Kept apart from :func:`token_hash`, so that one kind of row can never answer for the other.
    """
    return hashlib.sha256(b"checkout secret\0" + _bytes(secret)).hexdigest()


def same(left: str, right: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(_bytes(left), _bytes(right))


def _bytes(text: str) -> bytes:
    """UTF-8, and lone surrogates too: text from a stranger must compare unequal, not raise."""
    return text.encode("utf-8", "surrogatepass")
