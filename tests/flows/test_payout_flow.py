"""From a settlement record to the bank, against the simulated Stables over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from checkout.errors import NotPossible
from tests.offramp import Offramp, offramp


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url) as made:
        yield made


def test_a_settlement_record_becomes_a_bank_credit(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    payouts = ramp.system.services.payouts
    out = payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    ramp.until(out, "quoted")
    payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    shown = payouts.reveal(out, who="ann")
    assert (shown.asset, shown.network, shown.amount) == ("USDC", "polygon", "9.71")
    payouts.simulate_deposit(out, who="ann")
    ramp.until(out, "completed")
    (transfer,) = ramp.transfers()
    assert transfer["deposits"]["count"] == 1
    balances = ramp.system.balances()
    assert balances["exchange/USDC@polygon"] == 0 if "exchange/USDC@polygon" in balances else True
    assert ramp.system.services.report.balance()["balanced"]
    assert balances["bank/EUR"] > 0
    assert ramp.system.cases() == []


def test_nobody_can_fund_what_was_never_revealed(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    payouts = ramp.system.services.payouts
    out = payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    ramp.until(out, "quoted")
    payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    with pytest.raises(NotPossible, match="never revealed"):
        payouts.simulate_deposit(out, who="ann")
    with pytest.raises(NotPossible, match="never revealed"):
        payouts.funded(out, tx_hash="0xabc", who="ann")
    (transfer,) = ramp.transfers()
    assert transfer["deposits"]["count"] == 0
