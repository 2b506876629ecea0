"""`checkout doctor`: names what is wrong, says what to do, and fails only for what cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from checkout.commands.doctor import FAIL, OK, WARN, _clock
from checkout.store import moves
from tests.edges.command_line import Terminal
from tests.system import BANK, RealClock, System, environment, make_system, public_pem


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = make_system(f"sqlite:///{tmp_path / 'checkout.db'}", clock=RealClock())
    yield made
    made.close()


@pytest.fixture
def terminal(system: System, tmp_path: Path) -> Terminal:
    # port 9 is nobody's: whatever else runs on this machine, this installation's service does not
    return Terminal(environment(f"sqlite:///{tmp_path / 'checkout.db'}", CHECKOUT_PUBLIC_URL="http://127.0.0.1:9"))


def findings(terminal: Terminal, *, code: int = 0, **changes: str) -> dict[str, dict[str, Any]]:
    document = terminal.ask("doctor", code=code, **changes)
    assert document["healthy"] == (code == 0)
    return {one["check"]: one for one in document["findings"]}


def test_an_installation_without_its_neighbours_is_warned_about_and_healthy(terminal: Terminal) -> None:
    found = findings(terminal)
    assert found["Stable Mint"]["state"] == WARN
    assert found["Stable Mint"]["do"] == "`checkout simulator`"
    assert found["this service"]["do"] == "`checkout serve`"
    assert found["database"]["state"] == found["settings"]["state"] == found["ledger"]["state"] == OK
    assert "What to do" in terminal.say("doctor")


def test_every_wrong_setting_is_a_finding_and_nothing_is_shown(terminal: Terminal) -> None:
    found = findings(terminal, code=1, CHECKOUT_SECRET_KEY="", CHECKOUT_SPEED="hunter2")
    assert {"setting CHECKOUT_SECRET_KEY", "setting CHECKOUT_SPEED"} <= set(found)
    assert "hunter2" not in terminal.say("doctor", code=1, CHECKOUT_SPEED="hunter2")


def test_a_database_that_is_missing_or_old_fails(terminal: Terminal, tmp_path: Path) -> None:
    found = findings(terminal, code=1, CHECKOUT_DATABASE_URL=f"sqlite:///{tmp_path / 'other.db'}")
    assert "checkout migrate" in found["database"]["detail"]


def test_a_key_on_the_wrong_side_fails(terminal: Terminal) -> None:
    found = findings(terminal, code=1, STABLE_MINT_WEBHOOK_PUBLIC_KEY=public_pem("partner"))
    assert found["keys: sides"]["state"] == FAIL


def test_one_simulator_beside_a_real_provider_is_noticed(terminal: Terminal) -> None:
    found = findings(terminal, STABLES_API_URL="https://stables.invalid")
    assert "Stable Mint is simulated" in found["providers"]["detail"]
    assert "no provider can send a webhook" in found["CHECKOUT_PUBLIC_URL"]["detail"]
    found = findings(terminal, CHECKOUT_PUBLIC_URL="http://shop.invalid")
    assert "plain http" in found["CHECKOUT_PUBLIC_URL"]["detail"]


def test_a_lost_data_key_is_noticed_before_it_is_needed(terminal: Terminal, system: System) -> None:
    system.pay()
    assert findings(terminal)["CHECKOUT_DATA_KEY"]["state"] == OK
    found = findings(terminal, code=1, CHECKOUT_DATA_KEY=Fernet.generate_key().decode())
    assert found["CHECKOUT_DATA_KEY"]["state"] == FAIL


def test_what_a_store_lacks_is_listed_with_its_commands(terminal: Terminal, system: System) -> None:
    terminal.ask("stores", "create", "Bare", "--origin", "https://bare.example")
    terminal.ask("stores", "pause", "Bare", "--reason", "audit")
    said = findings(terminal)["store Bare"]
    for what in (
        "no notification endpoint",
        "not every return URL",
        "no settlement rule",
        "no payout account",
        "audit",
    ):
        assert what in said["detail"]
    back = "https://shop.example/back"
    outcomes = [word for name in ("success", "exit", "error", "support") for word in (f"--{name}-url", back)]
    terminal.ask("stores", "set", "Shop", *outcomes)
    system.services.payout_accounts.add("Shop", BANK, who="ann")
    assert findings(terminal)["store Shop"]["detail"] == "complete"


def test_open_cases_and_late_work_are_counted(terminal: Terminal, system: System) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    with system.database.write() as unit:
        moves.open_case(unit, "case_1", kind="duplicate", subject="pay_1", detail="", at=long_ago)
    assert findings(terminal)["cases"]["detail"] == "1 wait for a person"
    answer = system.pay()
    session = system.sessions(answer.payment.id)[0]
    system.deliver(system.event(session, "created"))
    assert findings(terminal)["worker"]["state"] == OK
    with system.database.write() as unit:
        unit.connection.exec_driver_sql("UPDATE event SET due_at = '2026-01-01 00:00:00.000000'")
    assert "event" in findings(terminal, code=1)["worker"]["detail"]


def test_a_file_of_secrets_that_others_may_read_is_noticed(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("", encoding="utf-8")
    (tmp_path / ".env").chmod(0o644)
    assert findings(terminal)[".env"]["do"] == "chmod 600 .env"
    (tmp_path / ".env").chmod(0o600)
    assert ".env" not in findings(terminal)


@pytest.mark.parametrize(("apart", "state"), [(0, OK), (60, WARN), (600, FAIL)])
def test_clocks_are_compared_with_whoever_answers(apart: int, state: str) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=apart), usegmt=True)
    assert _clock("Stables", httpx.Response(404, headers={"date": date})).state == state


def test_an_answer_without_a_time_is_an_answer() -> None:
    assert _clock("Stables", httpx.Response(200)).state == OK
    assert _clock("Stables", httpx.Response(200, headers={"date": "yesterday"})).state == OK


def test_nobody_can_act_in_live_without_people(terminal: Terminal) -> None:
    live = {
        "CHECKOUT_MODE": "live", "CHECKOUT_PUBLIC_URL": "https://pay.invalid", "STABLE_MINT_API_URL": "https://mint.invalid",
        "STABLE_MINT_PAGE_DOMAINS": "mint.invalid", "STABLES_API_URL": "https://stables.invalid",
        "STABLES_API_KEY": "sti_live_x", "STABLE_MINT_FLOWS": "hosted",
    }  # fmt: skip
    found = findings(Terminal({**terminal.environ, **live}))
    assert found["people"]["state"] == WARN
    assert "live" in found["providers"]["detail"]
