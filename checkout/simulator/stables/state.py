"""Everything the simulated Stables knows, and the verbs that change it; one lock around all of it.

The wire (``app``) translates, this decides. Nothing here is shared with the service. A transfer's moves
happen on the shared scheduler at their time and, whoever looks first, again when somebody reads: both see
the same states.
"""

from __future__ import annotations

import itertools
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from checkout.simulator.stables import codes, lifecycle
from checkout.simulator.stables.addresses import deposit_address
from checkout.simulator.stables.codes import Status
from checkout.simulator.stables.customers import REVIEW_EVENTS, SUB_STATUSES, Customer, Customers
from checkout.simulator.stables.faults import Faults
from checkout.simulator.stables.grounds import refuse_customer, refuse_quote, refuse_transfer
from checkout.simulator.stables.memory import Memory
from checkout.simulator.stables.pricing import price
from checkout.simulator.stables.refusals import Refusal
from checkout.simulator.stables.requests import (
    CustomerRequest,
    QuoteRequest,
    SubscriptionRequest,
    TransferRequest,
)
from checkout.simulator.stables.subscriptions import Subscription
from checkout.simulator.stables.switches import Switches
from checkout.simulator.stables.transfers import Deposit, Quote, Transfer
from checkout.simulator.stables.webhooks import Webhooks
from checkout.simulator.surroundings import Surroundings
from checkout.simulator.switches import Switchboard, SwitchRefused

#: Under this name the scheduler knows the moves of transfers and the reviews of customers.
OWNER: Final = "stables-lives"


def new_uuid() -> str:
    return str(uuid.uuid4())


