"""`checkout demo`: the whole main job by real processes, by itself on both databases and with a person who clicks."""

from __future__ import annotations

import json
import re
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from checkout.commands.demo_shopper import pay
from checkout.commands.place import free_port
from checkout.simulator.options import Options
from checkout.simulator.server import Servers
from tests.acceptance.running import MARK, Running, marked
from tests.edges.command_line import Terminal
from tests.system import environment, private_pem, public_pem

#: A demo takes some twenty seconds; the machine may be doing other things too.
PATIENCE_S = 240


@contextmanager
def playing(folder: Path, environ: dict[str, str], *words: str) -> Iterator[Running]:
    one = Running(folder, environ, "demo", *words)
    try:
        yield one
    finally:
        one.clear()


def test_one_order_reaches_the_bank_by_itself(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who tells the story runs inside the test here; everybody in it is a real process."""
    monkeypatch.chdir(tmp_path)
    mark = uuid.uuid4().hex
    terminal = Terminal({"CHECKOUT_DATABASE_URL": database_url, MARK: mark})
    result = terminal.type("demo", "--once", "--json", "--timeout", str(PATIENCE_S))
    assert result.exit_code == 0, result.output
    assert marked(mark) == {}
    document = json.loads(result.stdout)
    assert document["payment"]["status"] == "settled"
    assert (document["payment"]["amount"], document["payment"]["currency"]) == ("9.00", "EUR")
    assert (document["settlement"]["received"], document["settlement"]["asset"]) == ("9.71", "USDC")
    assert document["payout"]["status"] == "completed"
    assert document["payout"]["credit"]["currency"] == "EUR"
    assert document["balanced"] is True
    steps = [line["step"] for line in document["timeline"]]
    story = ["payment.asked", "shopper.paid", "payment.settled", "shop.notified", "advice", "treasury", "payout.quoted",
             "payout.approved", "payout.revealed", "payout.sent", "payout.completed", "bank", "proof"]  # fmt: skip
    assert [step for step in steps if step in story] == story
    assert "Stable Mint delivered 9.71 USDC for EUR 9.00" in result.stderr
    assert not [path.name for path in tmp_path.iterdir() if not path.name.startswith("checkout.db")]


def test_a_story_that_breaks_off_says_how_far_it_came_and_leaves_nothing(tmp_path: Path) -> None:
    dead = {"STABLES_API_URL": f"http://127.0.0.1:{free_port()}"}
    with playing(tmp_path, dead, "--once", "--json", "--timeout", "3") as one:
        assert one.process.wait(PATIENCE_S) == 1
        assert one.family() == {}
        document = json.loads(one.out)
    assert "time for the demo is over" in document["error"] or "too long" in document["error"]
    assert document["balanced"] is None
    assert "the demo failed" in one.log


def test_wrong_settings_end_the_demo_with_exit_code_2(tmp_path: Path) -> None:
    with playing(tmp_path, {"CHECKOUT_SPEED": "fast"}, "--once") as one:
        assert one.process.wait(PATIENCE_S) == 2
    assert "CHECKOUT_SPEED" in one.log
    assert "fast" not in one.log.replace("times faster", "")


def test_a_person_buys_and_watches_while_the_environment_names_the_providers(tmp_path: Path) -> None:
    """The providers are somebody else's here; the demo brings the shop and the service, and a person clicks."""
    environ = environment(f"sqlite:///{tmp_path / 'mine.db'}", CHECKOUT_PUBLIC_URL=f"http://127.0.0.1:{free_port()}")
    options = Options(
        stable_mint=("127.0.0.1", 0), stables=("127.0.0.1", 0), speed=20.0, service_url=environ["CHECKOUT_PUBLIC_URL"],
        stable_mint_api_key=environ["STABLE_MINT_API_KEY"], stable_mint_api_secret=environ["STABLE_MINT_API_SECRET"],
        partner_public_key_pem=public_pem("partner"), webhook_private_key_pem=private_pem("mint"),
        stables_api_key=environ["STABLES_API_KEY"], stables_webhook_secret=environ["STABLES_WEBHOOK_SECRET"],
    )  # fmt: skip
    with Servers(options) as servers:
        environ |= {
            "STABLE_MINT_API_URL": servers.stable_mint_url, "STABLE_MINT_PAGE_DOMAINS": servers.stable_mint_url,
            "STABLES_API_URL": servers.stables_url, "CHECKOUT_SPEED": "20",
        }  # fmt: skip
        with playing(tmp_path, environ, "--json") as one:
            shop = one.document(PATIENCE_S)["shop"]
            pay(buy(shop), lambda: None)
            one.until(lambda: "the bank has EUR" in one.log, PATIENCE_S)
            one.until(lambda: "the ledger balances" in one.log, PATIENCE_S)
            assert one.end(signal.SIGINT) == 0
            assert one.family() == {}
    assert len(one.out.splitlines()) == 1


def buy(shop: str) -> str:
    """Put everything into the basket and go to checkout; the payment page the shop sends its shopper to."""
    with httpx.Client(base_url=shop, trust_env=False, timeout=30) as browser:
        for product in ("postcards", "pencils", "notebook"):
            assert browser.post("/basket", data={"add": product}).is_redirect
        basket = re.search(r'name="basket" value="([^"]+)"', browser.get("/basket").text)
        assert basket is not None
        answer = browser.post("/checkout", data={"basket": basket[1]})
        assert answer.is_redirect, answer.text
        return str(answer.headers["location"])
