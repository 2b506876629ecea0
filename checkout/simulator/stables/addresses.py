"""Single-use deposit addresses, in every form an instruction may show.

The sandbox shows a placeholder (OBSERVED); live transfers show an address of the network. The second form
exists here so that the service's own check of an address can be tried with a right checksum and with a
wrong one. Nobody holds a key to any of them: money sent there would be lost, which is why the placeholder
is the default.
"""

from __future__ import annotations

import hashlib
from typing import Final

_ROTATIONS: Final = (
    0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14,
)  # fmt: skip
_ROUNDS: Final = (
    0x1, 0x8082, 0x800000000000808A, 0x8000000080008000, 0x808B,
    0x80000001, 0x8000000080008081, 0x8000000000008009, 0x8A, 0x88,
    0x80008009, 0x8000000A, 0x8000808B, 0x800000000000008B, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x80000001, 0x8000000080008008,
)  # fmt: skip
_MASK: Final = (1 << 64) - 1
_RATE: Final = 136
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _turn(lane: int, by: int) -> int:
    return ((lane << by) | (lane >> (64 - by))) & _MASK if by else lane


def _permute(lanes: list[int]) -> list[int]:
    for constant in _ROUNDS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        lanes = [
            lane ^ columns[(i + 4) % 5] ^ _turn(columns[(i + 1) % 5], 1)
            for i, lane in ((i, lanes[i]) for i in range(25))
        ]
        moved = [0] * 25
        for x in range(5):
            for y in range(5):
                moved[y + 5 * ((2 * x + 3 * y) % 5)] = _turn(lanes[x + 5 * y], _ROTATIONS[x + 5 * y])
        lanes = [
            moved[i] ^ (~moved[(i + 1) % 5 + i // 5 * 5] & _MASK & moved[(i + 2) % 5 + i // 5 * 5]) for i in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def keccak256(message: bytes) -> bytes:
    """The hash of Ethereum addresses: Keccak with its original padding, which ``hashlib.sha3_256`` is not."""
    padding = bytearray(_RATE - len(message) % _RATE)
    padding[0] ^= 0x01
    padding[-1] ^= 0x80
    padded = message + bytes(padding)
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        for i in range(_RATE // 8):
            lanes[i] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def checksummed(address: bytes) -> str:
    """Twenty bytes as an EIP-55 address: the letter case carries the checksum."""
    plain = address.hex()
    digest = keccak256(plain.encode()).hex()
    return "0x" + "".join(c.upper() if int(digest[i], 16) >= 8 else c for i, c in enumerate(plain))


def _base58(raw: bytes) -> str:
    number, text = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def _broken(address: str) -> str:
    """The same address with the case of its first letter turned, so that only the checksum is wrong."""
    at = next((i for i, c in enumerate(address) if i > 1 and c.isalpha()), len(address) - 1)
    return address[:at] + address[at].swapcase() + address[at + 1 :]


def deposit_address(network: str, entropy: bytes, form: str) -> str:
    """One address for one transfer.

    ``entropy`` is 32 random bytes; ``form`` is ``sandbox`` (``sandbox:<network>:<hex>``, OBSERVED),
    ``onchain`` (an address of the network with a right checksum) or ``bad_checksum`` (the same with the
    checksum broken).
    """
    if form == "sandbox":
        return f"sandbox:{network}:{entropy[:20].hex()}"
    if network == "solana":
        # Solana addresses carry no checksum: what can be wrong is the length.
        return _base58(entropy if form == "onchain" else entropy + entropy[:1])
    if network == "tron":
        body = b"\x41" + entropy[:20]
        proof = hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4]
        return _base58(body + (proof if form == "onchain" else bytes(b ^ 0xFF for b in proof)))
    address = checksummed(entropy[:20])
    return address if form == "onchain" else _broken(address)
