"""Evidence, treasury and allocation: only what somebody entered, or a declared peg, ever becomes treasury."""

from __future__ import annotations

from typing import Any

import pytest

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.store import moves, payments, payouts, stores
from checkout.store.records import DepositRow
from checkout.treasury import DEPOSITS_MAX, Recorded
from tests.system import BANK, System

ASSET = "USDC@polygon"


def deposit(system: System, *words: str, amount: str = "9.00", currency: str = "EUR", **fields: Any) -> DepositRow:
    """The first deposit of a fresh payment that asks for the amount, after these words (settled when there are none)."""
    session = system.sessions(system.pay(amount, currency).payment.id)[0]
    stated = {"amount": float(amount), "currency": currency, **fields}
    system.hear(session, *(words or ("completed",)), **stated)
    with system.database.read() as unit:
        return payments.deposits_of(unit, session.payment_id)[0]


def record(system: System, *deposits: str, **changes: Any) -> Recorded:
    entered: dict[str, Any] = {
        "asset": "USDC", "network": "polygon", "amount": "9.71", "fee": "0", "evidence": "a statement", "who": "ann",
    }  # fmt: skip
    return system.services.treasury.record(system.store.id, deposits=list(deposits), **{**entered, **changes})


def declare_pegs(system: System, currency: str = "USD") -> None:
    system.services.stores.rule(
        system.store.id, currency=currency, asset="USDC", network="polygon", evidence="declared", settles_gross=True,
        who="ann",
    )  # fmt: skip


# --- evidence ----------------------------------------------------------------------------------------------------


def test_what_arrived_is_what_was_entered_and_the_fee_stays_at_stable_mint(system: System) -> None:
    one, other = deposit(system), deposit(system, amount="1.00")
    made = record(system, one.id, other.reference, amount="10.71", fee="0.29")
    assert (made.received.plain(), made.free.plain()) == ("10.71", "10.71")
    assert set(made.deposits) == {one.id, other.id}
    assert system.balances() == {
        "shopper_receivable/EUR": -1000, "stable_mint_fee/EUR": 29, "exchange/EUR": 971,
        f"exchange/{ASSET}": -10_710_000, f"treasury_free/{ASSET}": 10_710_000,
    }  # fmt: skip
    with system.database.read() as unit:
        stored = payouts.settlement_record_by_id(unit, made.id)
        acts = [(act["who"], act["action"]) for act in moves.acts_on(unit, made.id)]
    assert stored is not None
    assert (stored.kind, stored.evidence, stored.created_by) == ("recorded", "a statement", "ann")
    assert acts == [("ann", "settlement recorded")]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"asset": "DOGE"}, {"asset"}),
        ({"asset": "EUR"}, {"asset"}),
        ({"amount": "0"}, {"amount"}),
        ({"amount": "-1"}, {"amount"}),
        ({"amount": "1e3"}, {"amount"}),
        ({"amount": "9.7100001"}, {"amount"}),
        ({"amount": 9.71}, {"amount"}),
        ({"evidence": "  "}, {"evidence"}),
        ({"fee": "-0.01"}, {"fee"}),
        ({"fee": "0.001"}, {"fee"}),
        ({"fee": "9.01"}, {"fee"}),
        ({"fee": "9.00"}, {"fee"}),
        ({"asset": "DOGE", "evidence": ""}, {"asset", "evidence"}),
        ({"amount": "", "evidence": ""}, {"amount", "evidence"}),
    ],
)
def test_what_cannot_be_evidence_is_refused_with_every_bad_field(
    shared_system: System, changes: dict[str, Any], fields: set[str]
) -> None:
    settled = deposit(shared_system)
    before = shared_system.balances()
    with pytest.raises(RequestRefused) as refused:
        record(shared_system, settled.id, **changes)
    assert set(refused.value.fields) == fields
    assert shared_system.balances() == before


