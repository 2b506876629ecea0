"""Every documented corridor, network and purpose over HTTP: what this service takes, the provider's documents take too."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import product

import pytest

from checkout.destinations.corridors import CURRENCIES, DOCUMENTED_NETWORKS, NETWORKS, RAILS
from checkout.destinations.purpose_codes import PURPOSES
from checkout.providers.outcome import Accepted, Declined
from checkout.providers.stables_requests import QuoteRequest, TransferRequest
from checkout.rules.money import parse_amount
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.account_samples import account
from tests.offramp import Offramp, offramp

CORRIDORS = list(product(CURRENCIES, RAILS))
SOURCES = [(asset, network) for asset, networks in NETWORKS.items() for network in sorted(networks)]


@pytest.fixture(scope="module")
def ramp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{tmp_path_factory.mktemp('corridors') / 'checkout.db'}") as made:
        made.switch(beneficiary_extras_required=True, quote_life_s=100_000)
        yield made


def quote(
    ramp: Offramp, currency: str = "EUR", rail: str = "bank", asset: str = "USDC", network: str = "polygon"
) -> str:
    country = account(currency, rail)["destination"]["country"]
    asked = QuoteRequest(
        source=parse_amount("100", asset), source_network=network, currency=currency, country=country, network=rail
    )
    outcome = ramp.system.services.stables.create_quote(asked, key=str(uuid.uuid4()))
    assert isinstance(outcome, Accepted), outcome
    return outcome.value.id


def transfer(ramp: Offramp, quote_id: str, bank: dict[str, object], purpose: str = "MERCHANT_SETTLEMENT") -> object:
    asked = TransferRequest(
        quote_id=quote_id, customer_id=CUSTOMER_ID, bank=bank, purpose_code=purpose,
        metadata={"installation": "i", "payout": "p", "attempt": "a"},
    )  # fmt: skip
    return ramp.system.services.stables.create_transfer(asked, key=str(uuid.uuid4()))


@pytest.mark.parametrize(("currency", "rail"), CORRIDORS)
def test_an_account_of_every_corridor_is_checked_quoted_and_made_a_transfer(
    ramp: Offramp, currency: str, rail: str
) -> None:
    content = {**account(currency, rail), "name": f"{currency} {rail}"}
    added = ramp.system.services.payout_accounts.add(ramp.system.store.id, content, who="ann")
    assert (added["provider_check"], added["warnings"]) == ("valid", [])
    assert isinstance(transfer(ramp, quote(ramp, currency, rail), content["bank"]), Accepted)


@pytest.mark.parametrize(("asset", "network"), SOURCES)
def test_every_source_that_is_taken_here_is_quoted(ramp: Offramp, asset: str, network: str) -> None:
    assert network in DOCUMENTED_NETWORKS[asset]
    assert quote(ramp, asset=asset, network=network)


@pytest.mark.parametrize("code", sorted(PURPOSES))
def test_every_purpose_is_taken_with_a_transfer(ramp: Offramp, code: str) -> None:
    assert isinstance(transfer(ramp, quote(ramp), account()["bank"], code), Accepted)


def test_usdc_on_tron_is_not_quoted_by_the_provider_either(ramp: Offramp) -> None:
    asked = QuoteRequest(
        source=parse_amount("100", "USDC"), source_network="tron", currency="EUR", country="DE", network="bank"
    )
    assert isinstance(ramp.system.services.stables.create_quote(asked, key=str(uuid.uuid4())), Declined)