class StablesState:
    """One per port. ``close`` ends it; ``reset`` forgets everything but the pre-approved customer."""

    def __init__(self, around: Surroundings, new_id: Callable[[], str] = new_uuid) -> None:
        self.around = around
        self.board = Switchboard(Switches(), around.options.stables_switches)
        self.clock = around.clock
        self.memory = Memory(around.clock)
        self.faults = Faults()
        self.webhooks = Webhooks(around, lambda: self.board.now, new_id)
        self.webhooks.subscriptions = self._subscribers
        self._new_id = new_id
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._numbers = itertools.count(1)
        self._customers = Customers(self._new_id, self.clock.now())
        self._quotes: dict[str, Quote] = {}
        self._transfers: dict[str, Transfer] = {}
        self._subscriptions: dict[str, Subscription] = {}

    def reset(self) -> None:
        """Forget every object, key, fault and delivery; what was planned no longer happens."""
        self.around.scheduler.cancel(OWNER)
        with self._lock:
            self._begin()
            self.memory.clear()
            self.faults.clear()
            self.webhooks.clear()

    def close(self) -> None:
        self.webhooks.close()

    @property
    def switches(self) -> Switches:
        return self.board.now

    def _in(self, nominal_s: float, since: datetime) -> datetime:
        return since + timedelta(seconds=self.clock.wait(nominal_s))

    # Quotes

    def quote(self, request: QuoteRequest) -> dict[str, Any]:
        """Price a request; stored unless it is a preview. :class:`Refusal` 422 (500 for GBP, by switch)."""
        switches, now = self.switches, self.clock.now()
        refuse_quote(request, switches)
        quote = Quote(
            ident=self._new_id(),
            request=request,
            price=price(
                request.amount,
                request.network,
                request.fiat,
                request.rail,
                integrator_percent=switches.integrator_percent,
                rate_shift_percent=switches.rate_shift_percent,
                fees_in_destination=switches.fee_currency == "destination",
                unexplained=switches.unexplained,
            ),
            created_at=now,
            expires_at=self._in(switches.quote_life_s, now),
        )
        with self._lock:
            if not request.preview:
                self._quotes[quote.ident] = quote
                self._tell("quote.created", quote.ident, "ACTIVE", {"quote_id": quote.ident, "status": "ACTIVE"})
            return quote.answer(switches, now)

    # Transfers

    def create_transfer(self, request: TransferRequest) -> dict[str, Any]:
        """Turn a live quote into a transfer with an address of its own.

        :class:`Refusal` 404 for an unknown quote or customer; 422 for a quote that is used or over, a
        customer without base_payout (403 by switch), a risk or routing code; 400 for a currency that is not
        the quote's or an amount over the limit.
        """
        switches = self.switches
        with self._lock:
            now = self.clock.now()
            customer = self._customer(request.customer_id)
            quote = self._quotes.get(request.quote_id)
            if quote is None:
                raise Refusal(404, "Quote not found")
            if quote.used_by is not None:
                raise Refusal(422, "Quote has already been used")
            if now >= quote.expires_at:
                raise Refusal(422, "Quote has expired")
            refuse_customer(customer, switches)
            refuse_transfer(request, quote, switches)
            transfer = self._made(request, quote, now)
            answer = transfer.answer(switches, counts=False)
            self._transfer_told("transfer.created", transfer)
            return answer

    def _made(self, request: TransferRequest, quote: Quote, now: datetime) -> Transfer:
        switches = self.switches
        window = self._in(switches.funding_window_s, now)
        transfer = Transfer(
            ident=self._new_id(),
            number=next(self._numbers),
            quote=quote,
            request=request,
            address=deposit_address(quote.request.network, os.urandom(32), switches.address_form),
            created_at=now,
            updated_at=now,
            expires_at=quote.expires_at if switches.transfer_dies_with_quote else window,
            nulls_left=switches.null_instructions_reads,
        )
        quote.used_by = transfer.ident
        self._transfers[transfer.ident] = transfer
        transfer.moves.append((transfer.status, now))
        lifecycle.plan(transfer, switches, self.clock.wait, now)
        self._wake(transfer)
        return transfer

    def read_transfer(self, ident: str) -> dict[str, Any]:
        """One transfer as its answer. :class:`Refusal` 404 also while ``id_lag_s`` has not passed."""
        switches = self.switches
        with self._lock:
            transfer = self._caught_up(ident)
            if self.clock.now() < self._in(switches.id_lag_s, transfer.created_at):
                raise Refusal(404, "Transfer not found")
            return transfer.answer(switches, counts=True)

    def list_transfers(self, status: Status, customer_id: str | None) -> list[tuple[int, Transfer]]:
        """Every transfer of one status that lists show by now, with its number."""
        with self._lock:
            now, lag_s = self.clock.now(), self.switches.list_lag_s
            for transfer in self._transfers.values():
                self._advance(transfer, now)
            return [
                (one.number, one)
                for one in self._transfers.values()
                if one.status is status
                and (customer_id is None or one.request.customer_id == customer_id.lower())
                and now >= self._in(lag_s, one.created_at)
            ]

    def transfer_answers(self, transfers: list[Transfer]) -> list[dict[str, Any]]:
        with self._lock:
            return [one.answer(self.switches, counts=True) for one in transfers]

    def simulate_deposit(self, ident: str) -> dict[str, str]:
        """Act as if the instructed amount had come. :class:`Refusal` 409 unless the transfer awaits it.

        The answer's fields are OBSERVED; the words in ``scenario`` and ``deposit_status`` are INFERRED. No
        key guards it: a second call is a second deposit.
        """
        with self._lock:
            transfer = self._caught_up(ident)
            if transfer.status is not Status.AWAITING:
                raise Refusal(409, f"Transfer is {transfer.status.value}, not awaiting funds collection")
            self._deposit(transfer, transfer.amount, "simulate-deposit")
            return {
                "transfer_id": transfer.ident,
                "simulation_id": self._new_id(),
                "scenario": "exact_amount",
                "deposit_status": "pending",
            }

    def deposit(self, ident_or_address: str, amount: Decimal | None) -> dict[str, Any]:
        """Money arrives as on a chain: any amount at any time; None is the instructed amount."""
        with self._lock:
            by_address = {one.address: one.ident for one in self._transfers.values()}
            transfer = self._caught_up(by_address.get(ident_or_address, ident_or_address))
            self._deposit(transfer, transfer.amount if amount is None else amount, "control")
            return transfer.report()

    def _deposit(self, transfer: Transfer, amount: Decimal, source: str) -> None:
        now = self.clock.now()
        transfer.deposits.append(Deposit(amount, now, source, transfer.status.value))
        lifecycle.deposited(transfer, self.switches, self.clock.wait, now)
        self._wake(transfer)

    def set_status(self, ident: str, status: Status) -> dict[str, Any]:
        """Let a transfer become anything now; from there the path goes on by itself."""
        with self._lock:
            transfer, now = self._caught_up(ident), self.clock.now()
            lifecycle.move(transfer, status, now)
            lifecycle.plan(transfer, self.switches, self.clock.wait, now)
            self._transfer_told("transfer.updated.status_transitioned", transfer)
            self._wake(transfer)
            return transfer.report()

    def _caught_up(self, ident: str) -> Transfer:
        transfer = self._transfers.get(ident.lower())
        if transfer is None:
            raise Refusal(404, "Transfer not found")
        self._advance(transfer, self.clock.now())
        return transfer

    def _advance(self, transfer: Transfer, now: datetime) -> None:
        while lifecycle.step(transfer, self.switches, self.clock.wait, now):
            self._transfer_told("transfer.updated.status_transitioned", transfer)
            self._wake(transfer)

    def _wake(self, transfer: Transfer) -> None:
        """Have the scheduler make the planned move at its time."""
        if transfer.due is None:
            return
        due = transfer.due[0]

        def awake() -> None:
            with self._lock:
                # The scheduler counts on another clock; its idea of the moment may be a hair early.
                if transfer.due is not None and transfer.due[0] == due:
                    self._advance(transfer, max(due, self.clock.now()))

        delay_s = max(0.0, (due - self.clock.now()).total_seconds())
        self.around.scheduler.after(delay_s, awake, lane=f"stables:{transfer.ident}", owner=OWNER)

    # Customers

    def _customer(self, ident: str) -> Customer:
        self._customers.pose(self.switches)
        return self._customers.find(ident)

    def customer(self, ident: str) -> dict[str, Any]:
        with self._lock:
            return self._customer(ident).answer()

    def customers(self) -> list[dict[str, Any]]:
        """All of them: the documents know no pages here."""
        with self._lock:
            self._customers.pose(self.switches)
            return [one.answer() for one in self._customers]

    def create_customer(self, request: CustomerRequest) -> dict[str, Any]:
        with self._lock:
            now = self.clock.now()
            customer = self._customers.create(request, now, self._in(self.switches.review_s, now))
            self._customer_told("customer.created", customer)
            self._kyc_told(customer)
            self._review_later(customer)
            return customer.answer()

    def customer_for_link(self, request: CustomerRequest) -> dict[str, Any]:
        """Whom a verification link is for: a new customer, or (by switch) the one of that ``external_customer_id``.

        Which of the two the provider does with a taken id is UNKNOWN: its OpenAPI lists a 409, its tool list knows links
        for existing customers.
        """
        with self._lock:
            there = self._customers.by_external_id(request.external_customer_id)
            if there is None or self.switches.link_for_existing == "conflict":
                return self.create_customer(request)
            return self._customer(there.ident).answer()

    def update_customer(self, ident: str, request: CustomerRequest) -> dict[str, Any]:
        with self._lock:
            now = self.clock.now()
            self._customers.update(ident, request, now)
            customer = self._customer(ident)
            if customer.verification in ("rejected", "requires_action") and ident.lower() != codes.CUSTOMER_ID:
                customer.review("in_progress", now)  # sent again, looked at again
                customer.review_due = self._in(self.switches.review_s, now)
                self._kyc_told(customer)
                self._review_later(customer)
            self._customer_told("customer.updated", customer)
            return customer.answer()

    def judge(self, ident: str, verification: str, payout: str | None, reasons: Sequence[str] = ()) -> dict[str, Any]:
        """Control plane: end a review. For the pre-approved customer this sets its switches."""
        if verification not in REVIEW_EVENTS:
            raise SwitchRefused({"verification": "one of " + ", ".join(REVIEW_EVENTS)})
        if not set(reasons) <= set(SUB_STATUSES):
            raise SwitchRefused({"sub_status": "some of " + ", ".join(SUB_STATUSES)})
        if ident.lower() == codes.CUSTOMER_ID:
            asked: dict[str, object] = {"customer_verification": verification}
            self.board.change(asked if payout is None else asked | {"customer_payout": payout})
        with self._lock:
            customer = self._customer(ident)
            if ident.lower() != codes.CUSTOMER_ID:
                customer.review(verification, self.clock.now(), reasons)
                if payout is not None:
                    customer.entitlements["base_payout"] = payout
            self._kyc_told(customer)
            return customer.answer()

    def _review_later(self, customer: Customer) -> None:
        def verdict() -> None:
            with self._lock:
                if customer.review_due is not None:
                    customer.review(self.switches.new_customers_become, self.clock.now())
                    self._kyc_told(customer)

        wait_s = self.clock.wait(self.switches.review_s)
        self.around.scheduler.after(wait_s, verdict, lane=f"stables:{customer.ident}", owner=OWNER)

    # Subscriptions

    def subscribe(self, request: SubscriptionRequest) -> dict[str, Any]:
        with self._lock:
            one = Subscription(
                ident=self._new_id(), number=next(self._numbers), request=request, created_at=self.clock.now()
            )
            self._subscriptions[one.ident] = one
            return one.answer()

    def subscriptions(self) -> list[Subscription]:
        with self._lock:
            return list(self._subscriptions.values())

    def unsubscribe(self, ident: str) -> None:
        with self._lock:
            if self._subscriptions.pop(ident.lower(), None) is None:
                raise Refusal(404, "Webhook subscription not found")

    def _subscribers(self) -> list[tuple[str, list[str], str]]:
        return [(one.request.url, one.request.event_types, one.request.secret or "") for one in self.subscriptions()]

    # Events

    def _tell(self, kind: str, subject: str, status: str, thing: Mapping[str, Any]) -> None:
        if self.switches.other_webhooks:
            self.webhooks.tell(self.webhooks.event(kind, subject, status, thing))

    def _customer_told(self, kind: str, customer: Customer) -> None:
        thing = {"customer_id": customer.ident, "external_customer_id": customer.external_id}
        self._tell(kind, customer.ident, REVIEW_EVENTS[customer.verification], thing)

    def _kyc_told(self, customer: Customer) -> None:
        status = REVIEW_EVENTS[customer.verification]
        self._tell("kyc_link.updated.status_transitioned", customer.kyc_link_id, status, customer.kyc_event())

    def _transfer_told(self, kind: str, transfer: Transfer) -> None:
        switches = self.switches
        if kind == "transfer.created" or switches.transition_webhooks:
            status = switches.status_prefix + transfer.status.value.upper()
            self.webhooks.tell(self.webhooks.event(kind, transfer.ident, status, transfer.thin()))

    # The proofs' view

    def report_transfers(self) -> list[dict[str, Any]]:
        """Every transfer as it is kept, oldest first."""
        with self._lock:
            now = self.clock.now()
            for transfer in self._transfers.values():
                self._advance(transfer, now)
            return [one.report() for one in self._transfers.values()]

    def report_quotes(self) -> list[dict[str, Any]]:
        with self._lock:
            now = self.clock.now()
            return [one.answer(self.switches, now) | {"used_by": one.used_by} for one in self._quotes.values()]

    def report(self) -> dict[str, object]:
        """This provider's part of ``GET /_control/state``."""
        with self._lock:
            words = [one.status.value for one in self._transfers.values()]
            return {
                "customer_id": codes.CUSTOMER_ID,
                "customers": len(list(self._customers)),
                "quotes": len(self._quotes),
                "transfers": {word: words.count(word) for word in sorted(set(words))},
                "deposits": sum(len(one.deposits) for one in self._transfers.values()),
                "deliveries": self.webhooks.deliveries.counts(),
                "faults": self.faults.report(),
            }
