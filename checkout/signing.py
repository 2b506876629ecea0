"""Who really sent these bytes: the only user of RSA, HMAC and Standard Webhooks in the service.

Signing takes bytes and returns text; verifying takes the exact bytes received, a clock and the headers,
returns or raises :class:`BadSignature`, and nothing a stranger sends can make it raise anything else. Keys
are parsed once, when the service starts (about 0.1 s for 3072 bits); a signature is about 0.7 ms. The simulator
has its own signing, on purpose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets as randomness
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from standardwebhooks import Webhook, WebhookVerificationError

from checkout.errors import BadSignature, KeyRefused
from checkout.pem import Block, read_blocks

KEY_BITS_MIN: Final = 2048
#: A larger key makes every signature slow and is always a mistake.
KEY_BITS_MAX: Final = 8192
KEY_BITS_GENERATED: Final = 3072
VERIFYING_KEYS_MAX: Final = 8

#: Longest signature header looked at: Base64 of the largest key's signature, or a dozen HMACs.
SIGNATURE_CHARS_MAX: Final = 2048
TIMESTAMP_CHARS_MAX: Final = 64
#: Stables' `svix` deliveries, both ways. OBSERVED: an integrator allows five minutes; it is the Svix default.
STABLES_TOLERANCE: Final = timedelta(minutes=5)

_SVIX_ID = re.compile(r"[!-~]{1,256}")
_SVIX_TIMESTAMP = re.compile(r"[1-9][0-9]{0,10}")
#: `v1` entries are strict Base64 here: the library skips over whatever is not. Other versions pass by.
_SVIX_ENTRY = r"(?:v1,[A-Za-z0-9+/]+={0,2}|(?!v1,)[a-z0-9]+,[A-Za-z0-9+/=_-]+)"
_SVIX_SIGNATURES = re.compile(f"{_SVIX_ENTRY}(?: {_SVIX_ENTRY})*")
_PADDING = padding.PKCS1v15()  # INFERRED for Stable Mint: their sample's Node createSign uses it for an RSA key
_HASH = hashes.SHA256()


class PartnerKey:
    """Our RSA private key. It is never printed; ``public_pem`` is what the provider's dashboard wants."""

    __slots__ = ("_key", "bits", "fingerprint")

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.bits = key.key_size
        #: SHA-256 of the public half (SPKI, DER), in hex.
        self.fingerprint = _fingerprint(key.public_key())

    def sign(self, message: bytes) -> str:
        """Base64 of the RSA-SHA256 signature (CONFIRMED), padded by PKCS#1 v1.5 (INFERRED)."""
        return base64.b64encode(self._key.sign(message, _PADDING, _HASH)).decode("ascii")

    def public_pem(self) -> str:
        """The public half as SPKI PEM."""
        return _public_pem(self._key.public_key())


