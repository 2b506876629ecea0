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
from checkout.paying_out.policies import PolicyRequest
from checkout.paying_out.price_guard import GuardRequest
from checkout.rules.allowances import PER_MINUTE_MAX
from checkout.simulator.stables.codes import CUSTOMER_ID
from checkout.store.schema import migrate
from checkout.store.tables import deposit, payment, payout, refund
from tests.acceptance.outside import HOOKS
from tests.acceptance.points import Strikes
from tests.acceptance.processes import Launcher, Process, Supervisor, birth
from tests.system import BANK, environment, private_pem, public_pem

#: How much faster everything goes: five minutes of a provider are a second here.
SPEED: Final = 300
#: Not scaled. Short, so that what a dead process held is soon somebody else's.
LEASE_S: Final = 2
TIMEOUT_S: Final = 1
#: Nominal; eighty real seconds from a transfer's creation.
FUNDING_WINDOW_S: Final = 24_000
#: Nominal; four real seconds in which a request to Stables is sent again under its key.
KEY_LIFETIME_S: Final = 1_200
WORKER_NAMES: Final = ("worker-1", "worker-2", "worker-3")
START_S: Final = 120.0

#: Longer than the simulator's own, so that a state is seen before the next one comes; nominal seconds. Funds are
#: collected late, so that a deposit that is asked for twice is made twice.
STABLES: Final = {
    "await_s": 30.0, "collect_s": 450.0, "submit_s": 240.0, "process_s": 240.0, "complete_s": 240.0, "quote_life_s": 600.0,
    "funding_window_s": float(FUNDING_WINDOW_S), "actual_payout": "as_quoted",
}  # fmt: skip
#: Stable Mint lets a caller wait longer than ours does, where it lets it wait.
STABLE_MINT: Final = {"hang_s": 1.3}
#: People with a secret; everything that needs nobody in particular is typed as the sandbox's ``demo``.
PEOPLE: Final = ("ann", "ben")
#: Payouts that two people approve, where that is asked for, begin here; in USDC.
TWO_PEOPLE_FROM: Final = "9.50"
#: Payouts that a policy approves by itself end here.
APPROVED_BELOW: Final = "8.50"


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
        self.secrets: dict[str, str] = {}
        #: Payments whose money people leave where it is, because the shop is about to ask for it back.
        self.kept_back: set[str] = set()
        self.let_go: set[str] = set()  #: which they enter first, because the shop waits for that
        self.store_id, self.api_key = self._furnish()
        self.automatic_id, self.automatic_key = self._furnish_automatic()
        self.strikes = Strikes(folder / "armed", folder / "roles", self.ask)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def start(self) -> None:
        """Start web and workers."""
        self.supervisor.keep("web", "web", self.environ, socket=self._socket.fileno())
        for name in WORKER_NAMES:
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

    def clear(self, who: str, path: str) -> None:
        """Take back what was posted to a control route."""
        self.http.delete(f"{self.addresses[who]}/_control/{path}").raise_for_status()

    def unrecorded(self) -> list[str]:
        """References of deposits that are settled here and that people may enter: in no record, in no refund."""
        wanted = (
            select(deposit.c.reference, deposit.c.payment_id)
            .join(payment, payment.c.id == deposit.c.payment_id)
            .where(
                payment.c.store_id == self.store_id, deposit.c.stage == "settled",
                deposit.c.settlement_record_id.is_(None), deposit.c.refund_live.is_(False),
            )
        )  # fmt: skip
        with self.services.context.database.read() as unit:
            rows = [row for row in unit.execute(wanted) if row.payment_id not in self.kept_back]
        return [str(row.reference) for row in sorted(rows, key=lambda row: row.payment_id not in self.let_go)]

    def refunds(self) -> list[Any]:
        """Every refund as it stands, oldest first."""
        with self.services.context.database.read() as unit:
            return list(unit.execute(select(refund).order_by(refund.c.created_at)))

    def automatic_payouts(self) -> list[str]:
        """Payouts that the second store's policy has made, oldest first."""
        wanted = select(payout.c.id).where(payout.c.store_id == self.automatic_id).order_by(payout.c.created_at)
        with self.services.context.database.read() as unit:
            return [str(row.id) for row in unit.execute(wanted)]

    def asks_two_people(self) -> None:
        """From now on two people approve the larger payouts that people propose."""
        self.services.policies.set(self.store_id, PolicyRequest("manual", two_people_from=TWO_PEOPLE_FROM), who="ann")

    def proposes(self, kind: str) -> None:
        """Have the second store's policy propose and approve by itself (``per_payment``), or leave that to people."""
        limit = APPROVED_BELOW if kind == "per_payment" else None
        request = PolicyRequest(kind, approve_below=limit, mandate_hours="24")
        self.services.policies.set(self.automatic_id, request, who="ann")

    # --- processes ---------------------------------------------------------------------------------------------------

    def command(self, name: str, *arguments: str, who: str | None = None) -> tuple[Process, Path]:
        """Start one `checkout` command, in somebody's name; its process and the file that gets its stdout."""
        output = self.folder / f"{name}.out"
        named = () if who is None else ("--as", who)
        secret = {} if who is None else {"CHECKOUT_AS_SECRET": self.secrets[who]}
        process = self.launcher.start(
            name, "command", self.environ | secret, arguments=[*arguments, *named, "--json"], output=str(output)
        )
        return process, output

    @contextmanager
    def workers_away(self) -> Iterator[None]:
        """Every worker is killed, and none runs inside this block."""
        with self._freezing, self.supervisor.away([name for name in self.supervisor.running if name in WORKER_NAMES]):
            yield

    @contextmanager
    def workers_frozen(self) -> Iterator[None]:
        """No worker does anything inside this block; as when a machine swaps, only shorter."""
        with self._freezing:
            pids = [one.pid for name, one in self.supervisor.running.items() if name in WORKER_NAMES]
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
            "stable_mint_switches": STABLE_MINT,
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
            "STABLES_FUNDING_WINDOW": str(FUNDING_WINDOW_S), "STABLES_KEY_LIFETIME": str(KEY_LIFETIME_S),
        }  # fmt: skip
        noted = {
            "TEST_COMMITS_SEEN": self.seen,
            "TEST_COMMITS_ARMED": self.folder / "armed",
            "TEST_ROLES": self.folder / "roles",
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, **environment(database_url, **changes), **{name: str(path) for name, path in noted.items()}}

    def _furnish(self) -> tuple[str, str]:
        """Schema, people, one store that people pay out for; (store id, API key)."""
        services, who = self.services, "demo"
        migrate(services.context.database, installation_id="ins_kills", now=datetime.now(UTC))
        self.secrets = {name: services.people.add(name, who=who) for name in PEOPLE}
        made = self._open_store("Shop")
        services.stores.rule(
            made[0], currency="EUR", asset="USDC", network="polygon", evidence="recorded", settles_gross=False, who=who
        )
        return made

    def _furnish_automatic(self) -> tuple[str, str]:
        """A second store, whose settled dollars are USDC by declaration and may be paid out by a policy; (id, API key)."""
        made = self._open_store("Automat")
        self.services.stores.rule(
            made[0],
            currency="USD",
            asset="USDC",
            network="polygon",
            evidence="declared",
            settles_gross=True,
            who="demo",
        )
        self.services.price_guard.set(made[0], GuardRequest("EUR", worst_cost="5.00"), who="demo")
        return made

    def _open_store(self, name: str) -> tuple[str, str]:
        """A store with its endpoint and one payout account."""
        services, who = self.services, "demo"
        made = services.stores.create(name, ["https://shop.example"], who=who)
        secret = services.stores.set(made.id, {"notify_url": self.addresses["shop"] + HOOKS}, who=who)
        assert secret is not None
        self.tell("shop", "secret", {"secret": secret})
        services.payout_accounts.add(made.id, {**BANK, "stables_customer_id": CUSTOMER_ID}, who=who)
        # a shop in a hurry: what a key may ask in a minute is another test's question
        return made.id, services.api_keys.create(made.id, who=who, per_minute=PER_MINUTE_MAX).api_key

    def _answers(self) -> bool:
        try:
            return self.http.get(f"{self.url}/healthz").status_code == 200
        except httpx.HTTPError:
            return False


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