@pytest.mark.parametrize("named", [[], ["dep_x"] * 2, [f"dep_{number}" for number in range(DEPOSITS_MAX + 1)]])
def test_a_record_names_each_of_its_deposits_once_and_not_too_many(shared_system: System, named: list[str]) -> None:
    with pytest.raises(RequestRefused) as refused:
        record(shared_system, *named)
    assert set(refused.value.fields) == {"deposit"}


def test_a_deposit_named_by_id_and_by_reference_counts_once(sqlite_system: System) -> None:
    settled = deposit(sqlite_system)
    assert record(sqlite_system, settled.id, settled.reference).deposits == (settled.id,)
    assert sqlite_system.balances()["exchange/EUR"] == 900


def test_a_store_or_deposit_that_is_not_there_is_named(sqlite_system: System) -> None:
    settled = deposit(sqlite_system)
    with pytest.raises(NotFound, match="dep_none"):
        record(sqlite_system, settled.id, "dep_none")
    with pytest.raises(NotFound, match="store"):
        sqlite_system.services.treasury.record(
            "nobody",
            asset="USDC",
            network="polygon",
            amount="1",
            fee="0",
            deposits=[settled.id],
            evidence="x",
            who="ann",
        )
    with pytest.raises(NotFound, match="store"):
        sqlite_system.services.treasury.overview("nobody")


def test_another_stores_deposit_is_not_there(sqlite_system: System) -> None:
    settled = deposit(sqlite_system)
    other = sqlite_system.services.stores.create("Other", ["https://other.example"], who="ann")
    sqlite_system.store = sqlite_system.services.stores.find(other.id)
    with pytest.raises(NotFound, match=settled.id):
        record(sqlite_system, settled.id)


