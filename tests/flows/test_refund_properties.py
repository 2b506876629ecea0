"""Random days of a shop that refunds: after every step nothing is refunded twice, sent twice, or unexplained."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from checkout.errors import CheckoutError
from checkout.refunding.refund_resolving import Resolution
from checkout.refunding.refunds import NewRefund
from checkout.rules.money import Money
from checkout.rules.refunds import UNSENT
from checkout.store import ledger, payments, refunds
from checkout.store.moves import moves_of
from checkout.store.records import RefundRow, SessionRow
from tests.flows.refund_days import DETAILS, PERSON, news
from tests.flows.test_restored_refunds import put_back, unremembered
from tests.stables_script import StablesScript
from tests.system import Clock, System, make_system

ANSWERS: dict[str, Callable[[], httpx.Response | Exception | None]] = {
    "taken": lambda: None,
    "no reference": lambda: httpx.Response(200, json={}),
    "refused": lambda: httpx.Response(400, json={"message": "no"}),
    "broken": lambda: httpx.Response(500),
    "hanging": lambda: httpx.ReadTimeout("no answer"),
}
WORDS = ("requested", "accepted", "sent", "failed")


class RefundingDays(RuleBasedStateMachine):
    """Orders, odd receipts, records, refunds, answers of every kind, news in any order, people with evidence."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self._system = system
        self._sessions: list[SessionRow] = []
        self._refunds: list[str] = []
        self._told: dict[str, set[str]] = {}
        self._in_doubt: set[str] = set()
        self._said: set[str] = set()  #: to have been sent, by a person, while in doubt

    @initialize()
    def open_a_shop(self) -> None:
        system = self._system
        name = system.services.context.new_id("shop")
        made = system.services.stores.create(name, ["https://shop.example"], who="ann")
        system.services.stores.rule(
            made.id,
            currency="EUR",
            asset="USDC",
            network="polygon",
            evidence="recorded",
            settles_gross=False,
            who="ann",
        )
        self._store = system.store = system.services.stores.find(made.id)

    def _rows(self) -> list[RefundRow]:
        with self._system.database.read() as unit:
            return [row for ident in self._refunds if (row := refunds.refund_by_id(unit, ident)) is not None]

    def _try(self, act: Callable[[], Any]) -> Any:
        """Do it if it can be done: a refusal is an answer too."""
        try:
            return act()
        except CheckoutError:
            return None

    @precondition(lambda self: len(self._sessions) < 3)
    @rule()
    def order(self) -> None:
        answer = self._system.pay("9.00", flow="hosted_partner", customer=PERSON)
        self._sessions.append(self._system.sessions(answer.payment.id)[0])

    @precondition(lambda self: self._sessions)
    @rule(
        which=st.integers(0, 2), second=st.booleans(), words=st.lists(st.sampled_from(["accepted", "completed"]), max_size=2),
        extra=st.sampled_from([0, 0, 100, -100]), elsewhere=st.sampled_from([False, False, False, True]),
    )  # fmt: skip
    def receive(self, which: int, second: bool, words: list[str], extra: int, elsewhere: bool) -> None:
        session = self._sessions[which % len(self._sessions)]
        more: dict[str, Any] = {"blockchainDestinationType": "Customer"} if elsewhere else {}
        for word in words:
            body = self._system.event(
                session, word, reference=f"{session.reference}{'-2' * second}", amount=(900 + extra) / 100, **more
            )
            self._system.deliver(body)
            self._system.work()

    @precondition(lambda self: self._sessions)
    @rule(which=st.integers(0, 2), minor=st.sampled_from([10, 333, 400, 900, 1000]), complete=st.booleans())
    def ask(self, which: int, minor: int, complete: bool) -> None:
        payment = self._sessions[which % len(self._sessions)].payment_id
        wanted = NewRefund(
            amount=Money(minor, "EUR"), idempotency_key=uuid.uuid4().hex, details=DETAILS if complete else {}
        )
        made = self._try(lambda: self._system.services.refunds.request(payment, wanted, who="ann"))
        if made is not None:
            self._refunds.append(made[0].row.id)

    @precondition(lambda self: len(self._sessions) < 3)
    @rule(word=st.sampled_from(["accepted", "completed"]), minor=st.sampled_from([333, 900]))
    def an_order_is_paid_and_asked_back(self, word: str, minor: int) -> None:
        self.order()
        newest = len(self._sessions) - 1
        self.receive(which=newest, second=False, words=[word], extra=0, elsewhere=False)
        self.ask(which=newest, minor=minor, complete=True)

    @precondition(lambda self: self._refunds)
    @rule(which=st.integers(0, 9), answer=st.sampled_from(sorted(ANSWERS)))
    def approve(self, which: int, answer: str) -> None:
        ident = self._refunds[which % len(self._refunds)]
        services = self._system.services
        self._try(lambda: services.refunds.give_details(ident, DETAILS, who="ann"))
        if self._try(lambda: services.refunds.approve(ident, who="ann")) is not None:
            self._in_doubt.discard(ident)
            scripted = ANSWERS[answer]()
            if scripted is not None:
                self._system.mint.next_answers.append(scripted)
            self._system.work()
            self._system.mint.next_answers.clear()

    @precondition(lambda self: any(one.website_reference for one in self._rows()))
    @rule(which=st.integers(0, 9), words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), named=st.booleans())
    def hear(self, which: int, words: list[str], named: bool) -> None:
        sent = [one for one in self._rows() if one.website_reference]
        chosen = sent[which % len(sent)]
        for word in words:
            reference = chosen.reference or f"W-{chosen.id}"
            fields: dict[str, Any] = {} if named else {"idempotencyKey": ..., "websiteReference": ...}
            self._system.deliver(news(self._system, chosen.id, word, reference=reference, **fields))
            self._system.work()
            if named or chosen.reference is not None:  # else nobody can know yet whom it is about
                self._told.setdefault(chosen.id, set()).add(word)

    @precondition(lambda self: self._refunds)
    @rule(which=st.integers(0, 9), resolution=st.sampled_from(list(Resolution)), named=st.booleans())
    def resolve(self, which: int, resolution: Resolution, named: bool) -> None:
        ident = self._refunds[which % len(self._refunds)]
        self._system.clock.advance(minutes=4)
        withdrawal = f"W-{ident}" if named and resolution is Resolution.SENT else None
        before = {one.id: one.refund_state for one in self._rows()}[ident]
        resolve = self._system.services.refund_resolving.resolve
        said = self._try(lambda: resolve(ident, resolution, evidence="a statement", withdrawal=withdrawal, who="bob"))
        if said is not None and resolution is Resolution.SENT and before in UNSENT:
            assert ident in self._in_doubt
            self._said.add(ident)
        self._system.work()

    @precondition(lambda self: self._refunds)
    @rule(found=st.booleans())
    def put_a_backup_back(self, found: bool) -> None:
        put_back(self._system)
        self._in_doubt |= {one.id for one in self._rows() if one.refund_state in UNSENT}
        for position, one in enumerate(self._rows()):
            if found and one.state == "requested":
                self.resolve(which=position, resolution=Resolution.SENT, named=True)

    @precondition(lambda self: any(self._rows_named(self._said)))
    @rule(which=st.integers(0, 9), words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    def hear_of_what_was_forgotten(self, which: int, words: list[str]) -> None:
        named = self._rows_named(self._said)
        chosen = named[which % len(named)]
        for word in words:
            body = unremembered(word, reference=str(chosen.reference), amount=float(chosen.amount.fixed()))
            self._system.deliver(body)
            self._system.work()
        assert {one.id: one.state for one in self._rows()}[chosen.id] == "sent"

    def _rows_named(self, idents: set[str]) -> list[RefundRow]:
        return [one for one in self._rows() if one.id in idents and one.reference is not None]

    @precondition(lambda self: self._sessions)
    @rule(which=st.integers(0, 2), arrived=st.integers(1, 9_000_000))
    def record(self, which: int, arrived: int) -> None:
        with self._system.database.read() as unit:
            rows = payments.deposits_of(unit, self._sessions[which % len(self._sessions)].payment_id)
        for one in rows[:1]:
            self._try(
                lambda one=one: self._system.services.treasury.record(  # type: ignore[misc]
                    self._store.id, asset="USDC", network="polygon", amount=f"{arrived // 10**6}.{arrived % 10**6:06}",
                    fee="0", deposits=[one.id], evidence="advice", who="ann",
                )
            )  # fmt: skip

    @precondition(lambda self: self._sessions)
    @rule(which=st.integers(0, 2))
    def allocate(self, which: int) -> None:
        with self._system.database.read() as unit:
            rows = payments.deposits_of(unit, self._sessions[which % len(self._sessions)].payment_id)
        for one in rows[-1:]:
            self._try(
                lambda one=one: self._system.services.treasury.allocate(one.id, evidence="a tip", who="ann")  # type: ignore[misc]
            )

    @invariant()
    def nothing_is_refunded_twice(self) -> None:
        for session in self._sessions:
            for left in self._system.services.refunds.refundable(session.payment_id).values():
                assert left.minor >= 0

    @invariant()
    def a_refund_is_one_withdrawal_at_most(self) -> None:
        asked = Counter(
            one["customFields"]["refund"] for one in self._system.mint.requests if "withdrawalReason" in one
        )
        assert not [ident for ident, count in asked.items() if count > 1]
        assert not self._said & set(asked), "what was sent before the restore is not sent again"

    @invariant()
    def every_cent_of_a_refund_is_explained(self) -> None:
        if not self._sessions:
            return
        rows = self._rows()
        with self._system.database.read() as unit:
            books = {
                row["book"]: row["balance"] for row in ledger.balances(unit, self._store.id) if row["asset"] == "EUR"
            }
            received = sum(
                one.money.minor
                for session in self._sessions
                for one in payments.deposits_of(unit, session.payment_id)
                if one.money is not None
            )
            for session in self._sessions:
                for one in payments.deposits_of(unit, session.payment_id):
                    live = [row for row in rows if row.deposit_id == one.id and row.state not in ("sent", "failed")]
                    assert one.refund_live == bool(live)
        gone = sum(row.amount_minor for row in rows if row.state == "sent")
        held = sum(row.amount_minor for row in rows if row.reserved)
        assert books.get("shopper_receivable", 0) == gone - received
        assert books.get("refunds_payable", 0) == held
        for row in rows:
            if row.state in ("requested", "sending", "unknown", "accepted"):
                assert row.reserved, row.state
            elif row.state in ("sent", "failed", "needs_funding"):
                assert not row.reserved, row.state
        assert not [
            book for book, minor in books.items() if minor < 0 and book not in ("shopper_receivable", "exchange")
        ]
        assert sum(books.values()) == 0

    @invariant()
    def the_provider_is_believed_when_it_says_sent(self) -> None:
        for row in self._rows():
            told = self._told.get(row.id, set())
            if "sent" in told and row.state != "sent":
                assert row.state == "failed", "only money that is gone otherwise can stand against it"

    def teardown(self) -> None:
        assert self._system.services.report.balance()["balanced"]
        with self._system.database.read() as unit:
            texts = json.dumps([row["cause"] for ident in self._refunds for row in moves_of(unit, ident)])
        assert "Lovelace" not in texts


def prove(system: System, *, examples: int) -> None:
    # shrinking such a history takes longer than reading it
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    run_state_machine_as_test(
        lambda: RefundingDays(system),  # type: ignore[arg-type]  # any maker will do, its documentation says
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck),
            phases=phases,
        ),
    )  # fmt: skip


def system_on(url: str) -> System:
    """With a Stables that can be asked which transfers there are."""
    clock = Clock()
    return make_system(url, clock=clock, stables=httpx.MockTransport(StablesScript(clock)))


@pytest.fixture
def system_on_sqlite(fast_folder: Path) -> Iterator[System]:
    made = system_on(f"sqlite:///{fast_folder / 'refunds.db'}")
    yield made
    made.close()


@pytest.mark.slow
def test_random_days_of_refunds_are_explained_to_the_cent_on_sqlite(system_on_sqlite: System) -> None:
    prove(system_on_sqlite, examples=20)


@pytest.mark.slow
@pytest.mark.postgresql
def test_random_days_of_refunds_are_explained_to_the_cent_on_postgresql(postgresql_server: Callable[[], str]) -> None:
    system = system_on(postgresql_server())
    prove(system, examples=4)
    system.close()
