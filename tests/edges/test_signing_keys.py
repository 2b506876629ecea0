"""Every form a key may have, and a precise refusal for everything that is not one."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from checkout.config import EXAMPLE_KEYS
from checkout.errors import BadSignature, KeyRefused
from checkout.pem import FILE_BYTES_MAX
from checkout.signing import generate_key_pair, load_partner_key, load_verifying_keys

KEYS = Path(__file__).parents[2] / "keys.example"
PRIVATE = (KEYS / "partner-private.pem").read_text()
PUBLIC = (KEYS / "partner-public.pem").read_text()
OTHER_PUBLIC = (KEYS / "simulator-public.pem").read_text()
PASSPHRASE = "correct horse ü"

_loaded = load_pem_private_key(PRIVATE.encode(), None)
assert isinstance(_loaded, rsa.RSAPrivateKey)
RSA: rsa.RSAPrivateKey = _loaded
FINGERPRINT = load_partner_key(PRIVATE).fingerprint


def private_pem(format_: PrivateFormat, passphrase: str | None = None) -> str:
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    )
    return RSA.private_bytes(Encoding.PEM, format_, encryption).decode()


def certificate() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sender.example")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, RSA.public_key(), 1, start, start + timedelta(days=1))
    return builder.sign(RSA, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


PKCS8 = private_pem(PrivateFormat.PKCS8)
PKCS1 = private_pem(PrivateFormat.TraditionalOpenSSL)
PKCS8_ENCRYPTED = private_pem(PrivateFormat.PKCS8, PASSPHRASE)
PKCS1_ENCRYPTED = private_pem(PrivateFormat.TraditionalOpenSSL, PASSPHRASE)
OPENSSH = private_pem(PrivateFormat.OpenSSH)
PUBLIC_PKCS1 = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
CERTIFICATE = certificate()
EC_KEY = ec.generate_private_key(ec.SECP256R1())
EC_PRIVATE = EC_KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
EC_PUBLIC = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
ED_PRIVATE = (
    ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)


def small_pair(bits: int) -> tuple[str, str]:
    key = rsa.generate_private_key(65537, bits)
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


SMALL_PRIVATE, SMALL_PUBLIC = small_pair(1024)


def wrapped_base64(pem: str) -> str:
    return base64.encodebytes(pem.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "PEM text": str,
    "PEM with white space around": lambda pem: f"\n  {pem}\n",
    "PEM with CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "PEM with escapes": lambda pem: pem.replace("\n", "\\n"),
    "PEM with CRLF escapes": lambda pem: pem.replace("\n", "\\r\\n"),
    "PEM with escapes in quotes": lambda pem: '"' + pem.replace("\n", "\\n") + '"',
    "Base64 of PEM": lambda pem: base64.b64encode(pem.encode()).decode(),
    "wrapped Base64 of PEM": wrapped_base64,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("pem", "passphrase"),
    [
        pytest.param(PKCS8, None, id="PKCS#8"),
        pytest.param(PKCS1, None, id="PKCS#1"),
        pytest.param(PKCS8_ENCRYPTED, PASSPHRASE, id="encrypted PKCS#8"),
        pytest.param(PKCS1_ENCRYPTED, PASSPHRASE, id="encrypted PKCS#1"),
    ],
)
def test_a_private_key_may_have_every_form(form: str, pem: str, passphrase: str | None, tmp_path: Path) -> None:
    value = FORMS[form](pem)
    file = tmp_path / "partner key.pem"
    file.write_bytes(value.encode())

    for source in (value, str(file)):
        key = load_partner_key(source, passphrase)
        assert (key.fingerprint, key.bits) == (FINGERPRINT, 3072)
        assert key.public_pem() == PUBLIC


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(PUBLIC, id="SPKI"),
        pytest.param(PUBLIC_PKCS1, id="PKCS#1"),
        pytest.param(CERTIFICATE, id="certificate"),
    ],
)
def test_a_public_key_may_have_every_form(form: str, pem: str, tmp_path: Path) -> None:
    value = FORMS[form](pem)
    file = tmp_path / "webhook.pem"
    file.write_bytes(b"\xef\xbb\xbf" + value.encode())

    for source in (value, str(file)):
        assert load_verifying_keys(source).fingerprints() == (FINGERPRINT,)


@pytest.mark.parametrize("form", FORMS)
def test_several_blocks_are_several_keys(form: str) -> None:
    value = FORMS[form](OTHER_PUBLIC + "between blocks anything may stand\n" + CERTIFICATE + PUBLIC)
    keys = load_verifying_keys(value)

    assert len(keys.fingerprints()) == 2
    assert keys.fingerprints()[1] == FINGERPRINT
    keys.verify(b"message", load_partner_key(PRIVATE).sign(b"message"))
    with pytest.raises(BadSignature):
        keys.verify(b"another", load_partner_key(PRIVATE).sign(b"message"))


def test_a_file_may_be_named_from_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key.pem").write_text(PRIVATE)

    assert load_partner_key("~/key.pem").fingerprint == FINGERPRINT


def test_a_certificate_in_front_of_the_private_key_is_ignored() -> None:
    assert load_partner_key(CERTIFICATE + PRIVATE).fingerprint == FINGERPRINT


REFUSED_PRIVATE = {
    "nothing": ("", None, "it is empty"),
    "white space": (" \n ", None, "it is empty"),
    "an encrypted key alone": (PKCS8_ENCRYPTED, None, "encrypted; set its passphrase"),
    "an encrypted traditional key alone": (PKCS1_ENCRYPTED, None, "encrypted; set its passphrase"),
    "a wrong passphrase": (PKCS8_ENCRYPTED, "wrong", "passphrase does not open the key"),
    "a wrong passphrase for a traditional key": (
        PKCS1_ENCRYPTED,
        "wrong",
        "passphrase does not open the key",
    ),
    "a passphrase too many": (PKCS8, "secret", "not encrypted; remove the passphrase"),
    "a public key": (PUBLIC, None, "holds PUBLIC KEY; the private half"),
    "a certificate": (CERTIFICATE, None, "holds CERTIFICATE; the private half"),
    "an EC key": (EC_PRIVATE, None, "an EC key; an RSA private key"),
    "an Ed25519 key": (ED_PRIVATE, None, "an Ed25519 key; an RSA private key"),
    "an OpenSSH key": (OPENSSH, None, "ssh-keygen -p -m pkcs8"),
    "a small key": (SMALL_PRIVATE, None, "has 1024 bits; 2048 to 8192"),
    "two keys": (PKCS8 + PKCS1, None, "2 private keys; give exactly one"),
    "half a key": (PKCS8[:900] + "\n-----END PRIVATE KEY-----\n", None, "damaged or cut short"),
    "the first line only": ("-----BEGIN PRIVATE KEY-----", None, "cut at a line break"),
    "no last line": (PKCS8[:900], None, "cut at a line break"),
    "another last line": (PKCS8.replace("END PRIVATE", "END PUBLIC"), None, "cut at a line break"),
    "Base64 of DER": (
        base64.b64encode(RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode(),
        None,
        "the Base64 is binary",
    ),
    "Base64 of something else": (base64.b64encode(b"s3cr3t" * 9).decode(), None, "neither PEM, nor Base64"),
    "a file that is not there": ("/nowhere/s3cr3t.pem", None, "neither PEM, nor Base64 of PEM, nor the path"),
    "below a file": (f"{KEYS}/README.md/s3cr3t", None, "neither PEM, nor Base64 of PEM, nor the path"),
    "a directory": (str(KEYS), None, "is a directory"),
    "an API key in the wrong place": ("sti_live_s3cr3t", None, "neither PEM, nor Base64"),
    "a name too long for a file": ("s3cr3t-" * 2000, None, "nor a path that can be read"),
    "a null character": ("s3cr3t\0", None, "nor a path that can be read"),
    "non-ASCII in the block": (PKCS8[:200] + "é" + PKCS8[201:], None, "damaged or cut short"),
}


@pytest.mark.parametrize("what", REFUSED_PRIVATE)
def test_what_is_no_usable_private_key_is_refused_precisely(what: str) -> None:
    value, passphrase, reason = REFUSED_PRIVATE[what]

    with pytest.raises(KeyRefused, match=re.escape(reason)) as refused:
        load_partner_key(value, passphrase)
    shown = str(refused.value)
    assert "s3cr3t" not in shown
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert not any(line in shown for line in value.splitlines() if len(line) > 40)


REFUSED_PUBLIC = {
    "a private key": (PRIVATE, "this is a private key"),
    "an encrypted private key": (PKCS8_ENCRYPTED, "this is a private key"),
    "an EC key": (EC_PUBLIC, "an EC key; an RSA public key"),
    "a small key": (SMALL_PUBLIC, "has 1024 bits; 2048 to 8192"),
    "the second block": (PUBLIC + EC_PUBLIC, "block 2 of 2: this is an EC key"),
    "another kind of block": (
        PUBLIC.replace("PUBLIC KEY", "CERTIFICATE REQUEST"),
        "CERTIFICATE REQUEST is not a public key",
    ),
    "a damaged key": (PUBLIC[:100] + "\n-----END PUBLIC KEY-----", "the PUBLIC KEY is damaged"),
    "a damaged certificate": (
        CERTIFICATE[:300] + "\n-----END CERTIFICATE-----",
        "the CERTIFICATE is damaged",
    ),
    "too many": (PUBLIC * 9, "9 blocks; at most 8"),
}


@pytest.mark.parametrize("what", REFUSED_PUBLIC)
def test_what_is_no_usable_public_key_is_refused_precisely(what: str) -> None:
    value, reason = REFUSED_PUBLIC[what]

    with pytest.raises(KeyRefused, match=re.escape(reason)):
        load_verifying_keys(value)


def test_other_kinds_of_key_have_a_name_too() -> None:
    from cryptography.hazmat.primitives.asymmetric import x25519

    pem = x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(KeyRefused, match="another kind of key; an RSA private key"):
        load_partner_key(pem.decode())


def test_a_file_is_refused_for_its_size_and_its_form(tmp_path: Path) -> None:
    def reason(data: bytes) -> str:
        file = tmp_path / "key"
        file.write_bytes(data)
        with pytest.raises(KeyRefused) as refused:
            load_partner_key(str(file))
        return str(refused.value)

    assert "larger than" in reason(b" " * (FILE_BYTES_MAX + 1))
    assert "the file is binary" in reason(RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    assert "holds neither PEM" in reason(b"/another/path.pem")
    assert "holds neither PEM" in reason(b"")


def test_a_file_that_may_not_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr("builtins.open", locked)

    with pytest.raises(KeyRefused, match="may not be read by this user"):
        load_partner_key("/etc/some.pem")


@given(st.text(max_size=200), st.one_of(st.none(), st.text(max_size=5)))
def test_arbitrary_text_is_refused_as_a_key_and_nothing_else_happens(value: str, passphrase: str | None) -> None:
    for load in (lambda: load_partner_key(value, passphrase), lambda: load_verifying_keys(value)):
        with pytest.raises(KeyRefused):
            load()


@given(st.data())
def test_a_damaged_pem_is_refused_or_is_the_same_key(data: st.DataObject) -> None:
    at = data.draw(st.integers(min_value=0, max_value=len(PUBLIC) - 1))
    char = data.draw(st.characters(codec="utf-8"))
    damaged = PUBLIC[:at] + char + PUBLIC[at + 1 :]

    try:
        keys = load_verifying_keys(damaged)
    except KeyRefused:
        return
    assert len(keys.fingerprints()) == 1


def test_a_key_shows_itself_to_nobody() -> None:
    key, keys = load_partner_key(PRIVATE), load_verifying_keys(PUBLIC)

    assert "PRIVATE" not in repr(key) + str(vars(type(key)))
    assert re.fullmatch(r"[0-9a-f]{64}", key.fingerprint)
    assert keys.fingerprints() == (key.fingerprint,)


def test_a_generated_pair_belongs_together_and_is_strong() -> None:
    private, public = generate_key_pair()
    key = load_partner_key(private)

    assert private.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert public.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert (key.bits, key.public_pem()) == (3072, public)
    load_verifying_keys(public).verify(b"m", key.sign(b"m"))


@pytest.mark.parametrize("who", ["partner", "simulator"])
def test_the_example_keys_are_pairs_and_are_recognised(who: str) -> None:
    key = load_partner_key(str(KEYS / f"{who}-private.pem"))
    public = load_verifying_keys(str(KEYS / f"{who}-public.pem"))

    assert public.fingerprints() == (key.fingerprint,)
    assert key.fingerprint in EXAMPLE_KEYS
    assert len(list(KEYS.glob("*.pem"))) == 2 * len(EXAMPLE_KEYS)
