"""Whether a deposit address has the form of its network. Forms and checksums only: nothing here asks a chain.

EIP-55 for EVM networks, Base58Check for Tron, 32 Base58 bytes for Solana. Keccak is not ``hashlib.sha3_256``.
"""

from __future__ import annotations

import re
from typing import Final

import base58
from Crypto.Hash import keccak

from checkout.destinations.corridors import NETWORKS

__all__ = ["EVM_NETWORKS", "NETWORKS", "address_fits"]

EVM_NETWORKS: Final = frozenset({"arbitrum", "avalanche", "base", "ethereum", "optimism", "polygon", "polygon-amoy"})
_EVM: Final = re.compile(r"0x[0-9a-fA-F]{40}")
#: Sandbox answers hold such words instead of addresses (providers.md B3, OBSERVED).
_PLACEHOLDER: Final = re.compile(r"sandbox:([a-z0-9-]+):[0-9A-Za-z]+")
_TRON_MAIN: Final = 0x41


def address_fits(address: str, network: str, *, sandbox: bool) -> bool:
    """Whether ``address`` can be one of ``network``. Placeholders count in the sandbox only; zero never."""
    placeholder = _PLACEHOLDER.fullmatch(address)
    if placeholder is not None:
        return sandbox and placeholder.group(1) == network
    if network in EVM_NETWORKS:
        return _EVM.fullmatch(address) is not None and int(address, 16) != 0 and _checksum_holds(address)
    if network == "tron":
        return _tron(address)
    return network == "solana" and _solana(address)


def _checksum_holds(address: str) -> bool:
    """EIP-55: mixed case must be the checksum's; one case carries none and is left to the provider's word."""
    digits = address[2:]
    if digits in (digits.lower(), digits.upper()):
        return True
    digest = keccak.new(digest_bits=256, data=digits.lower().encode()).hexdigest()
    expected = "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits.lower(), digest, strict=False)
    )
    return digits == expected


def _tron(address: str) -> bool:
    try:
        payload = base58.b58decode_check(address)
    except ValueError:
        return False
    return len(payload) == 21 and payload[0] == _TRON_MAIN


def _solana(address: str) -> bool:
    try:
        return len(base58.b58decode(address)) == 32
    except ValueError:
        return False