@pytest.mark.parametrize(
    ("words", "why"), [(("accepted",), "is accepted"), (("created",), "is open"), (("failed",), "is failed")]
)
def test_only_settled_money_can_have_arrived(shared_system: System, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(NotPossible, match=why):
        record(shared_system, deposit(shared_system, *words).id)


def test_money_that_went_elsewhere_is_no_evidence_until_a_person_allocates_it(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "created", version="v1", blockchainDestinationType="Customer")
    system.hear(session, "completed")
    with pytest.raises(NotPossible, match="not ours"):
        record(system, str(session.reference))
    system.services.treasury.allocate(str(session.reference), evidence="it came back", who="ann")
    record(system, str(session.reference))
    assert system.balances()[f"treasury_free/{ASSET}"] == 9_710_000


def test_a_deposit_is_in_one_record_only(system: System) -> None:
    settled = deposit(system)
    made = record(system, settled.id)
    with pytest.raises(NotPossible, match=made.id):
        record(system, settled.id)


def test_a_deposit_that_is_being_refunded_enters_no_record(sqlite_system: System) -> None:
    settled = deposit(sqlite_system)
    with sqlite_system.database.write() as unit:
        payments.update_deposit(unit, settled.id, refund_live=True)
    with pytest.raises(NotPossible, match="refund under way"):
        record(sqlite_system, settled.id)


def test_deposits_of_two_currencies_need_two_records(sqlite_system: System) -> None:
    euro, dollar = deposit(sqlite_system), deposit(sqlite_system, currency="USD")
    with pytest.raises(NotPossible, match="different currencies"):
        record(sqlite_system, euro.id, dollar.id)


@pytest.mark.parametrize("changes", [{"asset": "USDT"}, {"network": "ethereum"}])
def test_evidence_follows_the_stores_rule(shared_system: System, changes: dict[str, str]) -> None:
    with pytest.raises(NotPossible, match="settlement rule"):
        record(shared_system, deposit(shared_system).id, **changes)


def test_a_currency_without_a_rule_has_no_evidence(sqlite_system: System) -> None:
    with pytest.raises(NotPossible, match="no settlement rule for USD"):
        record(sqlite_system, deposit(sqlite_system, currency="USD").id)


def test_a_record_of_nobodys_money_alone_is_held_back_whole_and_bears_no_fee(sqlite_system: System) -> None:
    system = sqlite_system
    short = deposit(system, amount="9.00")
    session = system.sessions(short.payment_id)[0]
    system.hear(session, "completed", reference="SECOND")
    with pytest.raises(RequestRefused, match="fee"):
        record(system, "SECOND", fee="0.01")
    made = record(system, "SECOND")
    assert made.free.minor == 0
    assert system.balances()[f"unallocated/{ASSET}"] == 9_710_000


# --- allocation --------------------------------------------------------------------------------------------------


def test_allocation_needs_evidence_a_settled_deposit_and_money_of_nobody(system: System) -> None:
    allocate = system.services.treasury.allocate
    accepted, settled = deposit(system, "accepted", amount="8.00"), deposit(system)
    with pytest.raises(RequestRefused):
        allocate(settled.id, evidence=" ", who="ann")
    with pytest.raises(NotFound):
        allocate("dep_none", evidence="x", who="ann")
    with pytest.raises(NotPossible, match="not settled yet"):
        allocate(accepted.id, evidence="x", who="ann")
    with pytest.raises(NotPossible, match="no unallocated money"):
        allocate(settled.id, evidence="x", who="ann")


def test_a_deposit_is_allocated_once_and_not_while_it_is_being_refunded(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    for amount, reference in ((8, "SHORT"), (7, "SHORTER")):
        system.hear(session, "completed", amount=amount, reference=reference)
    system.services.treasury.allocate("SHORT", evidence="kept as a deposit", who="ann")
    with pytest.raises(NotPossible, match="already allocated"):
        system.services.treasury.allocate("SHORT", evidence="again", who="ann")
    with system.database.write() as unit:
        found = payments.deposit_by_reference(unit, "SHORTER")
        assert found is not None
        payments.update_deposit(unit, found.id, refund_live=True)
    with pytest.raises(NotPossible, match="being refunded"):
        system.services.treasury.allocate("SHORTER", evidence="x", who="ann")
    # it is treasury's, and the order is as unpaid as before
    payment = system.payment(session.payment_id)
    assert (payment.status, payment.counted_deposit_id) == ("submitted", None)
    with system.database.read() as unit:
        short = payments.deposit_by_reference(unit, "SHORT")
        assert short is not None
        assert [act["who"] for act in moves.acts_on(unit, short.id)] == ["ann"]


def test_a_share_too_small_for_a_unit_of_the_asset_posts_nothing(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay("9.00").payment.id)[0]
    system.hear(session, "completed", amount=9.01)
    record(system, str(session.reference), amount="0.0001")
    before = system.balances()
    assert f"unallocated/{ASSET}" not in before
    system.services.treasury.allocate(str(session.reference), evidence="a cent", who="ann")
    assert system.balances() == before


def test_what_was_allocated_keeps_its_role_when_a_better_deposit_comes(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "completed", reference="FIRST")
    system.hear(session, "completed", reference="SECOND")
    system.services.treasury.allocate("SECOND", evidence="two of everything", who="ann")
    system.hear(session, "created", version="v1", reference="FIRST", blockchainDestinationType="Customer")
    with system.database.read() as unit:
        first = payments.deposit_by_reference(unit, "FIRST")
    assert first is not None
    assert system.payment(session.payment_id).counted_deposit_id == first.id
    assert system.balances() == {
        "shopper_receivable/EUR": -1800,
        "stable_mint_settled/EUR": 900,
        "unallocated/EUR": 900,
    }


# --- declared pegs -----------------------------------------------------------------------------------------------


def test_where_the_store_says_so_a_dollar_settled_is_a_dollar_received(system: System) -> None:
    declare_pegs(system)
    settled = deposit(system, "accepted", "completed", currency="USD")
    assert system.balances() == {
        "shopper_receivable/USD": -900, "exchange/USD": 900,
        f"exchange/{ASSET}": -9_000_000, f"treasury_free/{ASSET}": 9_000_000,
    }  # fmt: skip
    with system.database.read() as unit:
        found = payments.deposit_by_id(unit, settled.id)
        assert found is not None
        made = payouts.settlement_record_by_id(unit, found.settlement_record_id or "")
    assert made is not None
    assert (made.kind, made.received_minor, made.fee_minor, made.created_by) == ("declared", 9_000_000, 0, "checkout")
    with pytest.raises(NotPossible, match="already in settlement record"):
        record(system, settled.id)


def test_a_declared_excess_is_held_back_to_the_unit_until_it_is_allocated(sqlite_system: System) -> None:
    system = sqlite_system
    declare_pegs(system)
    settled = deposit(system, currency="USD")
    session = system.sessions(settled.payment_id)[0]
    system.hear(session, "completed", currency="USD", amount=1.5, reference="MORE")
    assert system.balances()[f"treasury_free/{ASSET}"] == 9_000_000
    assert system.balances()[f"unallocated/{ASSET}"] == 1_500_000
    system.services.treasury.allocate("MORE", evidence="a tip", who="ann")
    assert system.balances()[f"treasury_free/{ASSET}"] == 10_500_000
    with system.database.read() as unit:
        assert [minor for _, minor in payouts.allocated_shares(unit, system.store.id, "USDC", "polygon")] == [1_500_000]


@pytest.mark.parametrize(
    ("currency", "rule"),
    [
        ("USD", None),
        ("USD", {"evidence": "recorded", "settles_gross": True}),
        ("EUR", None),
    ],
)
def test_without_a_declared_peg_no_treasury_exists_before_somebody_enters_it(
    sqlite_system: System, currency: str, rule: dict[str, Any] | None
) -> None:
    system = sqlite_system
    if rule is not None:
        system.services.stores.rule(
            system.store.id, currency=currency, asset="USDC", network="polygon", who="ann", **rule
        )
    deposit(system, currency=currency)
    assert not [name for name in system.balances() if "@" in name]


@pytest.mark.parametrize(("currency", "gross"), [("EUR", True), ("USD", False)])
def test_only_the_assets_own_peg_paid_gross_can_be_declared(shared_system: System, currency: str, gross: bool) -> None:
    with pytest.raises(RequestRefused, match="declared needs"):
        shared_system.services.stores.rule(
            shared_system.store.id, currency=currency, asset="USDC", network="polygon", evidence="declared",
            settles_gross=gross, who="ann",
        )  # fmt: skip


@pytest.mark.parametrize("changes", [{"currency": "EUR"}, {"settles_gross": False}])
def test_a_rule_that_slipped_past_its_check_still_declares_nothing(
    sqlite_system: System, changes: dict[str, Any]
) -> None:
    system = sqlite_system
    rule: dict[str, Any] = {
        "store_id": system.store.id, "currency": "USD", "asset": "USDC", "network": "polygon", "evidence": "declared",
        "settles_gross": True, "created_at": system.clock.now, "created_by": "nobody",
    }  # fmt: skip
    with system.database.write() as unit:
        stores.set_rule(unit, rule | changes)
    deposit(system, currency=str((rule | changes)["currency"]))
    assert not [name for name in system.balances() if "@" in name]


def test_what_was_declared_is_taken_back_when_the_money_turns_out_to_be_elsewhere(system: System) -> None:
    declare_pegs(system)
    settled = deposit(system, currency="USD")
    assert system.balances()["treasury_free/USDC@polygon"] == 9_000_000
    session = system.sessions(settled.payment_id)[0]
    system.hear(session, "created", version="v1", blockchainDestinationType="Customer")
    assert system.balances() == {"shopper_receivable/USD": -900, "unallocated/USD": 900}
    assert system.cases() == ["foreign_destination"]
    assert system.services.treasury.overview(system.store.id)["treasury"] == [
        {"book": "treasury_free", "asset": "USDC@polygon", "amount": "0.000000"},
        {"book": "treasury_reserved", "asset": "USDC@polygon", "amount": "0.000000"},
        {"book": "treasury_in_transit", "asset": "USDC@polygon", "amount": "0.000000"},
        {"book": "unallocated", "asset": "USD", "amount": "9.00"},
    ]
    system.hear(session, "submitted")  # the same news again, or other news, changes nothing more
    assert system.balances() == {"shopper_receivable/USD": -900, "unallocated/USD": 900}
    assert system.services.report.balance()["balanced"]


def test_what_a_person_recorded_or_a_payout_holds_is_not_taken_back(sqlite_system: System) -> None:
    system = sqlite_system
    entered = deposit(system)
    record(system, entered.id, amount="9.71")
    before = system.balances()
    session = system.sessions(entered.payment_id)[0]
    system.hear(session, "created", version="v1", blockchainDestinationType="Customer")
    assert system.balances() == before
    declare_pegs(system)
    declared = deposit(system, currency="USD")
    system.services.payout_accounts.add(system.store.id, BANK, who="ann")
    system.services.payouts.propose(system.store.id, account_id=None, who="ann")
    held = system.balances()
    assert held["treasury_reserved/USDC@polygon"] == 9_710_000 + 9_000_000
    session = system.sessions(declared.payment_id)[0]
    system.hear(session, "created", version="v1", blockchainDestinationType="Customer")
    assert system.balances() == held
    assert system.cases().count("foreign_destination") == 2
    assert system.services.report.balance()["balanced"]


def test_the_news_in_the_other_order_ends_with_the_same_balances(sqlite_system: System) -> None:
    system = sqlite_system
    declare_pegs(system)
    payment = system.pay(currency="USD").payment
    session = system.sessions(payment.id)[0]
    system.hear(session, "created", version="v1", blockchainDestinationType="Customer")
    system.hear(session, "completed", currency="USD")
    assert system.balances() == {"shopper_receivable/USD": -900, "unallocated/USD": 900}


def test_what_was_allocated_by_a_person_stays_declared_whatever_is_heard_later(sqlite_system: System) -> None:
    system = sqlite_system
    declare_pegs(system)
    session = system.sessions(system.pay("9.00", "USD").payment.id)[0]
    system.hear(session, "completed", amount=10, currency="USD")
    system.services.treasury.allocate(str(session.reference), evidence="a tip", who="ann")
    before = system.balances()
    assert before["treasury_free/USDC@polygon"] == 10_000_000
    system.hear(session, "created", version="v1", blockchainDestinationType="Customer", amount=10, currency="USD")
    assert system.balances() == before
    assert "foreign_destination" in system.cases()


def test_a_foreign_dollar_is_not_declared(sqlite_system: System) -> None:
    system = sqlite_system
    declare_pegs(system)
    deposit(system, currency="USD", blockchainDestinationType="Customer")
    assert system.balances() == {"shopper_receivable/USD": -900, "unallocated/USD": 900}


# --- what the operator sees --------------------------------------------------------------------------------------


def test_the_overview_shows_what_is_held_and_what_waits_for_evidence_oldest_first(system: System) -> None:
    first = deposit(system)
    system.clock.advance(hours=1)
    second = deposit(system, amount="5.00")
    third = deposit(system, amount="2.00")
    record(system, third.id, amount="2.1")
    seen = system.services.treasury.overview(system.store.name)
    assert [(one["book"], one["asset"], one["amount"]) for one in seen["treasury"]] == [
        ("treasury_free", ASSET, "2.100000"),
        ("treasury_reserved", ASSET, "0.000000"),
        ("treasury_in_transit", ASSET, "0.000000"),
    ]
    assert [(one["deposit"], one["amount"], one["currency"]) for one in seen["waiting_for_evidence"]] == [
        (first.id, "9.00", "EUR"),
        (second.id, "5.00", "EUR"),
    ]
    assert seen["waiting_for_evidence"][0]["waiting_s"] >= 3600


def test_the_overview_shows_what_belongs_to_nobody(sqlite_system: System) -> None:
    session = sqlite_system.sessions(sqlite_system.pay().payment.id)[0]
    sqlite_system.hear(session, "completed", amount=10)
    assert sqlite_system.services.treasury.overview(sqlite_system.store.id)["treasury"] == [
        {"book": "unallocated", "asset": "EUR", "amount": "1.00"}
    ]
