"""What the simulated Stables shows of a transfer: every form it may come in, and every way it may not be true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from checkout.simulator.stables.addresses import checksummed, keccak256
from tests.edges.test_simulator_stables_kit import Port, fresh, simulated, transfer_body


@pytest.fixture(scope="module")
def running() -> Iterator[Port]:
    with simulated() as port:
        yield port


@pytest.fixture
def port(running: Port) -> Port:
    return fresh(running)


def test_instructions_are_missing_from_the_first_answers_when_asked(port: Port) -> None:
    port.switch(null_instructions_reads=2)
    transfer = port.transfer()
    shown = [transfer, *(port.get(f"transfers/{transfer['id']}").json() for _ in range(3))]
    assert [one["source_deposit_instructions"] is None for one in shown] == [True, True, True, False]


@pytest.mark.parametrize(
    ("switch", "value", "path"),
    [
        ("tamper_destination", "iban", ("destination", "iban")),
        ("tamper_destination", "account_holder_name", ("destination", "account_holder_name")),
        ("tamper_amount", "1.23", ("destination", "amount")),
        ("tamper_currency", "gbp", ("destination", "currency")),
        ("tamper_source_amount", "100.01", ("source_deposit_instructions", "amount")),
        ("tamper_asset", "usdt", ("source_deposit_instructions", "currency")),
        ("tamper_network", "base", ("source_deposit_instructions", "network")),
        ("tamper_customer", True, ("customer_id",)),
        ("tamper_quote", True, ("quote_id",)),
        ("metadata_echo", "other", ("metadata", "payout")),
    ],
)
def test_a_tampered_answer_differs_in_one_place_and_what_is_kept_does_not(
    port: Port, switch: str, value: object, path: tuple[str, ...]
) -> None:
    honest = port.transfer()
    ident = honest["id"]
    kept = port.kept(ident)
    honest = port.get(f"transfers/{ident}").json()
    port.switch(**{switch: value})
    tampered = port.get(f"transfers/{ident}").json()
    assert _at(tampered, path) != _at(honest, path)
    if switch != "metadata_echo":
        assert _flat(tampered).keys() == _flat(honest).keys()
        differing = {name for name, one in _flat(honest).items() if _flat(tampered)[name] != one}
        assert differing == {".".join(path)}
    again = port.kept(ident)
    assert (again["quote_id"], again["instructed_amount"], again["metadata"]) == (
        kept["quote_id"],
        kept["instructed_amount"],
        kept["metadata"],
    )


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


def _flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


@pytest.mark.parametrize(("form", "shown"), [("shortest", "9.7"), ("as_sent", "9.70"), ("padded", "9.700000")])
def test_amounts_and_codes_come_in_the_form_the_switch_says(port: Port, form: str, shown: str) -> None:
    port.switch(amount_form=form, answer_case="upper", transfer_answer=201)
    quote = port.quote(amount="9.70")
    answer = port.post("transfer", transfer_body(quote["quote_id"]))
    assert answer.status_code == 201
    assert answer.json()["source_deposit_instructions"]["amount"] == shown
    assert answer.json()["source_deposit_instructions"]["currency"] == "USDC"
    assert answer.json()["destination"]["currency"] == "EUR"


def test_sparse_answers_leave_out_what_the_openapi_lets_be_null(port: Port) -> None:
    port.switch(sparse_answers=True, metadata_echo="absent")
    transfer = port.transfer()
    assert transfer["destination"] is None
    assert transfer["fees"] is None
    assert transfer["exchange_rate"] is None
    assert "metadata" not in transfer


@pytest.mark.parametrize(("mode", "less"), [("absent", None), ("as_quoted", 0), ("one_cent_less", 1)])
def test_the_actual_payout_appears_on_completion_when_asked(port: Port, mode: str, less: int | None) -> None:
    port.switch(actual_payout=mode)
    transfer = port.transfer()
    ident = transfer["id"]
    assert "actual_payout" not in port.get(f"transfers/{ident}").json()
    port.deposit(ident)
    final = port.get(f"transfers/{ident}").json()
    assert final["status"] == "completed"
    if less is None:
        assert "actual_payout" not in final
    else:
        quoted = round(float(transfer["destination"]["amount"]) * 100)
        assert final["actual_payout"]["amount_minor"] == quoted - less


@pytest.mark.parametrize("network", ["polygon", "solana", "tron"])
@pytest.mark.parametrize("form", ["sandbox", "onchain", "bad_checksum"])
def test_every_address_is_used_once_in_every_form(port: Port, form: str, network: str) -> None:
    port.switch(address_form=form)
    addresses = set()
    for _ in range(3):
        quote = port.quote(asset="USDT", network=network)
        transfer = port.transfer(quote_id=quote["quote_id"])
        addresses.add(transfer["source_deposit_instructions"]["wallet_address"])
    assert len(addresses) == 3
    if form == "sandbox":
        assert all(address.startswith(f"sandbox:{network}:") for address in addresses)


def test_the_hash_of_ethereum_addresses_is_keccak_and_checks_known_tokens() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"a" * 136).hex() != keccak256(b"a" * 135).hex()
    for token in (
        "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
        "0xdAC17F958D2ee523a2206206994597C13D831ec7",
        "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359",
    ):
        assert checksummed(bytes.fromhex(token[2:])) == token
