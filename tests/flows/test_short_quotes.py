"""Quotes that live thirty seconds, people and workers who are slower: one transfer, funded once, or a person is asked.

Stables here takes no quote that has ended, and answers a key that it knows as before. Its clock is ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import pytest

from checkout.errors import NotPossible
from checkout.paying_out.policies import PolicyRequest
from checkout.paying_out.price_guard import GuardRequest
from checkout.store import payouts
from checkout.store.records import AttemptRow
from tests.desk import Desk
from tests.flows.payout_desk import proposed, shown, state, wait
from tests.stables_script import StablesScript
from tests.system import BANK, Clock, make_system

LIFE = timedelta(seconds=30)
APPROVED_CREDIT, WHOLE_MINOR = "8.61", 9_710_000


@dataclass
class PunctualStables(StablesScript):
    """As its documentation says of keys and quotes."""

    quote_life: timedelta = LIFE
    lost_answers: int = 0  #: answers to a transfer that never arrive, though it was made
    lost_requests: int = 0  #: requests for a transfer that never arrive
    forgets_keys: bool = False  #: a repeat is a request like any other
    says_used: int = 422  #: its answer to a quote that has a transfer
    meanwhile: Callable[[], object] = lambda: None  #: what happens while a request for a transfer is on its way
    made: dict[str, httpx.Response] = field(default_factory=dict)  #: by Idempotency-Key
    keys: list[str] = field(default_factory=list)  #: of every request for a transfer that was sent
    deposits: list[str] = field(default_factory=list)  #: the transfers that were paid

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if path.endswith("/simulate-deposit"):
            self.deposits.append(path.split("/")[1])
        if (request.method, path) != ("POST", "transfer"):
            return super().__call__(request)
        key = request.headers["Idempotency-Key"]
        self.keys.append(key)
        self.meanwhile()
        if self.lost_requests:
            self.lost_requests -= 1
            raise httpx.ReadTimeout("it never arrived")
        if key in self.made and not self.forgets_keys:
            answer = self.made[key]
        else:
            answer = self.made[key] = self._asked(request)
        if self.lost_answers:
            self.lost_answers -= 1
            raise httpx.ReadTimeout("the answer is lost")
        return answer

    def _asked(self, request: httpx.Request) -> httpx.Response:
        quote = json.loads(request.content)["quote_id"]
        if any(one["quote_id"] == quote for one in self.transfers.values()):
            return _refused(self.says_used, "QUOTE_USED")
        if datetime.fromisoformat(self.quotes[quote]["expires_at"]) <= self.clock.now:
            return _refused(422, "QUOTE_EXPIRED")
        return super().__call__(request)


def _refused(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"statusCode": status, "error": "E", "message": "no", "code": code})


class ShortDesk(Desk):
    """A desk at such a Stables, at the pace of the real one."""

    script: PunctualStables

    def __init__(self, url: str, *, funding_window: str = "900") -> None:
        clock = Clock()
        self.script = PunctualStables(clock)
        settings = {"CHECKOUT_SPEED": "1", "STABLES_FUNDING_WINDOW": funding_window}
        self.system = make_system(url, clock=clock, stables=httpx.MockTransport(self.script), settings=settings)
        self.system.services.payout_accounts.add(self.system.store.id, BANK, who="ann")
        self.settled("9.00", received="9.71", fee="0")


@pytest.fixture
def desk(database_url: str) -> Iterator[ShortDesk]:
    made = ShortDesk(database_url)
    yield made
    assert len(made.script.deposits) <= 1, "a payout is paid once"
    balanced = made.system.services.report.balance()
    assert balanced["balanced"], balanced
    made.system.close()


def approve(desk: Desk, out: str, *, who: str = "ann", least: str | None = None) -> None:
    desk.system.services.payouts.approve(out, min_credit=least, who=who)


def transfers_tried(desk: Desk, out: str) -> list[AttemptRow]:
    with desk.system.database.read() as unit:
        return payouts.attempts_of(unit, out, "transfer")


def funded_once(desk: ShortDesk, out: str, *, quotes: int) -> None:
    """The payout goes home by one transfer, on the last of so many quotes."""
    assert state(desk, out) == "transfer_created", shown(desk, out)
    transfer = desk.script.only()
    drawn = list(desk.script.quotes)
    assert (len(drawn), transfer["quote_id"]) == (quotes, drawn[-1])
    desk.says(out, "awaiting_funds_collection")
    services = desk.system.services
    services.payouts.reveal(out, who="ann")
    services.payouts.simulate_deposit(out, who="ann")
    for word in ("funds_collected", "completed"):
        desk.says(out, word)
    assert state(desk, out) == "completed"
    assert (desk.script.deposits, len(desk.script.transfers)) == ([transfer["id"]], 1)
    assert desk.system.cases() == []


def waits_for_a_person(desk: ShortDesk, out: str, why: str) -> None:
    """It is quoted, says why it was not sent, and its money stays reserved for it."""
    assert (state(desk, out), desk.system.cases()) == ("quoted", ["payout_needs_approval"])
    assert why in shown(desk, out)["note"]
    assert shown(desk, out)["mandate"] is None
    assert (desk.script.transfers, desk.script.deposits) == ({}, [])
    assert desk.system.balances()["treasury_reserved/USDC@polygon"] == WHOLE_MINOR
    wait(desk, hours=1)
    assert state(desk, out) == "quoted"


# --- a person who is slow --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "quotes"), [(0, 1), (29, 1), (29.9, 2), (30, 2), (31, 2), (3 * 3600, 2)])
def test_whoever_approves_after_the_quote_ended_approves_the_next_one_inside_the_mandate(
    desk: ShortDesk, seconds: float, quotes: int
) -> None:
    out = proposed(desk)
    desk.system.clock.advance(seconds=seconds)
    approve(desk, out)
    desk.system.work()
    funded_once(desk, out, quotes=quotes)


@pytest.mark.parametrize("credit", ["8.56", "8.65"])
def test_the_next_quote_may_credit_other_than_was_shown_as_long_as_the_mandate_allows_it(
    desk: ShortDesk, credit: str
) -> None:
    out = proposed(desk)
    desk.system.clock.advance(seconds=31)
    desk.script.credit = credit  # EUR 8.61 was shown, and half a percent less is inside
    approve(desk, out)
    desk.system.work()
    funded_once(desk, out, quotes=2)
    assert shown(desk, out)["credit"]["amount"] == credit


@pytest.mark.parametrize(("credit", "least"), [("8.55", None), ("8.60", "8.61")])
def test_a_price_beneath_the_mandate_goes_back_to_the_person_who_then_approves_it(
    desk: ShortDesk, credit: str, least: str | None
) -> None:
    out = proposed(desk)
    desk.system.clock.advance(seconds=31)
    desk.script.credit = credit
    approve(desk, out, least=least)
    desk.system.work()
    waits_for_a_person(desk, out, f"outside the mandate: credits EUR {credit}")
    assert len(desk.script.quotes) == 2, "nobody asks for prices while a person thinks"
    approve(desk, out)
    desk.system.work()
    funded_once(desk, out, quotes=3)


def test_a_price_beneath_the_mandate_may_also_be_the_end_of_the_payout(desk: ShortDesk) -> None:
    out = proposed(desk)
    desk.system.clock.advance(seconds=31)
    desk.script.credit = "8.55"
    approve(desk, out)
    desk.system.work()
    waits_for_a_person(desk, out, "outside the mandate")
    desk.system.services.payouts.cancel(out, who="ann")
    assert (state(desk, out), desk.system.cases()) == ("cancelled", [])


def test_two_people_who_need_more_than_thirty_seconds_between_them(desk: ShortDesk) -> None:
    services = desk.system.services
    services.policies.set(desk.system.store.id, PolicyRequest("manual", two_people_from="5"), who="ann")
    out = proposed(desk)
    approve(desk, out, who="ann")
    wait(desk, seconds=40)
    assert desk.script.keys == []
    approve(desk, out, who="ben")
    desk.system.work()
    funded_once(desk, out, quotes=2)


# --- a worker that is late -------------------------------------------------------------------------------------------


def test_a_worker_that_comes_31_seconds_after_the_approval_draws_another_quote(desk: ShortDesk) -> None:
    out = proposed(desk)
    approve(desk, out)
    desk.system.clock.advance(seconds=31)
    desk.system.work()
    assert len(desk.script.keys) == 1, "the quote that had ended was never sent"
    funded_once(desk, out, quotes=2)


def test_a_worker_that_stands_still_between_its_look_and_its_call_is_refused_and_draws_another_quote(
    desk: ShortDesk,
) -> None:
    out = proposed(desk)
    approve(desk, out)
    desk.script.meanwhile = _late(desk, times=1)
    desk.system.work()
    assert [one.state for one in transfers_tried(desk, out)] == ["declined", "accepted"]
    funded_once(desk, out, quotes=2)


def test_a_worker_that_is_late_each_time_asks_a_person_after_three_refusals(desk: ShortDesk) -> None:
    out = proposed(desk)
    approve(desk, out)
    desk.script.meanwhile = _late(desk, times=9)
    desk.system.work()
    assert (state(desk, out), desk.system.cases()) == ("on_hold", ["transfer_declined"])
    assert "QUOTE_EXPIRED" in shown(desk, out)["note"]
    assert [one.state for one in transfers_tried(desk, out)] == ["declined"] * 3
    assert (desk.script.transfers, desk.system.balances()["treasury_reserved/USDC@polygon"]) == ({}, WHOLE_MINOR)


def test_a_policy_whose_worker_is_31_seconds_late_at_every_step_pays_once(desk: ShortDesk) -> None:
    services = desk.system.services
    first = proposed(desk)
    approve(desk, first)
    desk.system.work()
    funded_once(desk, first, quotes=1)
    desk.script.deposits.clear()
    desk.script.transfers.clear()
    desk.script.quotes.clear()
    services.price_guard.set(desk.system.store.id, GuardRequest("EUR", least_per_unit="0.5"), who="ann")
    services.policies.set(desk.system.store.id, PolicyRequest("per_payment", approve_below="100"), who="ann")
    desk.settled("9.00", received="9.71", fee="0")
    worker = services.worker("late")
    for _ in range(12):
        worker.turn()
        desk.system.clock.advance(seconds=31)
        if desk.script.transfers:
            break
    with desk.system.database.read() as unit:
        out = payouts.list_payouts(unit, desk.system.store.id, limit=1)[0].id
    assert out != first
    assert len(desk.script.keys) == 2, "one for each of the two payouts"
    funded_once(desk, out, quotes=2)


# --- a quote that ends while nobody knows ------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 2])
def test_a_transfer_whose_answer_was_lost_is_asked_for_under_its_key_and_adopted_though_its_quote_has_ended(
    desk: ShortDesk, lost: int
) -> None:
    desk.script.lost_answers = lost
    out = proposed(desk)
    approve(desk, out)
    desk.system.work()
    assert "the transfer is unknown" in shown(desk, out)["note"]
    for _ in range(lost):
        wait(desk, seconds=31)
    assert len(set(desk.script.keys)) == 1
    (attempt,) = transfers_tried(desk, out)
    assert (attempt.state, attempt.sends) == ("accepted", lost + 1)
    funded_once(desk, out, quotes=1)


@pytest.mark.parametrize("says_used", [409, 422])
def test_where_stables_has_forgotten_the_key_its_list_has_the_transfer(desk: ShortDesk, says_used: int) -> None:
    desk.script.lost_answers, desk.script.forgets_keys, desk.script.says_used = 1, True, says_used
    out = proposed(desk)
    approve(desk, out)
    desk.system.work()
    wait(desk, seconds=31)
    assert "the transfer is unknown" in shown(desk, out)["note"], "a refusal of the repeat says nothing"
    _until(desk, lambda: state(desk, out) == "transfer_created")
    (attempt,) = transfers_tried(desk, out)
    assert set(desk.script.keys) == {attempt.key}
    funded_once(desk, out, quotes=1)


def test_a_request_that_never_arrived_is_proven_absent_before_another_quote_is_drawn(desk: ShortDesk) -> None:
    desk.script.lost_requests = 1
    out = proposed(desk)
    approve(desk, out)
    desk.system.work()
    wait(desk, seconds=31)
    assert "the repeat was refused" in shown(desk, out)["note"], "too late says nothing about the first try"
    _until(desk, lambda: len(desk.script.transfers) == 1)
    dead, last = transfers_tried(desk, out)
    assert (dead.state, last.state) == ("dead", "accepted")
    assert "absent from complete lists" in (dead.evidence or "")
    assert dead.key != last.key
    funded_once(desk, out, quotes=2)


def test_proven_absent_and_the_price_moved_meanwhile_it_waits_for_a_person(desk: ShortDesk) -> None:
    desk.script.lost_requests = 1
    out = proposed(desk)
    approve(desk, out)
    desk.system.work()
    desk.script.credit = "8.00"
    _until(desk, lambda: state(desk, out) == "quoted")
    assert [one.state for one in transfers_tried(desk, out)] == ["dead"]
    waits_for_a_person(desk, out, "outside the mandate: credits EUR 8.00")


def test_a_mandate_that_ends_while_nobody_knows_sends_nothing_more_and_what_was_made_is_adopted(
    desk: ShortDesk,
) -> None:
    desk.script.lost_answers = 1
    out = proposed(desk)
    desk.system.services.payouts.approve(out, min_credit=None, who="ann", valid_for=timedelta(seconds=20))
    desk.system.work()
    wait(desk, seconds=31)
    assert len(desk.script.keys) == 1, "without a mandate not even the same key is sent"
    assert state(desk, out) == "transfer_created"
    assert transfers_tried(desk, out)[0].state == "accepted"


# --- a window that is the quote's own ------------------------------------------------------------------------------------


def test_where_a_transfer_is_fundable_only_up_to_its_quotes_end_its_address_is_never_shown(database_url: str) -> None:
    desk = ShortDesk(database_url, funding_window="")
    out = proposed(desk)
    approve(desk, out)
    desk.system.work()
    desk.script.of(out)["status"] = "awaiting_funds_collection"
    wait(desk, seconds=10)
    assert state(desk, out) == "awaiting_funding"
    with pytest.raises(NotPossible, match="only 20 s of the funding window are left"):
        desk.system.services.payouts.reveal(out, who="ann")
    desk.says(out, "expired")
    assert (state(desk, out), desk.script.deposits) == ("expired", [])
    assert desk.system.balances()["treasury_free/USDC@polygon"] == WHOLE_MINOR
    desk.system.close()


def _until(desk: Desk, done: Callable[[], bool], minutes: int = 30) -> None:
    for _ in range(minutes * 2):
        if done():
            return
        wait(desk, seconds=30)
    raise AssertionError("it never came to that")


def _late(desk: Desk, *, times: int) -> Callable[[], object]:
    """So often, half a minute and a second pass between the worker's last look and the moment Stables reads its request."""
    left = iter([timedelta(seconds=31)] * times)

    def pass_by() -> None:
        desk.system.clock.advance(seconds=next(left, timedelta(0)).total_seconds())

    return pass_by
