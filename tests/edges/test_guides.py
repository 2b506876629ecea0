"""The guides at /docs/<guide>: whole and strict as pages, and every piece of their code run as it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import click
import pytest
from markupsafe import escape
from sqlalchemy import select

from checkout.api_keys import SCOPES
from checkout.cases import KINDS
from checkout.commands.payouts import WHERE
from checkout.config import VARIABLES, Settings
from checkout.errors import SettingsRefused
from checkout.rules import notifications
from checkout.rules.ledger import Book
from checkout.rules.payouts import PayoutState
from checkout.store import ledger
from checkout.store.tables import posting
from checkout.web import pages, problems
from checkout.web.guides import GUIDES
from checkout.web.remedies import REMEDIES, remedy_of
from tests.edges.api_fixtures import Api, shared_api
from tests.edges.guides.console import understood
from tests.edges.guides.page import Page, commands
from tests.edges.guides.reader import Reader
from tests.offramp import Offramp, offramp
from tests.world import SPEED, World, world

__all__ = ["shared_api"]

NAMES = (
    "quickstart", "redirect", "widget", "returning-customers", "payment-links", "notifications", "errors", "testing", "keys",
    "versioning", "going-live", "first-payout", "stuck-payout", "ledger",
)  # fmt: skip
KINDS_OF_CODE = {
    "python", "http", "answer", "html", "js", "node", "php", "sql", "file", "console", "install", "page",
}  # fmt: skip
#: This one is followed by tests/acceptance/test_quickstart.py, in real processes.
BY_PROCESSES = "quickstart"
#: Where the reader's clock must be faster still: a payment that nobody pays expires after hours.
SPEEDS = {"testing": 20_000.0}


def page(api: Api, name: str) -> Page:
    return Page(api.client.get(f"/docs/{name}").text)


# --- as pages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_a_strict_page_of_our_own_with_every_piece_of_code_said_how_to_run(
    shared_api: Api, name: str
) -> None:
    answer = shared_api.client.get(f"/docs/{name}")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == pages.CONTENT_SECURITY_POLICY
    assert answer.headers["Cache-Control"] == "no-store"
    assert 'name="viewport" content="width=device-width' in answer.text
    found = Page(answer.text)
    assert len(found.ids) == len(set(found.ids))
    assert found.snippets
    assert len(found.snippets) == found.codes
    assert {snippet.kind for snippet in found.snippets} <= KINDS_OF_CODE
    for loaded in found.loads:
        assert re.fullmatch(r"/assets/[a-z]+\.[0-9a-f]{12}\.(css|svg)", loaded)
        assert shared_api.client.get(loaded).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_is_linked_from_the_api_and_from_every_other_guide(shared_api: Api, name: str) -> None:
    assert f"/docs/{name}" in Page(shared_api.client.get("/docs").text).links
    for other in NAMES:
        assert (f"/docs/{name}" in page(shared_api, other).links) == (other != name)


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_a_guide_leads_to_a_place_that_is_there(shared_api: Api, name: str) -> None:
    for link in page(shared_api, name).links:
        if link.startswith("https://"):
            assert link == "https://www.standardwebhooks.com"
            continue
        path, _, place = link.partition("#")
        answer = shared_api.client.get(path or f"/docs/{name}")
        assert answer.status_code == 200, link
        assert not place or f'id="{place}"' in answer.text, link


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/", "/docs/redirect/", "/docs/..", "/docs/guides/redirect"])
def test_any_other_guide_is_not_found(shared_api: Api, path: str) -> None:
    assert shared_api.client.get(path).status_code == 404


def test_the_guides_are_these_and_each_has_a_title_of_its_own() -> None:
    assert tuple(guide.name for guide in GUIDES) == NAMES
    assert len({guide.title for guide in GUIDES}) == len(NAMES)


# --- as instructions -----------------------------------------------------------------------------------------------


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to type in, and the variables that a shop's server has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("CHECKOUT_URL", "CHECKOUT_KEY", "CHECKOUT_HOOK_SECRET", "SIMULATOR_URL"):
        monkeypatch.setenv(name, "")
    for name in ("FILE", "bank.json"):  # of commands that are only parsed
        (tmp_path / name).write_text("", encoding="utf-8")
    return tmp_path


@pytest.fixture
def running(surroundings: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[World]:
    widget = {"STABLE_MINT_WIDGET_URL": "http://127.0.0.1:9001/widget/gateway.js", "STABLE_MINT_SITE_ID": "3"}
    database = f"sqlite:///{surroundings / 'checkout.db'}"
    with world(database, changes=widget, speed=SPEEDS.get(name, SPEED)) as made:
        monkeypatch.setenv("CHECKOUT_URL", made.base)
        monkeypatch.setenv("SIMULATOR_URL", made.servers.stable_mint_url)
        yield made


@pytest.mark.parametrize("name", [name for name in NAMES if name != BY_PROCESSES])
def test_who_follows_a_guide_to_the_letter_gets_what_it_says(
    running: World, surroundings: Path, request: pytest.FixtureRequest, name: str
) -> None:
    found = Page(running.http.get(f"{running.base}/docs/{name}").text)
    database = f"sqlite:///{surroundings / 'checkout.db'}"
    with Reader(running, database, request.getfixturevalue, speed=SPEEDS.get(name, SPEED)) as reader:
        reader.follow(found)
    assert len(reader.ran) == len(found.snippets)


def test_a_command_that_is_not_there_would_be_noticed(surroundings: Path) -> None:
    for line in (
        "checkout payouts resolv ID",
        "checkout payouts show ID --qr",
        "checkout payouts resolve ID elsewhere",
    ):
        with pytest.raises(click.UsageError):
            understood(line)


# --- what the service itself knows ------------------------------------------------------------------------------------


def test_the_guide_to_errors_has_every_problem_with_its_cause_and_its_fix(shared_api: Api) -> None:
    assert set(REMEDIES) == {kind.name for kind in problems.KINDS}
    found = page(shared_api, "errors")
    assert set(REMEDIES) <= set(found.ids)
    text = shared_api.client.get("/docs/errors").text
    for kind in problems.KINDS:
        assert str(escape(kind.title)) in text
        assert f"/docs#{kind.name}" in found.links


def test_a_problem_without_a_remedy_would_still_be_shown() -> None:
    kind = problems.Kind("new", 418, "New", "Nobody has thought of it yet.")
    assert remedy_of(kind).cause == kind.meaning


def test_the_guide_to_keys_has_every_scope_and_every_operation_once(shared_api: Api) -> None:
    _, *rows = page(shared_api, "keys").tables["by-scope"]
    assert [row[0] for row in rows] == list(SCOPES)
    document = shared_api.client.get("/openapi.json").get_json()
    operations = sorted(
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    )
    assert sorted(", ".join(row[2] for row in rows).split(", ")) == operations


def test_the_guide_to_notifications_has_every_type_once(shared_api: Api) -> None:
    _, *rows = page(shared_api, "notifications").tables["by-family"]
    assert [row[0] for row in rows] == list(notifications.FAMILIES)
    assert ", ".join(row[1] for row in rows).split(", ") == list(notifications.KINDS)


def test_live_mode_is_content_with_the_settings_that_the_guide_to_going_live_names(shared_api: Api) -> None:
    """Whoever sets no more than these is refused for what they wrote, not for something that the page forgot."""
    _, *rows = page(shared_api, "going-live").tables["needed"]
    named = [row[0] for row in rows]
    assert len(set(named)) == len(named)
    assert set(named) <= set(VARIABLES)
    with pytest.raises(SettingsRefused) as refused:
        Settings.from_env({**dict.fromkeys(named, "?"), "CHECKOUT_MODE": "live"})
    assert not [(name, reason) for name, reason in refused.value.problems if name not in named or "missing" in reason]


# --- when a payout is stuck ------------------------------------------------------------------------------------------


def test_the_guide_to_stuck_payouts_has_every_state_and_every_verb(shared_api: Api) -> None:
    found = page(shared_api, "stuck-payout")
    states = [state for row in found.tables["by-state"][1:] for state in row[0].split(", ")]
    assert sorted(states) == sorted(PayoutState)
    typed = [line.split() for snippet in found.snippets for line, _ in commands(snippet.text)]
    assert {words[4] for words in typed if words[1:3] == ["payouts", "resolve"]} >= set(WHERE)


def test_the_guide_to_stuck_payouts_has_every_case_that_a_payout_can_wait_for(shared_api: Api) -> None:
    ids = page(shared_api, "stuck-payout").ids
    about_payouts = {
        name for name, kind in KINDS.items() if any("checkout payouts show" in action for action in kind.actions)
    }
    assert {"exposed_transfer_ended", "quote_declined", "compliance_hold", "price_guard"} <= about_payouts
    assert {f"case-{name}" for name in about_payouts} <= set(ids)


# --- the ledger's example --------------------------------------------------------------------------------------------


@pytest.fixture
def ramp(tmp_path: Path) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{tmp_path / 'example.db'}") as made:
        yield made


def plain(minor: int, asset: str) -> str:
    """Minor units as the guide writes them."""
    return f"{Decimal(minor).scaleb(-6 if asset.startswith('USDC') else -2):.2f}"


def named(account: str) -> str:
    """An account without its store."""
    return account.partition("/")[2]


def rows_of(ramp: Offramp) -> list[tuple[str, str, str]]:
    """Every row of the ledger, oldest first: who receives, who gives, how much."""
    with ramp.system.database.read() as unit:
        found = unit.execute(select(posting).order_by(posting.c.at, posting.c.key)).all()
    return [(named(row.debit), named(row.credit), plain(row.amount_minor, row.asset)) for row in found]


def balances_of(ramp: Offramp) -> dict[str, str]:
    with ramp.system.database.read() as unit:
        return {
            named(one["account"]): plain(one["balance"], one["asset"])
            for one in ledger.balances(unit, ramp.system.store.id)
        }


def play(ramp: Offramp) -> Iterator[str]:
    """The example, step by step, through the verbs of the service; the name of each step when it has been done."""
    system, services = ramp.system, ramp.system.services
    session = system.sessions(system.pay("9.00").payment.id)[0]
    system.hear(session, "accepted")
    yield "accepted"
    system.hear(session, "completed")
    yield "settled"
    services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[str(session.reference)],
        evidence="advice", who="ann",
    )  # fmt: skip
    yield "recorded"
    ramp.account()
    ramp.switch(submit_s=100_000)  # collected funds stay where they are until the test moves them on
    out = services.payouts.propose(system.store.id, account_id=None, who="ann")
    yield "proposed"
    ramp.until(out, "quoted")
    services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    services.payouts.reveal(out, who="ann")
    (transfer,) = ramp.transfers()
    for status, state in (("funds_collected", "funded"), ("completed", "completed")):
        ramp.post(f"transfers/{transfer['id']}/status", {"status": status})
        ramp.until(out, state)
        yield state


def test_every_number_of_the_ledgers_example_is_what_playing_it_gives(shared_api: Api, ramp: Offramp) -> None:
    found = page(shared_api, "ledger")
    heads, *accounts = found.tables["balances"]
    _, *written = found.tables["postings"]
    steps, texts = heads[1:], list(dict.fromkeys(row[0] for row in written))
    assert len(steps) == len(texts)
    for number, step in enumerate(play(ramp)):
        assert step == steps[number]
        documented = [tuple(row[1:]) for row in written if texts.index(row[0]) <= number]
        assert sorted(rows_of(ramp)) == sorted(documented), step
        held = balances_of(ramp)
        assert set(held) <= {row[0] for row in accounts}
        assert {row[0]: row[number + 1] for row in accounts} == {
            row[0]: held.get(row[0], "0.00") for row in accounts
        }, step
    assert number == len(steps) - 1


def test_the_columns_of_the_ledgers_example_add_up_to_zero_for_each_asset(shared_api: Api) -> None:
    heads, *accounts = page(shared_api, "ledger").tables["balances"]
    for column in range(1, len(heads)):
        sums: dict[str, Decimal] = {}
        for row in accounts:
            asset = row[0].partition("/")[2]
            sums[asset] = sums.get(asset, Decimal(0)) + Decimal(row[column])
        assert sums == {"EUR": 0, "USDC@polygon": 0}


def test_the_ledgers_guide_names_every_account(shared_api: Api) -> None:
    text = shared_api.client.get("/docs/ledger").text
    assert [book for book in Book if f"<code>{book}</code>" not in text] == []