class VerifyingKeys:
    """The public keys a delivery may be signed with: several while the provider changes its key."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[rsa.RSAPublicKey]) -> None:
        self._keys = {_fingerprint(key): key for key in keys}

    def verify(self, message: bytes, signature: str) -> None:
        """Return only if one of the keys made the Base64 ``signature``; else :class:`BadSignature`."""
        if len(signature) > SIGNATURE_CHARS_MAX or not signature.isascii():
            raise BadSignature("the signature is not Base64 of a plausible length")
        try:
            raw = base64.b64decode(signature, validate=True)
        except binascii.Error:
            raise BadSignature("the signature is not Base64") from None
        for key in self._keys.values():
            try:
                key.verify(raw, message, _PADDING, _HASH)
            except InvalidSignature:
                continue
            return
        raise BadSignature("no key accepts the signature")

    def accepting(self, message: bytes, signature: str) -> str | None:
        """The fingerprint of the key that made the Base64 ``signature``, or None when none of them did."""
        for fingerprint, key in self._keys.items():
            try:
                VerifyingKeys([key]).verify(message, signature)
            except BadSignature:
                continue
            return fingerprint
        return None

    def pems(self) -> dict[str, str]:
        """Each key as SPKI PEM, by its fingerprint."""
        return {fingerprint: _public_pem(key) for fingerprint, key in self._keys.items()}

    def fingerprints(self) -> tuple[str, ...]:
        """SHA-256 of each key (SPKI, DER), in hex, in the order given."""
        return tuple(self._keys)


def load_partner_key(value: str, passphrase: str | None = None) -> PartnerKey:
    """Read an RSA private key from PEM, PEM with escapes, Base64 of PEM, or a file path.

    PKCS#8 or PKCS#1, encrypted or not. Raises :class:`KeyRefused`, which names what was found and what to do,
    and never shows the value.
    """
    blocks = read_blocks(value)
    private = [block for block in blocks if block.label.endswith("PRIVATE KEY")]
    if not private:
        found = " and ".join(sorted({block.label for block in blocks}))
        raise KeyRefused(f"this holds {found}; the private half is expected here")
    if len(private) > 1:
        raise KeyRefused(f"there are {len(private)} private keys; give exactly one")
    return PartnerKey(_private_key(private[0], passphrase))


def _private_key(block: Block, passphrase: str | None) -> rsa.RSAPrivateKey:
    if block.label == "OPENSSH PRIVATE KEY":
        raise KeyRefused("this is an OpenSSH key; convert a copy with `ssh-keygen -p -m pkcs8 -f FILE`")
    if block.encrypted and not passphrase:
        raise KeyRefused("the key is encrypted; set its passphrase too")
    if passphrase and not block.encrypted:
        raise KeyRefused("a passphrase is set but the key is not encrypted; remove the passphrase or encrypt the key")
    try:
        key = load_pem_private_key(block.pem, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "the passphrase does not open the key, or the key" if block.encrypted else "the private key"
        raise KeyRefused(f"{reason} is damaged or cut short") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyRefused(f"this is {_kind(key)}; an RSA private key is needed")
    _check_size(key.key_size)
    return key


def load_verifying_keys(value: str) -> VerifyingKeys:
    """Read one or several RSA public keys, in the forms a private key may have.

    SPKI, PKCS#1 or an X.509 certificate. A certificate stands for its key alone: no chain and no dates are
    checked, the key is pinned by being configured. Raises :class:`KeyRefused`, which names the block at fault
    and never shows the value.
    """
    blocks = read_blocks(value)
    if len(blocks) > VERIFYING_KEYS_MAX:
        raise KeyRefused(f"there are {len(blocks)} blocks; at most {VERIFYING_KEYS_MAX} keys are accepted")
    keys = []
    for position, block in enumerate(blocks, start=1):
        try:
            keys.append(_public_key(block))
        except KeyRefused as refused:
            where = f"block {position} of {len(blocks)}: " if len(blocks) > 1 else ""
            raise KeyRefused(f"{where}{refused}") from None
    return VerifyingKeys(keys)


def _public_key(block: Block) -> rsa.RSAPublicKey:
    if block.label.endswith("PRIVATE KEY"):
        raise KeyRefused(
            "this is a private key; the sender's public key is expected here, and nobody should send you more"
        )
    if block.label not in ("PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"):
        raise KeyRefused(f"{block.label} is not a public key; PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE is expected")
    try:
        certificate = block.label == "CERTIFICATE"
        key: object = (
            x509.load_pem_x509_certificate(block.pem).public_key() if certificate else load_pem_public_key(block.pem)
        )
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused(f"the {block.label} is damaged or cut short") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise KeyRefused(f"this is {_kind(key)}; an RSA public key is needed")
    _check_size(key.key_size)
    return key


def _kind(key: object) -> str:
    name = type(key).__name__
    return next(
        (f"an {kind} key" for kind in ("EC", "Ed25519", "Ed448") if name.startswith(kind)),
        "another kind of key",
    )


def _check_size(bits: int) -> None:
    if not KEY_BITS_MIN <= bits <= KEY_BITS_MAX:
        raise KeyRefused(f"the key has {bits} bits; {KEY_BITS_MIN} to {KEY_BITS_MAX} are accepted")


def _public_pem(key: rsa.RSAPublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def _fingerprint(key: rsa.RSAPublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def generate_key_pair() -> tuple[str, str]:
    """A fresh RSA pair: private PEM (PKCS#8, not encrypted) and public PEM (SPKI). Takes a second or so."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS_GENERATED)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    return private, _public_pem(key.public_key())


def string_to_sign(timestamp: int, secret: str, body: bytes) -> bytes:
    """What a request to Stable Mint signs: ``<Unix seconds>,<API secret>,<raw body>`` (CONFIRMED)."""
    return b"%d,%s,%s" % (timestamp, secret.encode(), body)


def verify_stable_mint(
    keys: VerifyingKeys,
    body: bytes,
    *,
    timestamp: str | None,
    signature: str | None,
    now: datetime,
    tolerance: timedelta,
) -> datetime:
    """When a Stable Mint webhook was sent, only if it is theirs and within ``tolerance`` of ``now``.

    Signed is ``<StableMint-Timestamp exactly as received>,<raw body>``, Base64 RSA-SHA256 (CONFIRMED,
    receive-webhooks). The timestamp is ISO 8601; precision and zone are UNKNOWN, so a missing zone means UTC.
    """
    if not timestamp or not signature:
        raise BadSignature("a signature header is missing")
    if len(timestamp) > TIMESTAMP_CHARS_MAX or not timestamp.isascii():
        raise BadSignature("the timestamp is not ISO 8601")
    try:
        sent = datetime.fromisoformat(timestamp)
        sent = sent.replace(tzinfo=UTC) if sent.tzinfo is None else sent.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadSignature("the timestamp is not ISO 8601") from None
    if abs(now - sent) > tolerance:
        raise BadSignature("the timestamp is outside the tolerance")
    keys.verify(timestamp.encode("ascii") + b"," + body, signature)
    return sent


def verify_stables(
    scheme: str, secrets: Sequence[str], body: bytes, headers: Mapping[str, str], *, now: datetime
) -> None:
    """Return only if a Stables webhook is signed with one of ``secrets``; else :class:`BadSignature`.

    ``svix``: OBSERVED, ``svix-*`` headers, within :data:`STABLES_TOLERANCE` of ``now``. ``hmac``: CONFIRMED
    HMAC-SHA256 of the raw body in ``X-Webhook-Signature``, encoding UNKNOWN, no timestamp. The scheme is
    configured, never guessed.
    """
    if scheme == "svix":
        _verify_svix(secrets, body, headers, now)
    elif scheme == "hmac":
        _verify_hmac(secrets, body, headers)
    else:
        raise ValueError("the scheme is svix or hmac")


def stables_secret_problem(scheme: str, secret: str) -> str | None:
    """Why ``secret`` cannot verify anything under ``scheme``, or None. Never shows it."""
    if scheme != "svix":
        return None if secret else "it is empty"
    try:
        base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        Webhook(secret)
    except Exception:
        return "for svix it is whsec_ and Base64, as the dashboard shows it"
    return None


class _WebhookAt(Webhook):
    """The library's verifier, judging time by our ``now``.

    Its own reads the wall clock, so a delivery kept as ``unverified`` could never be verified again. If the
    library renames the method this overrides, its own clock is back and old deliveries are refused: the
    failure is a refusal, and a test with a fixed time notices it.
    """

    def __init__(self, secret: str, now: datetime) -> None:
        super().__init__(secret)
        self._now = now

    def _Webhook__verify_timestamp(self, header: str) -> datetime:
        sent = datetime.fromtimestamp(int(header), UTC)
        if abs(self._now - sent) > STABLES_TOLERANCE:
            raise WebhookVerificationError("the timestamp is outside the tolerance")
        return sent


def _verify_svix(secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime) -> None:
    ident, timestamp = _one_header(headers, "svix-id"), _one_header(headers, "svix-timestamp")
    signature = _one_header(headers, "svix-signature")
    if not _SVIX_ID.fullmatch(ident) or not _SVIX_TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("the id or timestamp header is malformed")
    if len(signature) > SIGNATURE_CHARS_MAX or not _SVIX_SIGNATURES.fullmatch(signature):
        raise BadSignature("the signature header is malformed")
    renamed = {"webhook-id": ident, "webhook-timestamp": timestamp, "webhook-signature": signature}
    for secret in secrets:
        try:
            _WebhookAt(secret, now).verify(body, renamed, json_parse=False)
        except Exception:  # noqa: S112 - the library answers malformed input with whatever it stumbled over
            continue
        return
    raise BadSignature("no secret accepts the delivery")


def _verify_hmac(secrets: Sequence[str], body: bytes, headers: Mapping[str, str]) -> None:
    signature = _one_header(headers, "x-webhook-signature").removeprefix("sha256=")
    if len(signature) > SIGNATURE_CHARS_MAX or not signature.isascii():
        raise BadSignature("the signature header is malformed")
    given, accepted = signature.encode("ascii"), False
    for secret in secrets:
        digest = hmac.digest(secret.encode(), body, "sha256")
        for expected in (digest.hex().encode("ascii"), base64.b64encode(digest)):
            accepted |= hmac.compare_digest(given, expected)
    if not accepted:
        raise BadSignature("no secret accepts the delivery")


def _one_header(headers: Mapping[str, str], name: str) -> str:
    values = [value for key, value in headers.items() if key.lower() == name]
    if len(values) != 1:
        raise BadSignature(f"{name} must be there once")
    return values[0]


def sign_notification(secret: str, *, message_id: str, timestamp: datetime, body: str) -> str:
    """One ``webhook-signature`` entry (``v1,…``) of Standard Webhooks for a notification to a store.

    ``secret`` is ``whsec_`` and Base64; for several, the caller joins the entries with spaces. The string
    signed has whole Unix seconds: send the same in ``webhook-timestamp``. Raises :class:`KeyRefused` for an
    unusable secret.
    """
    if timestamp.utcoffset() is None:
        raise ValueError("the timestamp needs a zone")
    try:
        signer = Webhook(secret)
    except Exception:
        raise KeyRefused("a notification secret is whsec_ and Base64") from None
    # The library replaces the zone instead of converting it: only UTC survives that.
    return signer.sign(message_id, timestamp.astimezone(UTC), body)


def generate_webhook_secret() -> str:
    """A fresh secret for a store's notifications: ``whsec_`` and Base64 of 32 random bytes."""
    return "whsec_" + base64.b64encode(randomness.token_bytes(32)).decode("ascii")
