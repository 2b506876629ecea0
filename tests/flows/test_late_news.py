"""When news never comes: cases with steps, evidence in place of the event, and the end of silence when the news comes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from checkout.cases import KINDS, Cases
from checkout.cli import cli
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.late_news import Said
from checkout.recovery import GENERAL, STEPS, steps
from checkout.rules.work import PAYOUT_SILENCE
from checkout.store import events, moves, payments
from tests.desk import Desk
from tests.system import System


@pytest.fixture
def desk(fast_folder: Path) -> Iterator[Desk]:
    made = Desk(f"sqlite:///{fast_folder / 'desk.db'}")
    yield made
    made.system.close()


def closing(system: System, kind: str) -> tuple[str, str]:
    with system.database.read() as unit:
        (one,) = [row for row in moves.list_cases(unit, include_closed=True, limit=50) if row["kind"] == kind]
    return one["closed_by"], one["closing_note"]


def silent(system: System, word: str, **fields: Any) -> str:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, word, **fields)
    system.clock.advance(days=8)
    system.work()
    assert system.cases() == [f"silent_{word}"]
    return str(session.reference)


@pytest.mark.parametrize("word", ["initiated", "submitted", "accepted"])
def test_silence_ends_when_the_news_comes(system: System, word: str) -> None:
    reference = silent(system, word)
    payment = system.services.report.trace(reference)["payments"][0]["id"]
    system.hear(system.sessions(payment)[0], "completed")
    assert system.cases() == []
    assert closing(system, f"silent_{word}") == ("checkout", "the news has come")


def test_a_case_of_silence_names_whom_to_ask_and_by_what(system: System) -> None:
    reference = silent(system, "accepted")
    cases = Cases(system.services.context)
    (found,) = cases.page(include_closed=False, limit=5)
    assert f"{reference} (accepted)" in found["detail"]
    text = " ".join(found["steps"])
    for word in (
        "checkout trace",
        "Ask Stable Mint",
        "checkout deposits settled",
        "checkout treasury import",
        "by itself",
    ):
        assert word in text


def test_evidence_of_a_person_stands_for_the_event_that_never_came(system: System) -> None:
    reference = silent(system, "accepted")
    done = system.services.late_news.settled(reference, Said("statement of 28 Nov, line 3"), who="ann")
    assert (done["stage"], done["amount"], done["currency"]) == ("settled", "9.00", "EUR")
    assert system.cases() == []
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    with system.database.read() as unit:
        deposit = payments.deposit_by_reference(unit, reference)
        assert deposit is not None
        moved = moves.moves_of(unit, deposit.id)[-1]
        acts = [act["action"] for act in moves.acts_on(unit, deposit.id)]
    assert (moved["after"], moved["who"]) == ("settled", "ann")
    assert "statement of 28 Nov" in moved["cause"]
    assert acts == ["deposit settled by evidence"]
    payment = system.payment(deposit.payment_id)
    assert payment.status == "settled"
    assert system.told(payment.id)[-1] == "payment.settled"
    # the event comes after all: nothing new, nothing twice
    session = system.sessions(payment.id)[0]
    system.hear(session, "completed")
    with system.database.read() as unit:
        assert [one.state for one in events.events_on(unit, deposit.id)][-1] == "ignored"
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    system.hear(session, "completed", amount=8.0)
    assert "event_quarantined" in system.cases()


def test_before_any_amount_was_stated_the_person_states_it(sqlite_system: System) -> None:
    system = sqlite_system
    reference = silent(system, "submitted")
    settled = system.services.late_news.settled
    for amount, field in ((None, "amount"), ("9.001", "amount")):
        with pytest.raises(RequestRefused) as refused:
            settled(reference, Said("a statement", amount), who="ann")
        assert set(refused.value.fields) == {field}
    settled(reference, Said("a statement", "8.00"), who="ann")
    assert system.cases() == ["underpaid"]
    assert system.balances()["unallocated/EUR"] == 800


def test_evidence_settles_a_dollar_that_the_store_declares(sqlite_system: System) -> None:
    system = sqlite_system
    system.services.stores.rule(
        system.store.id, currency="USD", asset="USDC", network="polygon", evidence="declared", settles_gross=True, who="ann"
    )  # fmt: skip
    session = system.sessions(system.pay(currency="USD").payment.id)[0]
    system.hear(session, "accepted", currency="USD")
    system.services.late_news.settled(str(session.reference), Said("a statement", "9.00"), who="ann")
    assert system.balances()["treasury_free/USDC@polygon"] == 9_000_000


def test_what_cannot_be_settled_so_is_refused_in_words(sqlite_system: System) -> None:
    system = sqlite_system
    settled = system.services.late_news.settled
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "accepted")
    reference = str(session.reference)
    with pytest.raises(NotFound):
        settled("none", Said("x"), who="ann")
    with pytest.raises(RequestRefused, match="evidence"):
        settled(reference, Said("  "), who="ann")
    with pytest.raises(RequestRefused, match="an event has stated"):
        settled(reference, Said("x", "8.00"), who="ann")
    system.hear(session, "completed")
    with pytest.raises(NotPossible, match="settled already"):
        settled(reference, Said("x"), who="ann")


def test_money_after_expiry_is_late_also_by_evidence(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "created")
    system.clock.advance(days=2)
    system.work()
    assert system.payment(session.payment_id).status == "expired"
    system.services.late_news.settled(str(session.reference), Said("a statement", "9.00"), who="ann")
    payment = system.payment(session.payment_id)
    assert (payment.status, payment.anomalies) == ("settled", "late")


def test_a_payouts_silence_ends_when_its_transfer_moves(desk: Desk) -> None:
    desk.settled("9.00", received="9.71", fee="0")
    out = desk.awaiting()
    desk.says(out, "payment_submitted")
    desk.system.clock.advance(seconds=PAYOUT_SILENCE.total_seconds())
    desk.system.work()
    assert "payout_silent" in desk.system.cases()
    desk.says(out, "payment_processed")
    assert "payout_silent" not in desk.system.cases()
    assert closing(desk.system, "payout_silent") == ("checkout", "the transfer is payment_processed now")


# --- the steps themselves ----------------------------------------------------------------------------------------


def test_steps_belong_to_kinds_that_exist_and_every_silence_has_its_own() -> None:
    assert set(STEPS) <= set(KINDS)
    assert {kind for kind in KINDS if "silent" in kind} <= set(STEPS)
    assert steps("brand_new", "x") == list(GENERAL)


def commands_named() -> set[str]:
    text = json.dumps([*STEPS.values(), GENERAL])
    return set(re.findall(r"`checkout ([a-z -]+?)(?: [A-Z{\-][^`]*)?`", text))


@pytest.mark.parametrize("words", sorted(commands_named()))
def test_every_command_that_a_step_names_is_real(words: str) -> None:
    command: click.Command | None = cli
    for word in words.split():
        assert isinstance(command, click.Group), words
        command = command.commands.get(word)
    assert command is not None, words
