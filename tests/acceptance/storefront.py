"""The storefront's and the shopper's side of a test: opens payments until the service answers, then pays at Stable Mint.

It behaves as the documentation tells a shop to: no answer, or a busy service, means the same request again under the
same Idempotency-Key.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final

import httpx

from tests.acceptance.points import Point, call_of
from tests.acceptance.world import World

#: A shop that gets no usable answer for this long gives up, and the test fails.
PATIENCE_S: Final = 240.0
#: A shop whose shopper waits for so long asks for a fresh session.
FRESH_S: Final = 20.0
#: Paid payments that are not settled yet, or not recorded yet.
UNDER_WAY_MAX: Final = 12
#: Between two orders while more has settled than the operators have come to.
PACE_S: Final = 1.5
#: Orders that wait, at once, for their session and their shopper.
SHOPPERS: Final = 6
#: Switches as they are unless a recipe says otherwise: while a session is opened, and when the shopper acts.
PLAIN: Final[dict[str, Any]] = {"session_outcome": "ok", "session_outcome_times": None, "session_replay": "same"}
TOLD: Final[dict[str, Any]] = {
    "webhook_duplicates": 1, "webhook_version": "v2", "webhook_order": "normal", "later_events": "everything",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way a payment can go: what Stable Mint does (switches), and what the shopper does."""

    name: str
    outcome: str = "paid"
    flow: str = "hosted"
    currency: str = "EUR"  #: dollars are sold in the second store, whose payouts a policy makes
    refunded: bool = False  #: whether the shop asks for money of it back
    opening: tuple[tuple[str, Any], ...] = ()  #: switches while the session is opened
    telling: tuple[tuple[str, Any], ...] = ()  #: switches when the shopper acts


def _lost(kind: str, times: int = 1) -> tuple[tuple[str, Any], ...]:
    return ("session_outcome", kind), ("session_outcome_times", times)


