"""Money of which no event ever came: bound to one session by a person's word, posted as its event would, and never twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.late_news import Said
from checkout.store import events, ledger, moves, payments
from checkout.store.records import DepositRow, SessionRow
from tests.flows.payout_fixtures import at_once
from tests.system import System

PAID = {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}


def opened(system: System, **changes: Any) -> SessionRow:
    return system.sessions(system.pay(**changes).payment.id)[0]


def settle(
    system: System, ident: object, *, evidence: str = "statement of 28 Nov, line 3", **said: Any
) -> dict[str, Any]:
    return system.services.late_news.settled(str(ident), Said(evidence, **said), who="ann")


def deposits(system: System, session: SessionRow) -> list[DepositRow]:
    with system.database.read() as unit:
        return payments.deposits_of(unit, session.payment_id)


def parked(system: System) -> list[str]:
    with system.database.read() as unit:
        return [one.note for one in events.list_events(unit, state="quarantined", limit=50)]


@pytest.mark.parametrize("named_by", ["reference", "id", "payment_id"])
def test_a_session_nobody_heard_of_is_settled_by_a_persons_word(system: System, named_by: str) -> None:
    session = opened(system)
    told = settle(system, getattr(session, named_by), amount="9.00")
    assert (told["reference"], told["session"], told["stage"]) == (session.reference, session.id, "settled")
    assert system.balances() == PAID
    assert system.payment(session.payment_id).status == "settled"
    assert system.told(session.payment_id) == ["payment.settled"]
    (deposit,) = deposits(system, session)
    with system.database.read() as unit:
        (moved,) = moves.moves_of(unit, deposit.id)
        (act,) = moves.acts_on(unit, deposit.id)
    assert (moved["before"], moved["after"], moved["who"]) == (None, "settled", "ann")
    assert "statement of 28 Nov" in moved["cause"]
    assert act["who"] == "ann"
    # the events come after all: the deposit they name is known, and nothing is posted twice
    system.hear(session, "created", "accepted", "completed")
    assert system.balances() == PAID
    assert len(deposits(system, session)) == 1
    assert system.cases() == []


def test_other_news_than_the_evidence_is_parked_for_a_person(sqlite_system: System) -> None:
    session = opened(sqlite_system)
    settle(sqlite_system, session.reference, amount="9.00")
    sqlite_system.hear(session, "completed", amount=8.5)
    assert sqlite_system.balances() == PAID
    assert parked(sqlite_system) == ["states EUR 8.50, an earlier event stated EUR 9.00"]


def test_one_receipt_under_two_names_is_not_posted_twice_and_a_person_joins_them(system: System) -> None:
    session = opened(system)
    made = settle(system, session.id, amount="9.00", reference="STATEMENT-7")["deposit"]
    system.hear(session, "created", reference="EVENT-7")
    system.hear(session, "completed", reference="EVENT-7")
    assert system.balances() == PAID
    (note,) = parked(system)
    assert f"checkout deposits known-as {made}" in note
    known_as = system.services.late_news.known_as
    with pytest.raises(NotPossible, match="EVENT-7 is a deposit already"):
        known_as(made, "EVENT-7", evidence="their mail of 3 Dec", who="ann")


def test_a_person_names_a_deposit_as_stable_mint_does_and_its_event_is_applied(system: System) -> None:
    session = opened(system)
    made = settle(system, session.id, amount="9.00", reference="TYPO")["deposit"]
    system.hear(session, "completed")
    assert system.cases() == ["event_quarantined"]
    told = system.services.late_news.known_as(
        made, str(session.reference), evidence="their mail of 3 Dec, read again", who="ben"
    )
    assert len(told["events"]) == 1
    system.work()
    assert system.cases() == []
    assert system.balances() == PAID
    (deposit,) = deposits(system, session)
    assert (deposit.id, deposit.reference) == (made, session.reference)
    with pytest.raises(NotPossible, match="from an event"):
        system.services.late_news.known_as(made, "ELSE", evidence="x", who="ben")


def test_more_money_of_the_same_session_is_a_duplicate_once_a_person_says_so(system: System) -> None:
    session = opened(system)
    settle(system, session.id, amount="9.00")
    system.hear(session, "completed", reference="SECOND")
    assert system.balances() == PAID
    with pytest.raises(NotPossible, match="--another"):
        settle(system, session.id, amount="9.00", reference="SECOND")
    settle(system, session.id, amount="9.00", reference="SECOND", another=True)
    system.services.events.replay(next(one.id for one in _quarantined(system)), who="ann")
    system.work()
    assert system.balances() == {
        "shopper_receivable/EUR": -1800,
        "stable_mint_settled/EUR": 900,
        "unallocated/EUR": 900,
    }
    assert system.cases() == ["duplicate"]


def _quarantined(system: System) -> list[Any]:
    with system.database.read() as unit:
        return events.list_events(unit, state="quarantined", limit=50)


def test_money_of_an_event_is_not_entered_again_under_another_name(sqlite_system: System) -> None:
    system = sqlite_system
    session = opened(system)
    system.hear(session, "completed", reference="FIRST")
    with pytest.raises(NotPossible, match="settled already"):
        settle(system, session.id, amount="9.00")
    with pytest.raises(NotPossible, match=r"EUR 9\.00 as FIRST already"):
        settle(system, session.id, amount="9.00", reference="OTHER")
    system.hear(session, "created", reference="SECOND")
    with pytest.raises(NotPossible, match="several deposits"):
        settle(system, session.id, amount="9.00")
    assert system.balances() == PAID


def test_a_word_binds_to_exactly_one_session(sqlite_system: System) -> None:
    system = sqlite_system
    session, other = opened(system), opened(system)
    for ident, said, error in (
        ("NOBODY", {"amount": "9.00"}, NotFound),
        (session.id, {"amount": "9.00", "reference": str(other.reference)}, NotPossible),
        (session.id, {"amount": "9.00", "reference": " "}, RequestRefused),
        (session.id, {"amount": "9.00", "currency": "USDC"}, RequestRefused),
        (session.id, {"amount": "9.001"}, RequestRefused),
        (session.id, {}, RequestRefused),
        (session.id, {"amount": "9.00", "evidence": " "}, RequestRefused),
    ):
        with pytest.raises(error):
            settle(system, ident, **said)
    assert deposits(system, session) == []
    system.hear(other, "created", reference="THEIRS")
    for reference in ("THEIRS", str(other.reference)):
        with pytest.raises(NotPossible, match="another session"):
            settle(system, session.id, amount="9.00", reference=reference)
    theirs = deposits(system, other)[0]
    with pytest.raises(RequestRefused, match="name the session"):
        settle(system, theirs.id, amount="9.00", reference="MINE")
    with pytest.raises(NotPossible, match="another session"):
        settle(system, other.id, amount="1.00", reference=str(session.reference))


def test_a_payment_of_several_sessions_must_be_told_apart(sqlite_system: System) -> None:
    system = sqlite_system
    first = opened(system)
    system.clock.advance(hours=12)
    system.work()
    system.services.payments.fresh_session(system.store.id, first.payment_id)
    second = system.sessions(first.payment_id)[1]
    with pytest.raises(NotPossible, match="several sessions") as refused:
        settle(system, first.payment_id, amount="9.00")
    assert first.id in str(refused.value)
    assert second.id in str(refused.value)
    settle(system, first.id, amount="9.00")
    payment = system.payment(first.payment_id)
    assert (payment.status, payment.anomalies) == ("settled", "late"), "the first session had ended"


def test_other_currency_and_less_money_are_what_an_event_would_have_made_of_them(sqlite_system: System) -> None:
    system = sqlite_system
    settle(system, opened(system).id, amount="9.00", currency="gbp")
    settle(system, opened(system).id, amount="8.00")
    assert system.cases() == ["currency_mismatch", "underpaid"]
    assert (system.balances()["unallocated/GBP"], system.balances()["unallocated/EUR"]) == (900, 800)


def test_a_session_without_a_reference_needs_the_statements(sqlite_system: System) -> None:
    system = sqlite_system
    session = opened(system)
    with system.database.write() as unit:
        payments.update_session(unit, session.id, reference=None)
    with pytest.raises(RequestRefused, match="reference"):
        settle(system, session.id, amount="9.00")
    settle(system, session.id, amount="9.00", reference="STATEMENT-1")
    assert system.balances() == PAID
    with pytest.raises(NotFound):
        system.services.late_news.known_as("dep_none", "X", evidence="x", who="ann")


def test_a_person_and_the_event_at_once_post_once(system: System) -> None:
    sessions = [opened(system) for _ in range(4)]

    def events_come() -> None:
        for session in sessions:
            system.deliver(system.event(session, "completed"))
        system.work()

    def ann_says() -> None:
        for session in reversed(sessions):
            with suppress(NotPossible):  # the event was faster: it is settled already
                settle(system, session.id, amount="9.00")

    _, refused = at_once(events_come, ann_says)
    assert refused == []
    system.work()
    assert system.balances() == {name: 4 * minor for name, minor in PAID.items()}
    assert [len(deposits(system, session)) for session in sessions] == [1, 1, 1, 1]


#: What may be said of one receipt, in any order and as often as anybody likes.
WORDS = st.lists(
    st.sampled_from(["created", "submitted", "accepted", "completed", "v1 accepted", "replay", "person", "person"]),
    min_size=1, max_size=7,
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories=st.lists(WORDS, min_size=1, max_size=3), names=st.sampled_from(["one", "two"]))
def test_whatever_the_order_each_receipt_is_posted_once(system: System, histories: list[list[str]], names: str) -> None:
    """Each session received 9.00 once. With two names, the person's statement names the receipt otherwise than the events."""
    before = _total(system)
    paid = 0
    for words in histories:
        session = opened(system)
        _live(system, session, words, None if names == "one" else uuid.uuid4().hex)
        moneyed = [one for one in deposits(system, session) if one.money is not None]
        heard = {"accepted", "completed", "v1 accepted", "person"} & set(words)
        assert len(moneyed) == bool(heard), words
        paid += 900 * len(moneyed)
        assert {one.stage for one in moneyed} <= {"accepted", "settled"}
        if {"completed", "person", "v1 accepted"} & set(words) and names == "one":
            assert [one.stage for one in moneyed] == ["settled"], words
    assert _total(system) - before == paid
    assert system.services.report.balance()["balanced"]


def _live(system: System, session: SessionRow, words: list[str], statement: str | None) -> None:
    acts: dict[str, Callable[[], object]] = {
        "person": lambda: settle(system, session.id, amount="9.00", reference=statement),
        "replay": lambda: _replay_all(system, session),
        "v1 accepted": partial(_hear_again, system, system.event(session, "accepted", version="v1")),
    }
    for word in words:
        with suppress(NotPossible) if word == "person" else nullcontext():  # it was said before, or an event was faster
            acts.get(word, partial(system.hear, session, word))()


def _hear_again(system: System, body: bytes) -> None:
    """Deliver it, known or not."""
    system.deliver(body)
    system.work()


def _replay_all(system: System, session: SessionRow) -> None:
    with system.database.read() as unit:
        found = events.events_naming(unit, [str(session.reference)])
    for one in found:
        system.services.events.replay(one.id, who="ann")
    system.work()


def _total(system: System) -> int:
    """What shoppers have paid so far, in cents."""
    with system.database.read() as unit:
        return -sum(int(row["balance"]) for row in ledger.balances(unit) if row["book"] == "shopper_receivable")
