"""`checkout notifications` as it is typed: what it prints, what it refuses, and which exit code it ends with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.edges.command_line import Terminal
from tests.flows.notification_days import news
from tests.system import System, environment, make_system

ENDPOINT = "notifications"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[System, Terminal]]:
    """A store with one endpoint, and a terminal at the same installation."""
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    system = make_system(url)
    yield system, Terminal(environment(url))
    system.close()


@pytest.fixture
def shop() -> Iterator[str]:
    """A shop on loopback that takes everything and says thanks; its URL."""

    class Thanks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"thanks\x1b[2J")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Thanks) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hooks"
        server.shutdown()
        thread.join()


def test_an_endpoint_is_added_tested_changed_rotated_disabled_enabled_and_removed(
    desk: tuple[System, Terminal], shop: str
) -> None:
    _, terminal = desk
    made = terminal.ask(ENDPOINT, "add", "Shop", "--url", shop, "--event", "payment.*", "--event", "refund.sent")
    ident, secret = made["id"], made["notification_secret"]
    assert secret.startswith("whsec_")
    assert made["events"] == ["payment.*", "refund.sent"]

    tested = terminal.ask(ENDPOINT, "test", ident)
    assert (tested["delivered"], tested["status"], tested["response"]) == (True, 200, "thanks [2J")
    assert "takes notifications" in terminal.say(ENDPOINT, "test", ident)

    terminal.ask(ENDPOINT, "set", ident, "--every-event")
    (usual, shown) = terminal.ask(ENDPOINT, "endpoints", "Shop")
    assert (shown["id"], shown["events"], shown["state"]) == (ident, None, "active")

    rotated = terminal.ask(ENDPOINT, "rotate", ident, "--overlap", "1.5")
    assert rotated["notification_secret"] != secret
    assert "signs nothing more" in terminal.say(ENDPOINT, "rotate", ident, "--overlap", "0")

    assert terminal.ask(ENDPOINT, "disable", ident, "--reason", "moving")["state"] == "disabled"
    assert "demo: moving" in terminal.say("doctor")
    assert terminal.ask(ENDPOINT, "enable", ident, "--resend-missed") == {
        "id": ident, "state": "active", "missed": 0, "resent": 0,
    }  # fmt: skip
    terminal.say(ENDPOINT, "remove", ident)
    assert [one["id"] for one in terminal.ask(ENDPOINT, "endpoints")] == [usual["id"]]


def test_no_list_and_no_log_shows_a_secret(desk: tuple[System, Terminal]) -> None:
    system, terminal = desk
    news(system, 1)
    system.work()
    (message,) = terminal.ask(ENDPOINT, "list")
    for words in (("endpoints",), ("list",), ("show", message["id"])):
        assert "whsec_" not in terminal.say(ENDPOINT, *words)
        assert "v1," not in terminal.say(ENDPOINT, *words)


def test_the_log_is_read_and_sent_again(desk: tuple[System, Terminal]) -> None:
    system, terminal = desk
    start = system.clock.now.isoformat()
    (subject,) = news(system, 1)
    system.work()
    (message,) = terminal.ask(ENDPOINT, "list", "--store", "Shop", "--state", "delivered")
    assert (message["subject"], message["state"]) == (subject, "delivered")
    shown = terminal.ask(ENDPOINT, "show", message["id"])
    (delivery,) = shown["deliveries"]
    assert [(one["number"], one["status"]) for one in delivery["tries"]] == [(1, 200)]
    said = terminal.say(ENDPOINT, "show", message["id"])
    assert "https://shop.example/hooks  delivered" in said
    assert '"sequence": 1' in said

    assert terminal.ask(ENDPOINT, "resend", message["id"])["due"] == 1
    again = terminal.ask(ENDPOINT, "resend", "--endpoint", delivery["endpoint"], "--from", start)
    assert again["due"] == 1
    assert "0 due" in terminal.say(ENDPOINT, "resend", "--endpoint", delivery["endpoint"], "--from", start, "--missed")
    system.clock.advance(days=1000)  # the commands' clock is the machine's
    system.work()
    assert len(system.shop.heard) == 2


def test_a_test_event_that_is_not_taken_fails_and_says_why(desk: tuple[System, Terminal]) -> None:
    _, terminal = desk
    made = terminal.ask(ENDPOINT, "add", "Shop", "--url", "http://127.0.0.1:1/hooks")
    refused = terminal.ask(ENDPOINT, "test", made["id"], code=1)
    assert refused["kind"] == "not_possible"
    assert "http://127.0.0.1:1/hooks did not take the test event: could not connect" in refused["error"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "Shop", "--url", "http://shop.example/"), 1, "use https"),
        (
            ("add", "Shop", "--url", "https://shop.example/", "--event", "payment.paid"),
            1,
            "there is no type 'payment.paid'",
        ),
        (("set", "end_1"), 2, "nothing to change"),
        (("set", "end_1", "--event", "payment.*", "--every-event"), 2, "not both"),
        (("set", "end_1", "--every-event"), 1, "there is no notification endpoint 'end_1'"),
        (("rotate", "end_1", "--overlap", "500"), 2, "not in the range"),
        (("resend",), 2, "give the ID of one notification, or --endpoint with --from"),
        (("resend", "--from", "2026-11-01"), 2, "--endpoint with --from"),
        (("resend", "msg_1", "--from", "2026-11-01", "--endpoint", "end_1"), 2, "--endpoint with --from"),
        (("resend", "msg_1", "--missed"), 2, "go with --from"),
        (("resend", "msg_1"), 1, "there is no notification 'msg_1'"),
        (("show", "msg_1"), 1, "there is no notification 'msg_1'"),
        (("endpoints", "Nobody"), 1, "there is no store 'Nobody'"),
    ],
)
def test_a_wrong_word_is_refused_with_what_would_be_right(
    desk: tuple[System, Terminal], words: tuple[str, ...], code: int, said: str
) -> None:
    _, terminal = desk
    assert said in terminal.say(ENDPOINT, *words, code=code)


def test_an_empty_installation_says_how_to_begin(desk: tuple[System, Terminal]) -> None:
    system, terminal = desk
    assert "No notification." in terminal.say(ENDPOINT, "list")
    system.services.endpoints.remove(str(system.services.endpoints.all(None)[0]["id"]), who="ann")
    assert "checkout notifications add STORE" in terminal.say(ENDPOINT, "endpoints")
