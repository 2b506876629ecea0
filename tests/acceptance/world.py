"""One running installation for tests of what survives: providers, shop, database, web, workers; all real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import httpx
from sqlalchemy import select

from checkout.app import Services, build
from checkout.config import Settings
from checkout.simulator.stables.codes import CUSTOMER_ID
from checkout.store.schema import migrate
from checkout.store.tables import deposit
from tests.acceptance.outside import HOOKS
from tests.acceptance.points import Strikes
from tests.acceptance.processes import Launcher, Process, Supervisor, birth
from tests.system import BANK, environment, private_pem, public_pem

#: How much faster everything goes: five minutes of a provider are a second here.
SPEED: Final = 300
#: Not scaled. Short, so that what a dead process held is soon somebody else's.
LEASE_S: Final = 2
TIMEOUT_S: Final = 1
#: Nominal; forty real seconds from a transfer's creation.
FUNDING_WINDOW_S: Final = 12_000
WORKERS: Final = 3
START_S: Final = 120.0

#: Longer than the simulator's own, so that a state is seen before the next one comes; nominal seconds. Funds are
#: collected late, so that a deposit that is asked for twice is made twice.
STABLES: Final = {
    "await_s": 30.0, "collect_s": 450.0, "submit_s": 150.0, "process_s": 150.0, "complete_s": 150.0, "quote_life_s": 600.0,
    "funding_window_s": float(FUNDING_WINDOW_S), "actual_payout": "as_quoted",
}  # fmt: skip


class World:
    """Starts everything, keeps it running, and hands out what tests do with it."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.folder = folder
        self._freezing = threading.Lock()
        self._ends = ExitStack()
        try:
            self._begin(database_url)
        except BaseException:
            self.close()
            raise

    def _begin(self, database_url: str) -> None:
        folder, ends = self.folder, self._ends
        self._socket = ends.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        self.url = "http://{}:{}".format(*self._socket.getsockname())
        for name in ("armed", "roles"):
            (folder / name).mkdir()
        self.seen = folder / "commits.seen"
        self.http = ends.enter_context(httpx.Client(trust_env=False, timeout=60))
        ends.callback(self._kill_what_is_left)
        self.launcher = Launcher(folder, sockets=(self._socket.fileno(),))
        ends.callback(self.launcher.close)
        self.supervisor = Supervisor(self.launcher)
        ends.callback(self.supervisor.stop)
        self.addresses = self._start_outside(database_url)
        self.environ = self._environment(database_url)
        self.services: Services = build(Settings.from_env(self.environ))
        ends.callback(self.services.close)
        self.store_id, self.api_key = self._furnish()
        self.strikes = Strikes(folder / "armed", folder / "roles", self.ask)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Start web and workers."""
        self.supervisor.keep("web", "web", self.environ, socket=self._socket.fileno())
        for number in range(1, WORKERS + 1):
            name = f"worker-{number}"
            self.supervisor.keep(name, "worker", self.environ, arguments=["worker", "--id", name])
        self.until(self._answers, "the web process never answered", within_s=START_S)

    def close(self) -> None:
        """End everything this has started."""
        self._ends.close()

    def _kill_what_is_left(self) -> None:
        """Web processes whose arbiter was killed end by themselves, a little later."""
        for pid in self._noted():
            _signal(pid, signal.SIGKILL)

    # --- the other parties -----------------------------------------------------------------------------------------

    def ask(self, who: str, path: str) -> Any:
        """Read a control route of a provider or the shop."""
        answer = self.http.get(f"{self.addresses[who]}/_control/{path}")
        answer.raise_for_status()
        return answer.json()

    def tell(self, who: str, path: str, content: dict[str, Any]) -> Any:
        """Post to a control route."""
        answer = self.http.post(f"{self.addresses[who]}/_control/{path}", json=content)
        answer.raise_for_status()
        return answer.json()

    def unrecorded(self) -> set[str]:
        """References of deposits that are settled here and that no settlement record covers."""
        wanted = select(deposit.c.reference).where(
            deposit.c.stage == "settled", deposit.c.settlement_record_id.is_(None)
        )
        with self.services.context.database.read() as unit:
            return {str(row.reference) for row in unit.execute(wanted)}

    # --- processes ---------------------------------------------------------------------------------------------------

    def command(self, name: str, *arguments: str) -> tuple[Process, Path]:
        """Start one `checkout` command; its process and the file that gets its stdout."""
        output = self.folder / f"{name}.out"
        process = self.launcher.start(
            name, "command", self.environ, arguments=[*arguments, "--json"], output=str(output)
        )
        return process, output

    @contextmanager
    def workers_frozen(self) -> Iterator[None]:
        """No worker does anything inside this block; as when a machine swaps, only shorter."""
        with self._freezing:
            pids = [one.pid for name, one in self.supervisor.running.items() if name.startswith("worker")]
            for pid in pids:
                _signal(pid, signal.SIGSTOP)
            try:
                yield
            finally:
                for pid in pids:
                    _signal(pid, signal.SIGCONT)

    def victims(self) -> list[int]:
        """Every process of the service that runs now: arbiter and its processes, workers, commands."""
        return sorted(pid for pid, role in self._noted().items() if role != "outside")

    def _noted(self) -> dict[int, str]:
        """Processes of ours that are alive, and what they are. An id that somebody else has by now is not ours."""
        found = {}
        for path in (self.folder / "roles").iterdir():
            role, _, born = path.read_text(encoding="utf-8").partition(" ")
            if born and birth(int(path.name)) == born:
                found[int(path.name)] = role
        return found

    def until(self, reached: Callable[[], bool], otherwise: str, *, within_s: float) -> None:
        """Wait; AssertionError with the last lines of every log when it never comes."""
        end = time.monotonic() + within_s
        while not reached():
            if time.monotonic() > end:
                raise AssertionError(f"{otherwise}\n{self.tails()}")
            time.sleep(0.05)

    def tails(self, lines: int = 8) -> str:
        """The ends of the logs."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            text = path.read_text(encoding="utf-8", errors="replace").splitlines()
            if text and not path.name.startswith("operator"):
                parts.append(f"--- {path.name}\n" + "\n".join(line[:400] for line in text[-lines:]))
        return "\n".join(parts)

    # --- setting up --------------------------------------------------------------------------------------------------

    def _start_outside(self, database_url: str) -> dict[str, str]:
        given = environment(database_url)
        path = self.folder / "addresses.json"
        options = {
            "speed": float(SPEED), "service_url": self.url, "stable_mint_api_key": given["STABLE_MINT_API_KEY"],
            "stable_mint_api_secret": given["STABLE_MINT_API_SECRET"], "partner_public_key_pem": public_pem("partner"),
            "webhook_private_key_pem": private_pem("mint"), "stables_api_key": given["STABLES_API_KEY"],
            "stables_webhook_secret": given["STABLES_WEBHOOK_SECRET"], "stables_switches": STABLES,
        }  # fmt: skip
        self.launcher.start("outside", "outside", {**os.environ}, options=options, addresses=str(path))
        self.until(path.exists, "the simulator never started", within_s=START_S)
        addresses: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return addresses

    def _environment(self, database_url: str) -> dict[str, str]:
        changes = {
            "CHECKOUT_PUBLIC_URL": self.url, "CHECKOUT_SPEED": str(SPEED), "CHECKOUT_LEASE": str(LEASE_S),
            "CHECKOUT_PROVIDER_TIMEOUT": str(TIMEOUT_S), "STABLE_MINT_API_URL": self.addresses["stable_mint"],
            "STABLE_MINT_PAGE_DOMAINS": self.addresses["stable_mint"], "STABLES_API_URL": self.addresses["stables"],
            "STABLE_MINT_PARTNER_ID": "partner-demo", "STABLE_MINT_PARTNER_NAME": "Demo Partner",
            "STABLES_FUNDING_WINDOW": str(FUNDING_WINDOW_S),
        }  # fmt: skip
        noted = {
            "TEST_COMMITS_SEEN": self.seen,
            "TEST_COMMITS_ARMED": self.folder / "armed",
            "TEST_ROLES": self.folder / "roles",
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, **environment(database_url, **changes), **{name: str(path) for name, path in noted.items()}}

    def _furnish(self) -> tuple[str, str]:
        """Schema, one store with its endpoint and rule, one payout account; (store id, API key)."""
        services, who = self.services, "demo"
        migrate(services.context.database, installation_id="ins_kills", now=datetime.now(UTC))
        made = services.stores.create("Shop", ["https://shop.example"], who=who)
        secret = services.stores.set(made.id, {"notify_url": self.addresses["shop"] + HOOKS}, who=who)
        assert secret is not None
        self.tell("shop", "secret", {"secret": secret})
        services.stores.rule(
            made.id, currency="EUR", asset="USDC", network="polygon", evidence="recorded", settles_gross=False, who=who
        )
        services.payout_accounts.add(made.id, {**BANK, "stables_customer_id": CUSTOMER_ID}, who=who)
        return made.id, made.api_key

    def _answers(self) -> bool:
        try:
            return self.http.get(f"{self.url}/healthz").status_code == 200
        except httpx.HTTPError:
            return False


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