RECIPES: Final = (
    Recipe("straight"),
    Recipe("refunded", flow="hosted_partner", refunded=True),
    Recipe("automatic", currency="USD"),
    Recipe("no answer, nothing done", opening=_lost("error_500_before_work")),
    Recipe("every webhook twice, V1 and V2 mixed", telling=(("webhook_duplicates", 2), ("webhook_version", "mixed"))),
    Recipe("no answer, session made", opening=_lost("error_500_after_work")),
    Recipe("partner-managed customer", flow="hosted_partner"),
    Recipe("automatic, no answer, session made", currency="USD", opening=_lost("error_500_after_work")),
    Recipe("replay refused", opening=(*_lost("error_500_after_work"), ("session_replay", "error"))),
    Recipe("failed", outcome="failed"),
    Recipe("webhooks out of order", telling=(("webhook_order", "shuffled"),)),
    Recipe("replay without URL", opening=(*_lost("unparseable"), ("session_replay", "no_url"))),
    Recipe("left", outcome="left"),
    Recipe("refunded too", flow="hosted_partner", refunded=True),
    Recipe("partner-managed, no answer", flow="hosted_partner", opening=_lost("error_500_before_work", 2)),
    Recipe("later events by reference alone", telling=(("later_events", "reference"),)),
)


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the shop knows it."""

    key: str
    payment_id: str
    outcome: str
    reference: str  #: of the session the shopper was sent to
    cents: int
    currency: str = "EUR"
    refunded: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """An order whose payment is open."""

    key: str
    payment_id: str
    cents: int


class Storefront:
    """Opens and pays; ``orders`` is what the shop believes it has sold."""

    def __init__(self, world: World, *, seed: int) -> None:
        self._world = world
        self._chance = random.Random(seed)  # noqa: S311 - repeatable by design
        self._http = httpx.Client(trust_env=False, timeout=5.0)
        self._numbers = itertools.count(1)
        self.orders: list[Order] = []
        self._ambushes: SimpleQueue[Point] = SimpleQueue()
        self._placed = 0.0  # when the last order was
        self._asked: dict[str, int] = {}  # for a fresh session: how often, by payment
        self._stop = threading.Event()
        self._paying = threading.Lock()  # switches are the whole provider's: set and used by one shopper at a time
        self.problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="storefront", daemon=True)

    def start(self) -> None:
        """Sell on and on, recipe after recipe, until stopped."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begin nothing new."""
        self._stop.set()

    def stop(self) -> None:
        """End after the orders in hand; raises what went wrong."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(2 * PATIENCE_S + 10)
        self._http.close()
        if self.problem is not None:
            raise self.problem

    def ambush(self, point: Point) -> None:
        """Have the process that makes a session call killed in it, in the next order: the web's call, or the replay."""
        self._ambushes.put(point)

    def sell(self, recipe: Recipe) -> Order:
        """One order, from the basket to what the shopper does at Stable Mint."""
        return self.pay(self.place(recipe), recipe)

    def place(self, recipe: Recipe) -> Placed:
        """Open a payment."""
        self._placed = time.monotonic()
        key = f"order-{next(self._numbers)}"
        opening = PLAIN | dict(recipe.opening)
        if not self._ambushes.empty():
            opening |= self._lie_in_wait(self._ambushes.get())
        self._world.tell("stable_mint", "switches", opening)
        content = self._content(recipe, key)
        found = self._patiently(lambda: self._post("", content, key, self._secret(recipe.currency)))
        if recipe.refunded:
            self._world.kept_back.add(str(found["id"]))
        return Placed(key, str(found["id"]), int(content["amount"].replace(".", "")))

    def pay(self, placed: Placed, recipe: Recipe) -> Order:
        """Go where the shopper is sent, as soon as that is known, and do what the recipe says."""
        begun = time.monotonic()
        secret = self._secret(recipe.currency)
        shown = self._patiently(lambda: self._open_one(placed.payment_id, begun, secret))
        reference = str(shown["provider"]["reference"])
        with self._paying:
            self._world.tell("stable_mint", "switches", TOLD | {"seed": len(self.orders)} | dict(recipe.telling))
            self._world.tell("stable_mint", f"sessions/{reference}/pay", {"outcome": recipe.outcome})
        order = Order(
            placed.key, placed.payment_id, recipe.outcome, reference, placed.cents, recipe.currency, recipe.refunded
        )
        self.orders.append(order)
        return order

    def post_until_answered(
        self, path: str, content: dict[str, Any], key: str, *, answers: tuple[int, ...] = (200, 201)
    ) -> dict[str, Any]:
        """Post something about a payment of the first store, again under the same key until there is one of the answers."""
        return self._patiently(lambda: self._post(f"/{path}", content, key, self._world.api_key, answers))

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(SHOPPERS) as shoppers:
                paying: list[Future[Order]] = []
                for recipe in itertools.cycle(RECIPES):
                    while self._is_crowded(paying) and not self._stop.wait(0.1):
                        pass
                    if self._stop.is_set():
                        break
                    paying.append(shoppers.submit(self.pay, self.place(recipe), recipe))
                for one in paying:
                    one.result()
        except BaseException as problem:
            self.problem = problem

    def _is_crowded(self, paying: list[Future[Order]]) -> bool:
        """Whether so much is under way, or waits to be paid out, that more would only queue."""
        if sum(not one.done() for one in paying) >= SHOPPERS:
            return True
        if len(self._world.unrecorded()) > UNDER_WAY_MAX and time.monotonic() - self._placed < PACE_S:
            return True
        waiting = {one["subject"] for one in self._world.ask("stable_mint", "deliveries?state=waiting")}
        return len(waiting) > UNDER_WAY_MAX

    def _lie_in_wait(self, point: Point) -> dict[str, Any]:
        """Arm the kill; the switches that bring the right caller to it. The first call is the web's, the next a worker's."""
        call = call_of(point.where)
        replay = call.role == "worker"
        rule = {"path": call.path, "method": call.method, "moment": point.when, "nth": 2 if replay else 1}
        self._world.tell("stable_mint", "kill", rule)
        return dict(_lost("error_500_before_work")) if replay else {}

    def _content(self, recipe: Recipe, key: str) -> dict[str, Any]:
        cents = self._chance.randrange(500, 1000)
        content: dict[str, Any] = {
            "flow": recipe.flow, "amount": f"{cents // 100}.{cents % 100:02}", "currency": recipe.currency,
            "country": "DE", "order": key, "metadata": {"recipe": recipe.name},
        }  # fmt: skip
        if recipe.flow == "hosted_partner":
            customer = self._chance.randrange(1, 6)
            content["customer"] = {"id": f"customer-{customer}", "email": f"customer-{customer}@example.com"}
        return content

    def _secret(self, currency: str) -> str:
        return self._world.api_key if currency == "EUR" else self._world.automatic_key

    def _post(
        self, path: str, content: dict[str, Any], key: str, secret: str, answers: tuple[int, ...] = (200, 201)
    ) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key}
        url = f"{self._world.url}/v1/payments{path}"
        return self._taken(self._http.post(url, json=content, headers=headers), answers)

    def _open_one(self, payment_id: str, begun: float, secret: str) -> dict[str, Any] | None:
        """The payment, once a shopper could be sent to pay it; a fresh session when that takes too long."""
        headers = {"Authorization": f"Bearer {secret}"}
        url = f"{self._world.url}/v1/payments/{payment_id}"
        found = self._taken(self._http.get(url, headers=headers))
        if found is not None and found["provider"]["reference"]:
            return found
        waited = int((time.monotonic() - begun) // FRESH_S)
        if waited and self._asked.get(payment_id, 0) < waited:
            key = f"{payment_id}-fresh-{waited}"
            if self._http.post(f"{url}/sessions", headers={**headers, "Idempotency-Key": key}).status_code < 500:
                self._asked[payment_id] = waited
        return None

    def _taken(self, answer: httpx.Response, answers: tuple[int, ...] = (200, 201)) -> dict[str, Any] | None:
        """The answer's content; None for one that means "again later"; anything else is a fault of ours."""
        if answer.status_code in (429, 502, 503, 504):
            return None
        assert answer.status_code in answers, f"{answer.status_code}: {answer.text}"
        content: dict[str, Any] = answer.json()
        return content

    def _patiently(self, ask: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                found = ask()
            except httpx.TransportError:  # the process that was to answer is dead
                found = None
            if found is not None:
                return found
            time.sleep(0.1)
        raise AssertionError(f"the service gave no usable answer for {PATIENCE_S} s\n{self._world.tails()}")
