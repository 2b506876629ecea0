"""What a person is told when an address is revealed: how much, on which network, to which address, and until when.

The exact amount, the network in words, the whole address in groups, a QR code of the address, and, for EVM networks, an
EIP-681 text. That text names the token's contract first, so it is never shown alone: a wallet that does not understand it
whole must not be the only reader. Chain ids, contracts and decimals are pinned here, for whoever checks a chain later.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

import segno

from checkout.errors import RequestRefused
from checkout.rules.money import Money

#: Networks as people name them, and the chain id of EVM networks.
NETWORK_NAMES: Final = MappingProxyType(
    {
        "arbitrum": "Arbitrum One", "avalanche": "Avalanche C-Chain", "base": "Base", "ethereum": "Ethereum mainnet",
        "optimism": "OP Mainnet (Optimism)", "polygon": "Polygon PoS", "polygon-amoy": "Polygon Amoy (a test network)",
        "solana": "Solana", "tron": "Tron",
    }
)  # fmt: skip
CHAIN_IDS: Final = MappingProxyType(
    {
        "arbitrum": 42161, "avalanche": 43114, "base": 8453, "ethereum": 1, "optimism": 10, "polygon": 137,
        "polygon-amoy": 80002,
    }
)  # fmt: skip
#: Contracts that are beyond doubt. Absent: ambiguous (USDT on Optimism), bridged (USDT on Base) or a test network.
CONTRACTS: Final = MappingProxyType(
    {
        ("USDC", "ethereum"): "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
        ("USDC", "polygon"): "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
        ("USDC", "base"): "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        ("USDC", "arbitrum"): "0xaf88d065e77c8cC2239327C5EDb3A432268e5831",
        ("USDC", "optimism"): "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85",
        ("USDC", "avalanche"): "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E",
        ("USDC", "solana"): "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v",
        ("USDT", "ethereum"): "0xdAC17F958D2ee523a2206206994597C13D831ec7",
        ("USDT", "polygon"): "0xc2132D05D31c914a87C6611C10748AEb04B58e8F",
        ("USDT", "arbitrum"): "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9",
        ("USDT", "avalanche"): "0x9702230A8Ea53601f5cD2dc00fDBc13d4dF4A8c7",
        ("USDT", "solana"): "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB",
        ("USDT", "tron"): "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    }
)
_EVM_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_EVM_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_TRON_HASH: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
#: A Solana transaction is named by its first signature: 64 bytes in Base58.
_SOLANA_HASH: Final = re.compile(f"[{_BASE58}]{{64,88}}")
_SIGNATURE_BITS: Final = 512
GROUP: Final = 4


@dataclass(frozen=True, slots=True)
class Instructions:
    """What to send, where, until when. Shown once asked for by name, never logged."""

    payout_id: str
    asset: str
    network: str
    amount: str  #: exact decimal text
    base_units: int  #: the same as a chain counts it
    address: str = field(repr=False)
    fundable_until: datetime
    seconds_left: int

    @property
    def network_name(self) -> str:
        """The network in words; its own word where no other is known."""
        return NETWORK_NAMES.get(self.network, self.network)

    @property
    def chain_id(self) -> int | None:
        return CHAIN_IDS.get(self.network)

    @property
    def contract(self) -> str | None:
        """The token's contract (or mint), where it is beyond doubt."""
        return CONTRACTS.get((self.asset, self.network))

    @property
    def address_grouped(self) -> str:
        """The whole address in groups of four, for comparing by eye; nothing of it is left out."""
        prefix = "0x " if _EVM_ADDRESS.fullmatch(self.address) else ""
        rest = self.address[2:] if prefix else self.address
        return prefix + " ".join(rest[at : at + GROUP] for at in range(0, len(rest), GROUP))

    @property
    def uri(self) -> str | None:
        """EIP-681 for a token transfer; None where the network, the contract or the address does not allow it."""
        if self.chain_id is None or self.contract is None or not _EVM_ADDRESS.fullmatch(self.address):
            return None
        call = f"transfer?address={self.address}&uint256={self.base_units}"
        return f"ethereum:{self.contract}@{self.chain_id}/{call}"

    @property
    def time_left(self) -> str:
        """``14 min 05 s``."""
        minutes, seconds = divmod(max(self.seconds_left, 0), 60)
        return f"{minutes} min {seconds:02} s"

    def qr_terminal(self) -> str:
        """A QR code of the address alone, drawn with characters."""
        drawn = io.StringIO()
        segno.make(self.address, error="m", micro=False).terminal(out=drawn, compact=True)
        return drawn.getvalue().rstrip("\n")

    def qr_svg(self) -> bytes:
        """The same as an SVG document."""
        drawn = io.BytesIO()
        segno.make(self.address, error="m", micro=False).save(drawn, kind="svg", scale=6, border=4)
        return drawn.getvalue()


def instructions(
    payout_id: str, amount: Money, network: str, address: str, *, fundable_until: datetime, now: datetime
) -> Instructions:
    """The instructions of a revealed address."""
    left = int((fundable_until - now).total_seconds())
    return Instructions(
        payout_id, amount.currency, network, amount.plain(), amount.minor, address, fundable_until, left
    )  # fmt: skip


def read_hash(text: str, network: str) -> str:
    """A transaction's hash in the one form it is stored in; RequestRefused says the form of this network."""
    given = text.strip()
    if network == "solana":
        if _SOLANA_HASH.fullmatch(given) and _base58_number(given) < 1 << _SIGNATURE_BITS:
            return given
        raise RequestRefused({"hash": "a Solana transaction is named by its signature: 87 or 88 Base58 characters"})
    if network == "tron":
        found = _TRON_HASH.fullmatch(given)
        if found is not None:
            return found.group(1).lower()
        raise RequestRefused({"hash": "a Tron transaction's hash is 64 hexadecimal digits"})
    if _EVM_HASH.fullmatch(given):
        return given.lower()
    raise RequestRefused({"hash": f"on {network} a transaction's hash is 0x and 64 hexadecimal digits"})


def _base58_number(text: str) -> int:
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    return number
