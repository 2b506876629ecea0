"""The forms a key may be written in, brought to one: a list of PEM blocks. No cryptography here.

Environments mangle line breaks, quote values and cut at the first line, so a key may be PEM text, PEM with
``\\n`` escapes, Base64 of PEM, or the path of a file that holds one of these. Every refusal says what was
found and what to do; none shows the value, because a value that is not a key may be some other secret.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from typing import Final

from checkout.errors import KeyRefused

#: A file larger than this is not a key.
FILE_BYTES_MAX: Final = 65_536

_BEGIN: Final = "-----BEGIN "
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
#: The first byte of every DER key or certificate: an ASN.1 SEQUENCE.
_DER: Final = b"\x30"
_DER_REFUSED: Final = "is binary (DER), not PEM; convert a copy with `openssl pkey -inform DER` (add -pubin if public)"


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block: its label (``PRIVATE KEY``) and its whole text."""

    label: str
    pem: bytes = field(repr=False)

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase is needed: PKCS#8 says so in its label, the traditional form in a header."""
        return self.label == "ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in self.pem


def read_blocks(value: str) -> list[Block]:
    """The PEM blocks (at least one) in ``value``, or in the file it names; raises :class:`KeyRefused`."""
    text = _unquoted(value)
    if not text:
        raise KeyRefused("it is empty")
    blocks = _from_text(text)
    return blocks if blocks is not None else _from_file(text)


def _unquoted(value: str) -> str:
    """Without the quotes that `docker --env-file` keeps and shells remove."""
    text = value.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _from_text(text: str) -> list[Block] | None:
    """The blocks of PEM or of Base64 of PEM; None when ``text`` is neither."""
    if _BEGIN in text:
        return _blocks(text.replace("\\r", "").replace("\\n", "\n"))
    compact = "".join(text.split())
    if _BASE64.fullmatch(compact) is None:
        return None
    try:
        decoded = base64.b64decode(compact, validate=True)
    except binascii.Error:
        return None
    if _BEGIN.encode() in decoded:
        return _blocks(decoded.decode("ascii", "replace"))
    if decoded.startswith(_DER) and len(decoded) > 100:
        raise KeyRefused(f"the Base64 {_DER_REFUSED}")
    return None


def _blocks(text: str) -> list[Block]:
    blocks = [Block(match[1], match[0].encode("ascii", "replace")) for match in _BLOCK.finditer(text)]
    if len(blocks) != text.count(_BEGIN):
        raise KeyRefused(
            "a PEM block has no END line of its own; was the value cut at a line break? "
            "Write line breaks as \\n, or give Base64 of the file, or its path"
        )
    return blocks


def _from_file(path: str) -> list[Block]:
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise KeyRefused("it is neither PEM, nor Base64 of PEM, nor the path of a file that exists") from None
    except IsADirectoryError:
        raise KeyRefused("the path is a directory; name the key file in it") from None
    except PermissionError:
        raise KeyRefused("the file may not be read by this user; check its owner and mode") from None
    except (OSError, ValueError):
        raise KeyRefused("it is neither PEM, nor Base64 of PEM, nor a path that can be read") from None
    if len(data) > FILE_BYTES_MAX:
        raise KeyRefused(f"the file is larger than {FILE_BYTES_MAX} bytes; that is no key")
    if data.startswith(_DER):
        raise KeyRefused(f"the file {_DER_REFUSED}")
    blocks = _from_text(_unquoted(data.decode("utf-8-sig", "replace")))
    if blocks is None:
        raise KeyRefused("the file holds neither PEM nor Base64 of PEM")
    return blocks
