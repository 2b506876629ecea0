"""The ledger against a second bookkeeper, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from checkout.inbox import Receipt as Answer
from checkout.paying_out.resolution_verbs import Said
from checkout.refunding.refund_resolving import Resolution
from checkout.refunding.refunds import NewRefund
from checkout.rules.money import Money
from checkout.rules.resolutions import Where
from checkout.store import ledger, payments
from checkout.store.records import DepositRow, SessionRow
from tests.bookkeeper import ACCEPTED, COLLECTED, DEAD, SETTLED, WORDS, Bookkeeper, Receipt
from tests.flows.refund_days import DETAILS, PERSON, taken
from tests.flows.refund_days import hear as hear_withdrawal
from tests.stables_script import StablesScript
from tests.system import BANK, Clock, System, make_system

ASSET = "USDC@polygon"
#: The currency of a second rule, whose settled deposits are declared to be USDC one to one.
PEG = "USD"


class TwoBookkeepers(RuleBasedStateMachine):
    """A shop's days: orders, odd deposits, evidence, allocations. After each step both bookkeepers agree."""

    def __init__(self, system: System, script: StablesScript) -> None:
        super().__init__()
        self._system = system
        self._script = script
        self._refunds: list[tuple[str, Receipt, int]] = []
        self._asked = 0
        self._orders: list[tuple[SessionRow, int, str]] = []
        self._entered: dict[str, int] = {}  # settlement record → minor units a person entered
        self._closing: dict[str, tuple[int, int, int]] = {}

    @initialize()
    def open_a_shop(self) -> None:
        system = self._system
        made = system.services.stores.create(
            system.services.context.new_id("shop"), ["https://shop.example"], who="ann"
        )
        for currency, evidence in (("EUR", "recorded"), (PEG, "declared")):
            system.services.stores.rule(
                made.id, currency=currency, asset="USDC", network="polygon", evidence=evidence,
                settles_gross=evidence == "declared", who="ann",
            )  # fmt: skip
        self._store = system.store = system.services.stores.find(made.id)
        self._account = system.services.payout_accounts.add(made.id, BANK, who="ann")["id"]
        self._books = Bookkeeper(self._pays, lambda one: self._deposit(one).id, frozenset({PEG}))

    def _deposit(self, reference: str) -> DepositRow:
        with self._system.database.read() as unit:
            found = payments.deposit_by_reference(unit, reference)
        assert found is not None
        return found

    def _pays(self, reference: str) -> bool:
        deposit = self._deposit(reference)
        return self._system.payment(deposit.payment_id).counted_deposit_id == deposit.id

    @precondition(lambda self: len(self._orders) < 4)
    @rule(cents=st.sampled_from([900, 901, 333, 1000]), currency=st.sampled_from(["EUR", "EUR", PEG]))
    def order(self, cents: int, currency: str) -> None:
        amount = f"{cents // 100}.{cents % 100:02}"
        answer = self._system.pay(amount, currency, flow="hosted_partner", customer=PERSON)
        self._orders.append((self._system.sessions(answer.payment.id)[0], cents, currency))

    @precondition(lambda self: self._orders)
    @rule(
        which=st.integers(0, 3),
        attempt=st.integers(0, 1),
        words=st.lists(st.sampled_from([*WORDS, "v2 failed"]), min_size=1, max_size=3),
        amount=st.sampled_from([0, 0, 0, -1, -433, 1, 100]),
        other_currency=st.sampled_from([False, False, False, True]),
        elsewhere=st.sampled_from([False, False, False, False, True]),
    )
    def hear(
        self, which: int, attempt: int, words: list[str], amount: int, other_currency: bool, elsewhere: bool
    ) -> None:
        session, asked, currency = self._orders[which % len(self._orders)]
        stated = (asked + amount) if asked + amount > 0 else asked
        known: dict[str, Any] = {"blockchainDestinationType": "Customer"} if elsewhere else {}
        for one in words:
            version, word = one.split()
            body = self._system.event(
                session, word, version=version, reference=f"{session.reference}{'-2' * attempt}", amount=stated / 100,
                currency=({"EUR": PEG, PEG: "EUR"}[currency] if other_currency else currency), **known,
            )  # fmt: skip
            if self._system.deliver(body) is not Answer.STORED:
                continue  # a V1 event said twice in the same bytes is one event
            self._system.work()
            self._books.hear(body, asked=asked, asked_currency=currency)

    def _settled(self, *, recorded: bool) -> list[Receipt]:
        return [
            one
            for one in self._books.receipts.values()
            if one.come == SETTLED and (one.recorded is not None) == recorded and not one.allocated and not one.held
        ]

    def _recordable(self) -> list[Receipt]:
        waiting = [
            one
            for one in self._books.receipts.values()
            if one.come == SETTLED and one.recorded is None and not one.held and sum(self._books.stands(one)) > 0
        ]
        return [one for one in waiting if one.currency == "EUR" and (one.allocated or not one.foreign)]

    @precondition(lambda self: self._recordable())
    @rule(
        picks=st.sets(st.integers(0, 5), min_size=1, max_size=3),
        arrived=st.integers(1, 30_000_000),
        fee=st.integers(0, 90),
    )
    def enter_evidence(self, picks: set[int], arrived: int, fee: int) -> None:
        waiting = self._recordable()
        chosen = [waiting[i] for i in sorted({pick % len(waiting) for pick in picks})]
        ours = sum(self._books.stands(one)[0] for one in chosen)
        kept = min(fee, max(0, ours - 1))
        made = self._system.services.treasury.record(
            self._store.id, asset="USDC", network="polygon", amount=f"{arrived // 10**6}.{arrived % 10**6:06}",
            fee=f"0.{kept:02}", deposits=[one.reference for one in chosen], evidence="a statement", who="ann",
        )  # fmt: skip
        self._entered[made.id] = arrived
        self._books.record(chosen, asset=ASSET, arrived=arrived, fee=kept)

    def _nobodys(self) -> list[Receipt]:
        before = [one for one in self._settled(recorded=False) if self._books.stands(one)[1]]
        return before + [one for one in self._settled(recorded=True) if one.unallocated_then]

    @precondition(lambda self: self._nobodys())
    @rule(pick=st.integers(0, 5))
    def allocate(self, pick: int) -> None:
        waiting = self._nobodys()
        chosen = waiting[pick % len(waiting)]
        self._system.services.treasury.allocate(chosen.reference, evidence="the shopper agreed", who="ann")
        self._books.allocate(chosen)

    # --- refunds -------------------------------------------------------------------------------------------------

    def _refundable(self) -> list[Receipt]:
        return [
            one
            for one in self._books.receipts.values()
            if one.come >= ACCEPTED
            and one.currency == "EUR"
            and one.recorded is None
            and not one.foreign
            and sum(self._books.stands(one)) > 200
        ]

    @precondition(lambda self: self._refundable())
    @rule(pick=st.integers(0, 5), cents=st.integers(100, 200))
    def ask_for_a_refund(self, pick: int, cents: int) -> None:
        waiting = self._refundable()
        receipt = waiting[pick % len(waiting)]
        self._asked += 1
        wanted = NewRefund(
            amount=Money(cents, "EUR"),
            idempotency_key=f"k{self._asked}",
            deposit=receipt.reference,
            details=DETAILS,
        )
        payment = self._deposit(receipt.reference).payment_id
        answer, _ = self._system.services.refunds.request(payment, wanted, who="ann")
        assert answer.row.state == "requested"
        self._refunds.append((answer.row.id, receipt, cents))
        receipt.held += cents

    @precondition(lambda self: self._refunds)
    @rule(pick=st.integers(0, 5), how=st.sampled_from(["sent", "sent before a restore", "stopped"]))
    def end_a_refund(self, pick: int, how: str) -> None:
        ident, receipt, cents = self._refunds.pop(pick % len(self._refunds))
        services = self._system.services
        if how == "sent before a restore":
            services.restoring.mark(note="a backup put back", who="ann")
            services.refund_resolving.resolve(ident, Resolution.SENT, evidence="the dashboard shows it", who="ann")
            services.restoring.confirm(evidence="nothing else was paid since", who="ann")
            receipt.sent_back += cents
        elif how == "sent" and not receipt.foreign:  # what went elsewhere cannot be sent back from here
            self._system.mint.next_answers.append(taken())
            services.refunds.approve(ident, who="ann")
            self._system.work()
            hear_withdrawal(self._system, ident, "accepted", "sent")
            receipt.sent_back += cents
        else:
            services.refund_resolving.resolve(ident, Resolution.STOPPED, evidence="the shopper keeps it", who="ann")
        receipt.held -= cents

    # --- payouts -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self._books.free(ASSET) > 0 and len(self._books.payouts) < 4)
    @rule(
        credit=st.integers(100, 90_000),
        goes_on=st.sampled_from([[], ["approve"], ["approve", "reveal"], ["approve", "reveal"], ["cancel"]]),
        rate=st.sampled_from(["0.92", "1", "1.0837465", "0"]),
        fees=st.sampled_from([{}, {"platform_fee": ("USD", "0.35")}, {"network_fee": ("GBP", "1.999")},
                              {"fx_fee": ("EUR", "0.005"), "total_fee": ("USD", "9")}]),
    )  # fmt: skip
    def propose(self, credit: int, rate: str, fees: dict[str, tuple[str, str]], goes_on: list[str]) -> None:
        script, services = self._script, self._system.services
        script.credit, script.rate, script.fees = f"{credit // 100}.{credit % 100:02}", rate, fees
        out = services.payouts.propose(self._store.id, account_id=self._account, who="ann")
        self._books.propose(out, asset=ASSET, credit=credit)
        self._system.work()
        for act in goes_on:
            self.both_agree()
            self.every_statement_explains_every_cent()
            self._act(out, act)

    def _shown(self, out: str) -> str:
        return str(self._system.services.payouts.show(out)["state"])

    @precondition(lambda self: self._books.payouts)
    @rule(pick=st.integers(0, 3), act=st.sampled_from(["approve", "approve", "reveal", "reveal", "cancel"]))
    def act_on_a_payout(self, pick: int, act: str) -> None:
        self._act(list(self._books.payouts)[pick % len(self._books.payouts)], act)

    def _act(self, out: str, act: str) -> None:
        services, state = self._system.services, self._shown(out)
        if act == "approve" and state == "quoted":
            services.payouts.approve(out, min_credit="0.01", who="ann")
            self._system.work()
        elif act == "reveal" and state == "transfer_created":
            self._says(out, "awaiting_funds_collection")
            services.payouts.reveal(out, who="ann")
            self._books.payouts[out].exposed = True
        elif act == "cancel" and state in ("proposed", "quoted"):
            services.payouts.cancel(out, who="ann")
            self._books.payouts[out].place = "treasury_free"

    def _says(self, out: str, word: str) -> None:
        transfer = self._script.of(out)
        transfer["status"] = word
        self._system.clock.advance(minutes=6)
        self._system.work()

    def _with_transfer(self) -> list[str]:
        there = {one["metadata"]["payout"] for one in self._script.transfers.values()}
        over = ("exchange", "treasury_free")
        return [
            out for out, one in self._books.payouts.items() if out in there and one.place not in over and not one.waits
        ]

    @precondition(lambda self: self._with_transfer())
    @rule(pick=st.integers(0, 3), word=st.sampled_from([*COLLECTED, "completed", "completed", *DEAD, "unheard_of"]))
    def stables_says(self, pick: int, word: str) -> None:
        there = self._with_transfer()
        out = there[pick % len(there)]
        if word not in DEAD or self._books.payouts[out].place == "treasury_reserved":
            self._says(out, word)
            self._books.payouts[out].hear(word)

    def _credited(self) -> list[str]:
        return [out for out, one in self._books.payouts.items() if one.place == "exchange" and one.bank == "bank"]

    @precondition(lambda self: self._credited())
    @rule(pick=st.integers(0, 3), cents=st.sampled_from([-3, -1, 0, 1, 50]))
    def the_bank_statement_comes(self, pick: int, cents: int) -> None:
        there = self._credited()
        out = there[pick % len(there)]
        one = self._books.payouts[out]
        arrived = max(1, one.credit + cents)
        self._system.services.statements.confirm(
            out, amount=f"{arrived // 100}.{arrived % 100:02}", evidence="a line", who="ann"
        )
        one.credit = arrived

    @precondition(lambda self: self._credited())
    @rule(pick=st.integers(0, 3), back=st.integers(1, 9_000_000))
    def the_bank_returns_it_and_stables_turns_it_back(self, pick: int, back: int) -> None:
        there = self._credited()
        out = there[pick % len(there)]
        one = self._books.payouts[out]
        say = self._system.services.resolutions.say
        say(out, Said(Where.RETURNED, "a line"), who="ann")
        one.bank = "returned"
        self.both_agree()
        amount = Money(back, "USDC").plain()
        say(out, Said(Where.BACK, "Stables' mail", amount=amount), who="ann")
        one.bank, one.came_back = "exchange", back

    def _waiting_for_a_person(self) -> list[str]:
        return [out for out, one in self._books.payouts.items() if one.waits]

    @precondition(lambda self: self._waiting_for_a_person())
    @rule(pick=st.integers(0, 3), arrived=st.booleans())
    def a_person_decides(self, pick: int, arrived: bool) -> None:
        there = self._waiting_for_a_person()
        out = there[pick % len(there)]
        one = self._books.payouts[out]
        credit = Money(one.credit, "EUR").fixed()
        said = Said(Where.ARRIVED, "a line", credit=credit) if arrived else Said(Where.NEVER_SENT, "the wallet's list")
        self._system.services.resolutions.say(out, said, who="ann")
        one.waits, one.place = False, "exchange" if arrived else "treasury_free"

    @invariant()
    def every_statement_explains_every_cent(self) -> None:
        services = self._system.services
        for out, one in getattr(self, "_books", Bookkeeper(lambda _: False, str, frozenset())).payouts.items():
            found = services.statements.payout(out)
            assert found["differences"] == {}
            assert sum(_minor(line["asset_share"]) for line in found["lines"]) == one.amount
            if one.place == "exchange":
                assert sum(_minor(line["credit_share"]) for line in found["lines"]) == one.credit
            told = found["provider"]
            if told is not None:
                taken_ = sum(_minor(fee["in_credit"] or "0") for fee in told["fees"])
                assert _minor(told["gross"]) - taken_ + _minor(told["unexplained"]) == _minor(found["credit"]["amount"])
        if self._orders:
            assert services.reconciling.report(self._store.id, start=None, end=None, limit=1)["differences"] == []

    @invariant()
    def both_agree(self) -> None:
        if not self._orders:
            return
        with self._system.database.read() as unit:
            rows = ledger.balances(unit, self._store.id)
        assert {
            f"{row['book']}/{row['asset']}": row["balance"] for row in rows if row["balance"]
        } == self._books.balances()
        for row in rows:
            opening, received, given = self._closing.get(row["account"], (0, 0, 0))
            assert opening + (row["received"] - received) - (row["given"] - given) == row["balance"]
            self._closing[row["account"]] = (row["balance"], row["received"], row["given"])

    def teardown(self) -> None:
        if not self._orders:
            return
        with self._system.database.read() as unit:
            rows = [row._mapping for row in unit.execute(text("SELECT * FROM posting"))]
            records = {
                row.id: row
                for row in unit.execute(text("SELECT * FROM settlement_record"))
                if row.store_id == self._store.id
            }
        arrived: dict[str, int] = {}
        for row in rows:
            if not row["credit"].startswith(f"{self._store.id}/") or "@" not in row["asset"]:
                continue
            giver = row["credit"].split("/")[1]
            if row["cause"].startswith("out_"):
                continue  # a payout's own; what it may take and bring is recomputed after every step
            if row["key"].endswith("/withdrawn"):
                assert records[row["cause"]].kind == "declared"
                assert records[row["cause"]].withdrawn_at is not None
                continue
            assert giver in ("exchange", "unallocated"), "stablecoin comes from a record, or was held back by one"
            if giver == "exchange":
                arrived[row["cause"]] = arrived.get(row["cause"], 0) + row["amount_minor"]
        declared = {ident: row.deposits_minor * 10_000 for ident, row in records.items() if row.kind == "declared"}
        assert {row.currency for row in records.values() if row.kind == "declared"} <= {PEG}
        assert arrived == {**self._entered, **declared}


def _minor(text: str) -> int:
    return int(text.replace(".", ""))


def _system(url: str) -> tuple[System, StablesScript]:
    clock = Clock()
    script = StablesScript(clock)
    return make_system(url, clock=clock, stables=httpx.MockTransport(script)), script


def prove(system: System, script: StablesScript, *, examples: int) -> None:
    run_state_machine_as_test(
        lambda: TwoBookkeepers(system, script),  # type: ignore[arg-type]  # any maker will do, its documentation says
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert system.services.report.balance()["balanced"]


@pytest.mark.slow
def test_two_bookkeepers_agree_after_every_step_on_sqlite(fast_folder: Path) -> None:
    system, script = _system(f"sqlite:///{fast_folder / 'books.db'}")
    prove(system, script, examples=20)
    system.close()


@pytest.mark.slow
@pytest.mark.postgresql
def test_two_bookkeepers_agree_after_every_step_on_postgresql(postgresql_server: Callable[[], str]) -> None:
    system, script = _system(postgresql_server())
    prove(system, script, examples=5)
    system.close()
