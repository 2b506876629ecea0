"""A service whose Stables is the running simulator, over real HTTP on a fast clock; Stable Mint is a script."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from checkout.simulator.options import Options
from checkout.simulator.server import Servers
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.contracts.openapi import check_exchanges
from tests.system import BANK, Clock, RealClock, System, environment, make_system

SPEED = 200.0


class Offramp:
    """A system and the simulated Stables beside it."""

    def __init__(self, system: System, servers: Servers) -> None:
        self.system = system
        self.servers = servers
        self._http = httpx.Client(base_url=servers.stables_url, trust_env=False)
        self._spoils_answers = False

    def check_contract(self) -> None:
        """Every recorded pair keeps the provider's OpenAPI; of answers a fault has spoiled, only the requests count."""
        exchanges = [dict(one) for one in self.control("requests") if not str(one["path"]).startswith("/_control")]
        if self._spoils_answers:
            exchanges = [{**one, "status": None} for one in exchanges]
        assert check_exchanges(exchanges), "nothing was recorded"

    def fault(self, path: str, fault: str, *, times: int = 1, value: int = 1, method: str = "POST") -> None:
        """Arm a fault of one path; ``times`` 0 means until cleared."""
        self._spoils_answers = True
        self.post("faults", {"path": path, "method": method, "fault": fault, "value": value, "times": times})

    def clear_faults(self) -> None:
        self._http.delete("/_control/faults").raise_for_status()

    def close(self) -> None:
        self._http.close()

    def switch(self, **positions: Any) -> None:
        """Set switches of the simulator."""
        self._http.post("/_control/switches", json=positions).raise_for_status()

    def control(self, path: str) -> Any:
        answer = self._http.get(f"/_control/{path}")
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, content: Any = None) -> Any:
        answer = self._http.post(f"/_control/{path}", json=content)
        answer.raise_for_status()
        return answer.json()

    def transfers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("transfers")
        return found

    def settled(self, amount: str = "9.00", received: str = "9.71") -> str:
        """A settled order with its settlement record; the record's id."""
        system = self.system
        answer = system.pay(amount)
        session = system.sessions(answer.payment.id)[0]
        system.hear(session, "completed", amount=float(amount))
        record = system.services.treasury.record(
            system.store.id, asset="USDC", network="polygon", amount=received, fee="0",
            deposits=[str(session.reference)], evidence="the simulator's advice", who="ann",
        )  # fmt: skip
        return record.id

    def account(self) -> str:
        made = self.system.services.payout_accounts.add(
            self.system.store.id, {**BANK, "stables_customer_id": CUSTOMER_ID}, who="ann"
        )
        return str(made["id"])

    def state(self, payout: str) -> str:
        return str(self.system.services.payouts.show(payout)["state"])

    def until(self, payout: str, *states: str, within: float = 20.0) -> str:
        """Work until the payout is in one of the states."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            self.system.work()
            state = self.state(payout)
            if state in states:
                return state
            time.sleep(0.01)
        raise AssertionError(f"still {self.state(payout)}: {self.system.services.payouts.show(payout)}")

    def wait(self, reached: Callable[[], bool], within: float = 20.0) -> None:
        end = time.monotonic() + within
        while not reached():
            assert time.monotonic() < end, "it never came"
            self.system.work()
            time.sleep(0.01)


@contextmanager
def offramp(
    database_url: str, *, speed: float = SPEED, clock: Clock | None = None, **changes: str
) -> Iterator[Offramp]:
    """Start the simulated Stables and a service that talks to it; ``clock`` is the service's own."""
    given = environment(database_url)
    options = Options(
        stables=("127.0.0.1", 0),
        speed=speed,
        service_url="http://127.0.0.1:9",
        stables_api_key=given["STABLES_API_KEY"],
        stables_webhook_secret=given["STABLES_WEBHOOK_SECRET"],
        stables_switches={"webhooks": False},
    )
    with Servers(options) as servers:
        settings = {"STABLES_API_URL": servers.stables_url, "CHECKOUT_SPEED": str(speed), **changes}
        system = make_system(
            database_url, stables=httpx.HTTPTransport(), clock=clock or RealClock(), settings=settings
        )  # fmt: skip
        made = Offramp(system, servers)
        try:
            yield made
            made.check_contract()
        finally:
            made.close()
            system.close()
