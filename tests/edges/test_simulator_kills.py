"""The kill switch: the calling process ends at exactly the armed moment, and only that process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from checkout.simulator.callers import Address, processes_at
from tests.edges.simulated_partner import HOSTED, World, eventually, hosted, world

#: Asks for one page again and again over one connection, says so, and then waits to be told to end.
CALLER = """
import http.client, sys
host, port, count, path = sys.argv[1:]
link = http.client.HTTPConnection(host, int(port))
for _ in range(int(count)):
    print("sent", flush=True)
    link.request("GET", path)
    print("got", len(link.getresponse().read()), flush=True)
sys.stdin.read()
"""


@contextmanager
def caller(w: World, path: str, count: int = 1) -> Iterator[subprocess.Popen[str]]:
    host, port = w.servers.stable_mint_url.removeprefix("http://").split(":")
    arguments = [sys.executable, "-c", CALLER, host, port, str(count), path]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def arm(w: World, moment: str, **rule: object) -> None:
    w.control("kill", **{"path": "^/sessions/", "method": "GET", "moment": moment, **rule})


def kills(w: World) -> list[dict[str, object]]:
    found: list[dict[str, object]] = w.look("kills")
    return found


@pytest.mark.parametrize("moment", ["received", "before_answer", "while_answering", "after_answer"])
def test_the_caller_is_killed_at_the_moment_asked_for(moment: str) -> None:
    with world() as w:
        path = w.open()["url"].removeprefix(w.servers.stable_mint_url)
        arm(w, moment)
        with caller(w, path) as process:
            assert process.wait(10) == -signal.SIGKILL
            (rule,) = kills(w)
            assert rule["killed"] == [process.pid]
            assert process.stdout is not None
            assert process.stdout.readline() == "sent\n"
        (exchange,) = w.look("requests?path=^/sessions/")
        assert (exchange["status"] is None) == (moment == "received")
        # Nobody else is hurt, and the rule does not strike twice.
        assert w.http.get(path).status_code == 200


def test_a_call_killed_on_arrival_has_done_no_work_and_one_killed_before_its_answer_has() -> None:
    with world() as w:
        for moment, expected in (("received", 0), ("before_answer", 1)):
            arm(w, moment, path=HOSTED, method="POST", act="cut")
            with pytest.raises(httpx.RemoteProtocolError):
                w.call(HOSTED, hosted(idempotencyKey=moment))
            assert len(w.look("sessions")) == expected
        assert w.open(idempotencyKey="before_answer")["url"]
        assert len(w.look("sessions")) == 1


def test_half_the_body_has_left_when_cut_while_answering() -> None:
    with world() as w:
        url = w.open()["url"]
        whole = w.http.get(url).content
        arm(w, "while_answering", act="cut")
        with pytest.raises(httpx.RemoteProtocolError, match=rf"received {len(whole) // 2} bytes"):
            w.http.get(url)


def test_only_the_nth_matching_request_is_struck_and_it_is_counted() -> None:
    with world() as w:
        url = w.open()["url"]
        path = url.removeprefix(w.servers.stable_mint_url)
        arm(w, "before_answer", nth=3)
        with caller(w, path, count=5) as process:
            assert process.wait(10) == -signal.SIGKILL
            assert process.stdout is not None
            assert process.stdout.read().count("sent") == 3
        assert w.http.post(url, data={"choice": "support"}).status_code == 303
        (rule,) = kills(w)
        assert (rule["seen"], rule["struck"]) == (3, True)


def test_it_never_kills_itself() -> None:
    with world() as w:
        url = w.open()["url"]
        arm(w, "before_answer")
        assert w.http.get(url).status_code == 200
        (rule,) = kills(w)
        assert rule["struck"]
        assert rule["killed"] == []
        assert rule["refused"] == "the caller is this very process"


def test_a_connection_nobody_holds_kills_nobody() -> None:
    assert processes_at(Address("127.0.0.1", 1), Address("127.0.0.1", 2)) == []


def test_the_same_call_from_two_processes_kills_only_the_one_that_was_struck() -> None:
    with world() as w:
        path = w.open()["url"].removeprefix(w.servers.stable_mint_url)
        with caller(w, path) as bystander:
            assert bystander.stdout is not None
            assert bystander.stdout.readline() == "sent\n"
            assert bystander.stdout.readline().startswith("got")
            arm(w, "after_answer")
            with caller(w, path) as process:
                assert process.wait(10) == -signal.SIGKILL
            assert bystander.poll() is None


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"moment": "later"},
        {"moment": "received", "nth": 0},
        {"moment": "received", "path": "("},
        {"moment": "received", "act": "hurt"},
        {"moment": "received", "when": "now"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, object]) -> None:
    with world() as w:
        assert w.http.post("/_control/kill", json=rule).status_code == 400
        assert kills(w) == []


def test_no_thread_is_left_by_killed_callers() -> None:
    with world() as w:
        path = w.open()["url"].removeprefix(w.servers.stable_mint_url)
        before = threading.active_count()
        arm(w, "received")
        with caller(w, path) as process:
            assert process.wait(10) == -signal.SIGKILL
        eventually(lambda: threading.active_count() <= before)
