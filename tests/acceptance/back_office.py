"""Money back: the shop asks by the API, a clerk approves by command, and finds out what nobody was told.

A clerk believes Stable Mint's own list of withdrawals and nothing else: what is not in it when its time is over was never
carried out, and what is in it and was never told about was.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import select

from checkout.rules.refunds import ENDED
from checkout.store.tables import attempt, deposit
from tests.acceptance.person import Typist
from tests.acceptance.storefront import Order, Storefront
from tests.acceptance.world import LEASE_S, World

#: Of each order, while its money is at Stable Mint; and once more when people have recorded that it left.
PARTS: Final = 4
PART: Final = "1.00"
#: Refunds under way at once.
UNDER_WAY_MAX: Final = 8
#: Orders whose money goes back, at once.
ORDERS_MAX: Final = 5
#: An order whose money does not come in this time is left alone.
PATIENCE_S: Final = 60.0
#: After so long nothing of a withdrawal can be on its way any more: lease, the call's own deadline, and a margin.
QUIET: Final = timedelta(seconds=LEASE_S + LEASE_S / 2 + 1)
DETAILS: Final = {
    "user_ip": "203.0.113.7", "creditor_account": "DE89370400440532013000", "creditor_name": "Ada Lovelace",
    "creditor_country": "DE", "remittance": "Money back",
}  # fmt: skip


class BackOffice:
    """The shop's part: asks for refunds of the orders that were sold for it, again until it has an answer."""

    def __init__(self, world: World, storefront: Storefront) -> None:
        self._world = world
        self._storefront = storefront
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self.problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="back office", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Ask for nothing more."""
        self._stop.set()

    def stop(self) -> None:
        """End after the refund in hand; raises what went wrong."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(2 * PATIENCE_S)
        if self.problem is not None:
            raise self.problem

    def refund_once(self, order: Order) -> None:
        """The first part of an order's money."""
        if self._comes(lambda: self._deposit(order) is not None):
            self.ask(order)

    def refund(self, order: Order) -> None:
        """All of an order's refunds, as its money goes from Stable Mint to the treasury."""
        if not self._comes(lambda: self._deposit(order) is not None):
            return
        for _ in range(PARTS):
            if self._comes(self._has_room):
                self.ask(order)
        self._world.let_go.add(order.payment_id)
        self._world.kept_back.discard(order.payment_id)
        if self._comes(lambda: self._is_recorded(order)):
            self.ask(order)

    def ask(self, order: Order) -> None:
        """One refund of a part. Every other one lacks the details at first."""
        number = next(self._numbers)
        key = f"refund-{number}"
        given = {} if number % 2 == 0 else DETAILS
        path = f"{order.payment_id}/refunds"
        made = self._storefront.post_until_answered(path, {"amount": PART, **given}, key)
        if made["missing"]:
            path = f"{path}/{made['id']}/details"
            # 409: they are there, from a try whose answer was lost, and the refund has been approved since
            self._storefront.post_until_answered(path, DETAILS, f"{key}-details", answers=(200, 201, 409))

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(ORDERS_MAX) as desks:
                under_way: list[Future[None]] = []
                for place in itertools.count():
                    while self._is_busy(under_way) or place >= len(self._orders()):
                        if self._stop.wait(0.1):
                            break
                    if self._stop.is_set():
                        break
                    under_way.append(desks.submit(self.refund, self._orders()[place]))
                for one in under_way:
                    one.result()
        except BaseException as problem:
            self.problem = problem
        finally:
            self._world.kept_back.clear()

    @staticmethod
    def _is_busy(under_way: list[Future[None]]) -> bool:
        return sum(not one.done() for one in under_way) >= ORDERS_MAX

    def _orders(self) -> list[Order]:
        return [one for one in self._storefront.orders if one.refunded]

    def _comes(self, reached: Callable[[], bool]) -> bool:
        """Wait until it is so; False when it never is, or nothing more is to be begun."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not self._stop.is_set():
            if reached():
                return True
            self._stop.wait(0.1)
        return False

    def _has_room(self) -> bool:
        return sum(one.state not in ENDED for one in self._world.refunds()) < UNDER_WAY_MAX

    def _deposit(self, order: Order) -> Any:
        wanted = select(deposit).where(deposit.c.payment_id == order.payment_id, deposit.c.stage == "settled")
        with self._world.services.context.database.read() as unit:
            return unit.execute(wanted).first()

    def _is_recorded(self, order: Order) -> bool:
        found = self._deposit(order)
        return found is not None and found.settlement_record_id is not None


class Tray:
    """Refunds in the hands of one of several clerks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()

    def take(self, ident: str) -> bool:
        """Whether nobody else has it."""
        with self._lock:
            free = ident not in self._in_hand
            self._in_hand.add(ident)
            return free

    def put_back(self, ident: str) -> None:
        with self._lock:
            self._in_hand.discard(ident)


class Clerk(Typist):
    """Approves what is asked for, brings money for what has left, and says what became of what nobody answered for."""

    def __init__(self, world: World, name: str, tray: Tray) -> None:
        super().__init__(world, name)
        self._tray = tray

    def must_finish(self) -> bool:
        """Whether a refund has not come to its end."""
        return any(one.state not in ENDED for one in self._world.refunds())

    def work(self) -> bool:
        """One command for each refund that waits for a person; False when none does."""
        dealt = [self._take(one.id) for one in self._world.refunds() if one.state not in ENDED]
        return any(dealt)

    def _take(self, ident: str) -> bool:
        if not self._tray.take(ident):
            return False
        try:
            return self._deal(next(one for one in self._world.refunds() if one.id == ident))
        finally:
            self._tray.put_back(ident)

    def _deal(self, row: Any) -> bool:
        if row.state == "requested" and row.approved_by is None:
            self.command("refunds", "approve", row.id)
        elif row.state == "needs_funding":
            self._resolve(row, "funded", "sent EUR to Stable Mint by bank")
        elif row.state in ("unknown", "sending", "accepted"):
            became = self._became(row)
            if became is None:
                return False
            self._resolve(row, became, "Stable Mint's dashboard")
        else:
            return False
        return True

    def _resolve(self, row: Any, what: str, evidence: str) -> None:
        self.command("refunds", "resolve", row.id, what, "--evidence", evidence)

    def _became(self, row: Any) -> str | None:
        """What Stable Mint's list says once nothing can be on its way; None while news is to come."""
        if self._sent_at(row.id) + QUIET > datetime.now(UTC):
            return None
        made = [
            one for one in self._world.ask("stable_mint", "withdrawals") if one["custom_fields"]["refund"] == row.id
        ]
        if not made:
            return "failed" if row.state == "unknown" else None
        return None if made[0]["events"] else "sent"  # what Stable Mint tells of is heard, however late

    def _sent_at(self, ident: str) -> datetime:
        wanted = select(attempt.c.first_sent_at).where(attempt.c.kind == "withdrawal", attempt.c.subject == ident)
        with self._world.services.context.database.read() as unit:
            sent: list[datetime] = [row.first_sent_at for row in unit.execute(wanted)]
        return max(sent)
