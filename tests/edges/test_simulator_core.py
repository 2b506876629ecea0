"""What the simulated providers share: clock, scheduler, switches, recorder, server, and where it refuses to run."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Literal

import httpx
import pytest

from checkout.errors import NotPossible, SettingsRefused
from checkout.simulator.clock import FastClock
from checkout.simulator.options import Options
from checkout.simulator.recorder import Recorder
from checkout.simulator.scheduler import Scheduler
from checkout.simulator.server import Servers, run
from checkout.simulator.switches import Switchboard, SwitchRefused
from tests.edges.simulated_partner import World, eventually, options, world

ROOT = Path(__file__).resolve().parents[2]


def test_the_clock_shortens_waits_and_leaves_the_time_of_day_alone() -> None:
    clock = FastClock(60)
    assert clock.wait(1800) == 30
    assert abs(clock.now().timestamp() - time.time()) < 1
    assert clock.later(60).timestamp() == pytest.approx(time.time() + 1, abs=0.5)
    with pytest.raises(ValueError, match="above zero"):
        FastClock(0)


def test_jobs_of_one_lane_run_in_order_and_never_side_by_side() -> None:
    scheduler, seen, inside = Scheduler(threads=4), list[int](), threading.Lock()

    def job(number: int) -> None:
        assert inside.acquire(blocking=False), "two jobs of one lane at once"
        time.sleep(0.002)
        seen.append(number)
        inside.release()

    for number in range(20):
        scheduler.after(number / 10_000, partial(job, number), lane="one")
    scheduler.start()
    eventually(lambda: len(seen) == 20)
    scheduler.stop()
    assert seen == list(range(20))


def test_a_slow_job_holds_up_no_other_lane() -> None:
    scheduler, released, done = Scheduler(threads=2), threading.Event(), threading.Event()
    scheduler.start()

    def slow() -> None:
        assert released.wait(5)

    scheduler.after(0, slow, lane="slow")
    scheduler.after(0, released.set, lane="slow but later")
    scheduler.after(0.01, done.set, lane="slow")
    assert done.wait(5)
    scheduler.stop()


def test_a_failing_job_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    scheduler, done = Scheduler(threads=1), threading.Event()
    scheduler.start()
    scheduler.after(0, lambda: [][1], lane="x")
    scheduler.after(0.01, done.set, lane="x")
    assert done.wait(5)
    scheduler.stop()
    assert "a job of the simulator failed" in caplog.text


def test_cancelled_and_stopped_jobs_never_run() -> None:
    scheduler, seen = Scheduler(threads=1), list[str]()
    scheduler.start()
    scheduler.after(0.05, lambda: seen.append("cancelled"), owner="a")
    scheduler.after(60, lambda: seen.append("dropped"), owner="b")
    scheduler.cancel("a")
    time.sleep(0.1)
    assert scheduler.idle()
    scheduler.stop()
    assert seen == []


@dataclass(frozen=True)
class Positions:
    mood: Literal["calm", "wild"] = "calm"
    amount: Literal["asked"] | Decimal = "asked"
    times: int | None = None
    names: tuple[str, ...] = ()
    open: bool = True
    wait_s: float = 1.0


def test_switches_take_what_their_annotation_says() -> None:
    board = Switchboard(Positions(), {"mood": "wild"})
    board.change({"amount": "1.50", "times": 3, "names": ["a"], "open": False, "wait_s": 2})
    assert board.now == Positions("wild", Decimal("1.50"), 3, ("a",), False, 2.0)
    board.change({"times": None, "amount": "asked"})
    assert board.report()["mood"] == {"value": "wild", "default": "calm", "takes": "calm | wild"}
    board.reset()
    assert board.now == Positions(mood="wild")


def test_a_refused_switch_changes_nothing_and_every_problem_is_named() -> None:
    board = Switchboard(Positions())
    wrong = {"mood": "odd", "amount": 1.5, "times": True, "names": "a", "open": 1, "wait_s": "1", "no": 1}
    with pytest.raises(SwitchRefused) as refused:
        board.change({**wrong, "names": "a"})
    assert set(refused.value.problems) == set(wrong)
    assert board.now == Positions()


def test_the_recorder_forgets_the_oldest_and_keeps_no_secret() -> None:
    recorder = Recorder()
    for number in range(20_005):
        recorder.request("POST", f"/{number}", "", [("Authorization", "Bearer s3cret")], b'{"secret": "s3\\"x"}')
    kept = recorder.matching()
    assert len(kept) == 20_000
    assert kept[0].path == "/5"
    assert kept[0].headers == {"Authorization": "[withheld]"}
    assert kept[0].body == '{"secret": "[withheld]"}'


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    source = (
        "from tests.edges.simulated_partner import options\n"
        "from checkout.simulator.server import run\n"
        "run(options(), ready=lambda servers: print(servers.stable_mint_url, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", source], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(url + "/_control/state").status_code == 200
        process.send_signal(number)
        assert process.wait(10) == 0


@pytest.mark.parametrize("mode", ["live", "LIVE", ""])
def test_it_does_not_run_outside_sandbox(mode: str) -> None:
    with pytest.raises(NotPossible, match="sandbox"):
        Servers(options(mode=mode))
    with pytest.raises(NotPossible, match="sandbox"):
        run(options(mode=mode))


def test_it_listens_on_this_machine_only_unless_told() -> None:
    with pytest.raises(SettingsRefused, match="loopback"):
        Servers(options(stable_mint=("0.0.0.0", 0)))  # noqa: S104  # the address that is refused
    Servers(options(stable_mint=("0.0.0.0", 0), allow_remote=True))  # noqa: S104  # not started


def test_everything_missing_is_named_at_once_and_no_secret_shown() -> None:
    with pytest.raises(SettingsRefused) as refused:
        Servers(Options(stable_mint=("127.0.0.1", 0), stables=("127.0.0.1", 0), stables_api_key="sti_x"))
    names = {name for name, _ in refused.value.problems}
    assert names == {
        "service_url",
        "stable_mint_api_key",
        "stable_mint_api_secret",
        "partner_public_key_pem",
        "webhook_private_key_pem",
        "stables_webhook_secret",
    }
    assert "partner-secret" not in repr(options())


def test_a_port_that_is_taken_leaves_nothing_behind() -> None:
    before = threading.active_count()
    with world() as w:
        port = int(w.servers.stable_mint_url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"):
            Servers(options(stable_mint=("127.0.0.1", port))).start()
    eventually(lambda: threading.active_count() <= before)


def connect(w: World) -> socket.socket:
    host, port = w.servers.stable_mint_url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def test_connections_are_kept_and_pipelined_answers_come_whole() -> None:
    with world() as w, connect(w) as raw:
        raw.sendall(b"GET /_control/kills HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        text = b""
        while text.count(b"HTTP/1.1 200 OK") < 3:
            text += raw.recv(65536)
        assert text.count(b"Connection: keep-alive") == 3


def test_chunked_and_oversized_bodies_are_read_right() -> None:
    with world() as w:
        chunked = w.http.post(
            "/_control/switches",
            content=(part for part in (b'{"see', b'd": 7}')),
            headers={"Content-Type": "application/json"},
        )
        assert chunked.json()["seed"]["value"] == 7
        with connect(w) as raw:
            raw.sendall(b"POST /session/hosted HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
            assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_the_control_plane_takes_json_from_this_machine_only() -> None:
    with world() as w:
        assert w.http.post("/_control/switches", content=b'{"seed": 7}').status_code == 400
        assert w.http.post("/_control/switches", json={"seed": "7", "x": 1}).json()["refused"] == {
            "seed": "takes whole number",
            "x": "there is no such switch",
        }
        assert w.look("state")["switches"]["seed"]["value"] == 0
        assert w.look("requests") == []


def test_reset_forgets_everything_and_restores_the_switches() -> None:
    with world(webhook_version="v1") as w:
        reference = w.open()["reference"]
        w.switch(webhook_version="v2", hold_webhooks=True)
        w.pay(reference)
        w.control("kill", path="x", moment="received")
        w.control("reset")
        state = w.look("state")
        assert (state["sessions"], state["deliveries"], state["kills"]) == ([], [], [])
        assert state["switches"]["webhook_version"]["value"] == "v1"
        assert w.look("requests") == []
