"""`checkout simulator` up to the moment it serves, and what the demo is made of: places, pages, the settlement advice."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from checkout.commands.demo_shopper import Page
from checkout.commands.demo_stage import USUAL, set_up
from checkout.commands.demo_story import ACCOUNT, Timeline
from checkout.commands.init import SHOP_PLACE
from checkout.commands.place import free_port, is_free, listen, url_of
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.edges.command_line import Terminal
from tests.system import environment, make_system, private_pem


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "simulator-signing.pem").write_text(private_pem("mint"), encoding="ascii")
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    make_system(url).close()
    return Terminal(environment(url))


@contextmanager
def ended_once(url: str) -> Iterator[None]:
    """Send this process SIGTERM, as an operator would, as soon as ``url`` answers; the simulator takes it and ends."""
    over = threading.Event()

    def end() -> None:
        while not over.wait(0.05):
            with suppress(httpx.HTTPError):
                httpx.get(url, trust_env=False)
                os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)  # one that comes before the simulator listens is repeated
    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGTERM, before)


def place() -> str:
    return f"127.0.0.1:{free_port()}"


def test_the_shop_gets_a_store_with_everything_it_needs(terminal: Terminal) -> None:
    shop = place()
    with ended_once(f"http://{shop}"):
        said = terminal.ask("simulator", "--shop", shop, "--speed", "7")
    store = terminal.ask("stores", "show", said["store"])
    assert (said["speed"], said["service_url"], said["store_name"]) == (7.0, "http://127.0.0.1:8000", "Demo shop")
    assert store["name"] == "Demo shop"
    assert store["origins"] == [f"http://{shop}"] == [said["shop"]]
    assert store["notify_url"] == f"http://{shop}/notifications"
    assert store["success_url"].startswith(f"http://{shop}/")
    assert [(one["currency"], one["asset"], one["network"], one["evidence"]) for one in store["rules"]] == [
        ("EUR", "USDC", "polygon", "recorded")
    ]


def test_the_same_shop_is_the_same_store_and_another_is_another(terminal: Terminal) -> None:
    first, second = place(), place()
    stores = []
    for shop in (first, first, second):
        with ended_once(f"http://{shop}"):
            stores.append(terminal.ask("simulator", "--shop", shop)["store"])
    assert stores[0] == stores[1] != stores[2]


def test_without_places_all_three_start_where_the_settings_look(terminal: Terminal) -> None:
    given = {"STABLE_MINT_API_URL": f"http://{place()}", "STABLES_API_URL": f"http://{place()}"}
    local = Terminal({**terminal.environ, **given})
    if is_free(SHOP_PLACE):
        with ended_once(given["STABLE_MINT_API_URL"]):
            said = local.ask("simulator")
        assert said["stable_mint"] == given["STABLE_MINT_API_URL"]
        assert said["stables"] == given["STABLES_API_URL"]
        assert said["shop"] == url_of(SHOP_PLACE)
    else:  # somebody's own demo runs on this machine
        assert "cannot listen" in local.say("simulator", code=1)
    assert "not on this machine" in local.say("simulator", code=1, STABLES_API_URL="https://stables.invalid")


def test_a_key_the_service_would_not_believe_is_warned_about(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_text(private_pem("stranger"), encoding="ascii")
    mint = place()
    with ended_once(f"http://{mint}"):
        result = terminal.type("simulator", "--stable-mint", mint, "--signing-key", "other.pem", "--json")
    assert result.exit_code == 0
    assert "webhooks will be refused" in result.stderr
    assert "the settings look for stable_mint at" in result.stderr
    assert json.loads(result.stdout)["store"] is None
    assert "--signing-key" in terminal.say("simulator", "--stable-mint", mint, "--signing-key", "none.pem", code=2)


def test_a_port_that_is_taken_is_said_so(terminal: Terminal) -> None:
    with listen(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "cannot listen" in terminal.say("simulator", "--stables", f"127.0.0.1:{port}", code=1)


# --- what the demo is made of --------------------------------------------------------------------------------------------


def test_the_demo_pays_out_to_the_customer_the_simulator_has_approved() -> None:
    assert ACCOUNT["stables_customer_id"] == CUSTOMER_ID


def test_the_demo_has_places_of_its_own() -> None:
    setting = set_up({"PATH": "x"}, speed=20, usual_ports=False)
    places = [setting.service, setting.shop, setting.stable_mint, setting.stables]
    assert len(set(places)) == 4
    assert setting.own_providers
    assert setting.variables["CHECKOUT_SPEED"] == "20"
    assert setting.variables["STABLE_MINT_PAGE_DOMAINS"] == setting.stable_mint_url
    assert setting.variables["PATH"] == "x"


def test_a_person_finds_the_demo_where_it_usually_is() -> None:
    setting = set_up({}, speed=20, usual_ports=True)
    usual = ("127.0.0.1", USUAL["shop"])
    assert setting.shop == usual or not is_free(usual)


def test_provider_bases_in_the_environment_replace_the_simulator() -> None:
    given = {
        "STABLE_MINT_API_URL": "http://127.0.0.1:7001/", "STABLES_API_URL": "http://127.0.0.1:7002",
        "STABLE_MINT_WEBHOOK_PUBLIC_KEY": "theirs", "CHECKOUT_PUBLIC_URL": "http://127.0.0.1:7000",
    }  # fmt: skip
    setting = set_up(given, speed=20, usual_ports=False)
    assert (setting.stable_mint, setting.stables, setting.own_providers) == (None, None, False)
    assert setting.service == ("127.0.0.1", 7000)
    assert setting.stable_mint_url == "http://127.0.0.1:7001"
    assert setting.variables["STABLE_MINT_WEBHOOK_PUBLIC_KEY"] == "theirs"
    assert "CHECKOUT_SPEED" not in setting.variables
    one = set_up({"STABLES_API_URL": "http://127.0.0.1:7002"}, speed=20, usual_ports=False)
    assert one.stable_mint is not None
    assert one.stables is None
    outside = set_up({**given, "CHECKOUT_PUBLIC_URL": "https://tunnel.example"}, speed=20, usual_ports=False)
    assert outside.service[0] == "127.0.0.1"


def test_relative_paths_hold_in_the_demos_own_directory(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("x", encoding="ascii")
    given = {"CHECKOUT_DATABASE_URL": "sqlite:///mine.db", "STABLE_MINT_PRIVATE_KEY": "key.pem"}
    variables = set_up(given, speed=20, usual_ports=False).variables
    assert variables["CHECKOUT_DATABASE_URL"] == f"sqlite:///{tmp_path / 'mine.db'}"
    assert variables["STABLE_MINT_PRIVATE_KEY"] == str(tmp_path / "key.pem")
    absolute = set_up({"CHECKOUT_DATABASE_URL": "sqlite:////x/y.db"}, speed=20, usual_ports=False).variables
    assert absolute["CHECKOUT_DATABASE_URL"] == "sqlite:////x/y.db"


def test_the_demos_shopper_reads_links_and_forms_as_a_browser_would() -> None:
    page = Page(
        '<a href="/else">x</a><a data-role="onward" href="https://mint/1">go</a>'
        '<form method="POST" action="/pay"><input type="hidden" name="csrf" value="1">'
        '<input type="radio" name="bank" value="A" checked><input type="radio" name="bank" value="B">'
        '<button name="choice" value="leave">no</button><button name="choice" value="pay">yes</button></form>'
    )
    assert page.onward == "https://mint/1"
    (form,) = page.forms
    assert (form.action, form.method) == ("/pay", "post")
    assert form.filled() == {"csrf": "1", "bank": "A", "choice": "pay"}
    (plain,) = Page('<form method="post"><input name="q"><input type="submit"></form>').forms
    assert plain.filled() == {"q": ""}
    assert Page("<p>nothing</p>").onward is None


def test_the_timeline_has_real_times_in_order() -> None:
    said: list[str] = []
    timeline = Timeline(said.append)
    timeline.note("one", "first")
    timeline.note("two", "second", "2030-01-01T00:00:00+00:00")
    assert [line["step"] for line in timeline.lines] == ["one", "two"]
    assert timeline.lines[0]["after_s"] < 5 < timeline.lines[1]["after_s"]
    assert said[1].startswith("00:00:00")
