"""What a person is told to send: exact, whole, and in a form that no wallet can take for something else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.destinations.addresses import EVM_NETWORKS, NETWORKS, address_fits
from checkout.errors import RequestRefused
from checkout.paying_out.funding_instructions import CHAIN_IDS, CONTRACTS, NETWORK_NAMES, instructions, read_hash
from checkout.rules.money import Money

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
SOLANA = "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV"
TRON = "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8"


def test_an_evm_network_has_a_uri_that_says_token_chain_recipient_and_base_units() -> None:
    made = instructions("out_1", Money(9_710_000, "USDC"), "polygon", ADDRESS, fundable_until=NOW, now=NOW)
    assert made.uri == (
        "ethereum:0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359@137/transfer"
        f"?address={ADDRESS}&uint256=9710000"
    )  # fmt: skip
    assert (made.network_name, made.chain_id, made.amount) == ("Polygon PoS", 137, "9.71")
    assert made.address_grouped == "0x 5aAe b605 3F3E 94C9 b9A0 9f33 6694 35E7 Ef1B eAed"


@pytest.mark.parametrize(
    ("asset", "network", "address"),
    [
        ("USDC", "solana", SOLANA), ("USDT", "tron", TRON), ("USDC", "polygon", "sandbox:polygon:00ff"),
        ("USDT", "optimism", ADDRESS), ("USDT", "base", ADDRESS), ("USDC", "polygon-amoy", ADDRESS),
    ],
)  # fmt: skip
def test_where_a_uri_would_say_less_than_the_whole_truth_there_is_none(asset: str, network: str, address: str) -> None:
    made = instructions("out_1", Money(1, asset), network, address, fundable_until=NOW, now=NOW)
    assert made.uri is None
    assert made.address_grouped.replace(" ", "") == address


@given(st.sampled_from([ADDRESS, SOLANA, TRON, "sandbox:solana:" + "0f" * 20]), st.integers(1, 10**18))
def test_nothing_of_the_address_or_amount_is_ever_left_out(address: str, minor: int) -> None:
    made = instructions("out_1", Money(minor, "USDC"), "base", address, fundable_until=NOW, now=NOW)
    assert made.address_grouped.replace(" ", "") == address
    assert all(len(group) <= 4 for group in made.address_grouped.split())
    assert made.base_units == minor
    if made.uri is not None:
        assert made.uri.endswith(f"?address={address}&uint256={minor}")
    assert address not in repr(made)


@pytest.mark.parametrize(
    ("left", "words"), [(845.9, "14 min 05 s"), (59, "0 min 59 s"), (0, "0 min 00 s"), (-5, "0 min 00 s")]
)
def test_the_time_left_is_never_more_than_there_is(left: float, words: str) -> None:
    made = instructions("o", Money(1, "USDC"), "base", ADDRESS, fundable_until=NOW + timedelta(seconds=left), now=NOW)
    assert made.time_left == words


def test_the_qr_code_is_drawn_for_a_terminal_and_as_a_picture() -> None:
    made = instructions("o", Money(1, "USDC"), "base", ADDRESS, fundable_until=NOW, now=NOW)
    drawn = made.qr_terminal()
    assert len(drawn.splitlines()) > 10
    picture = ElementTree.fromstring(made.qr_svg())  # noqa: S314 - made a line above
    assert picture.tag.endswith("svg")
    other = instructions("o", Money(2, "USDT"), "base", ADDRESS, fundable_until=NOW, now=NOW)
    assert other.qr_svg() == made.qr_svg(), "it holds the address alone"


def test_every_network_that_is_paid_from_has_a_name_and_every_evm_network_a_chain() -> None:
    networks = set().union(*NETWORKS.values())
    assert networks <= set(NETWORK_NAMES)
    assert set(CHAIN_IDS) == EVM_NETWORKS
    assert len(set(CHAIN_IDS.values())) == len(CHAIN_IDS)


@pytest.mark.parametrize(("pair", "contract"), CONTRACTS.items())
def test_every_contract_has_the_form_of_its_network(pair: tuple[str, str], contract: str) -> None:
    asset, network = pair
    assert asset in NETWORKS
    assert address_fits(contract, network, sandbox=False)
    assert list(CONTRACTS.values()).count(contract) == 1


EVM = "0x" + "aB" * 32
SIGNATURE = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"


@pytest.mark.parametrize(
    ("network", "text", "stored"),
    [
        ("polygon", EVM, EVM.lower()), ("base", f" {EVM} ", EVM.lower()), ("tron", "AB" * 32, "ab" * 32),
        ("tron", EVM, "ab" * 32), ("solana", SIGNATURE, SIGNATURE),
    ],
)  # fmt: skip
def test_a_hash_has_one_stored_form(network: str, text: str, stored: str) -> None:
    assert read_hash(text, network) == stored


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("polygon", "0xabc"), ("polygon", "ab" * 32), ("ethereum", EVM + "0"), ("polygon", SIGNATURE),
        ("tron", "0x" + "g" * 64),
        ("tron", "ab" * 31), ("solana", EVM), ("solana", "0" * 88), ("solana", "z" * 88), ("solana", "1" * 20), ("base", ""),
    ],
)  # fmt: skip
def test_what_is_no_hash_of_the_network_is_refused_with_its_form(network: str, text: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        read_hash(text, network)
    assert list(refused.value.fields) == ["hash"]
    assert re.search(r"64 hexadecimal|Base58", str(refused.value))
