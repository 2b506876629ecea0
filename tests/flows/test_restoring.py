"""The database restored from yesterday: nothing that a later self of it has paid is paid again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy.engine import make_url

from checkout.app import build
from checkout.config import Settings
from checkout.errors import NotPossible, RequestRefused
from checkout.store import payouts as rows
from tests.desk import Desk
from tests.edges.command_line import Terminal
from tests.flows.refund_days import ask, paid, row, withdrawals
from tests.offramp import SPEED, Offramp, offramp
from tests.system import MintScript, RealClock, ShopScript, System, environment


@pytest.fixture
def ramp(fast_folder: Path) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{fast_folder / 'checkout.db'}") as made:
        yield made
        made.system.close()  # another than at first, where the database was put back


@pytest.fixture
def either_ramp(database_url: str) -> Iterator[Offramp]:
    """The same on both databases."""
    with offramp(database_url) as made:
        yield made
        made.system.close()


def quoted(ramp: Offramp) -> str:
    ramp.settled()
    ramp.account()
    out = ramp.system.services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    assert ramp.until(out, "quoted") == "quoted"
    return out


def finish(ramp: Offramp, out: str) -> None:
    services = ramp.system.services
    services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    services.payouts.reveal(out, who="ann")
    services.payouts.simulate_deposit(out, who="ann")
    ramp.until(out, "completed")


def database_file(system: System) -> Path:
    return Path(str(system.database.url.database))


def url_of(system: System) -> str:
    return system.database.url.render_as_string(hide_password=False)


def backup(ramp: Offramp, folder: Path) -> str:
    """Yesterday's backup: the database as it is when nobody has it open; the copy's URL."""
    ramp.system.database.close()
    if ramp.system.database.is_sqlite:
        copy = folder / "yesterday.db"
        shutil.copyfile(database_file(ramp.system), copy)
        return f"sqlite:///{copy}"
    url = make_url(url_of(ramp.system))
    admin = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{url.database}_yesterday" TEMPLATE "{url.database}"'.encode())
    return url.set(database=f"{url.database}_yesterday").render_as_string(hide_password=False)


def restored(ramp: Offramp, copy: str) -> None:
    """Put the backup where the database was, and start again on it. A server has it under the backup's own name."""
    sqlite, url = ramp.system.database.is_sqlite, url_of(ramp.system)
    path = database_file(ramp.system)
    ramp.system.close()
    if sqlite:
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            name.unlink(missing_ok=True)
        shutil.copyfile(copy.removeprefix("sqlite:///"), path)
    ramp.system = reopened(url if sqlite else copy, ramp.servers.stables_url)


def reopened(url: str, stables_url: str) -> System:
    clock = RealClock()
    mint, shop = MintScript(clock), ShopScript()
    services = build(
        Settings.from_env(environment(url, STABLES_API_URL=stables_url, CHECKOUT_SPEED=str(SPEED))),
        clock=clock,
        stable_mint_transport=httpx.MockTransport(mint),
        stables_transport=httpx.HTTPTransport(),
        storefront_transport=httpx.MockTransport(shop),
    )
    return System(services, clock, mint, shop, services.stores.find("Shop"))


def paid_into(ramp: Offramp) -> list[int]:
    return sorted(one["deposits"]["count"] for one in ramp.transfers())


def test_the_database_restored_from_yesterday_does_not_pay_again_what_was_paid_today(
    either_ramp: Offramp, tmp_path: Path
) -> None:
    ramp = either_ramp
    out = quoted(ramp)
    copy = backup(ramp, tmp_path)
    finish(ramp, out)
    restored(ramp, copy)
    services = ramp.system.services
    assert ramp.state(out) == "quoted"
    # nobody has said that it was restored: the worker finds out before its first transfer
    services.payouts.approve(out, min_credit=None, who="ben")
    assert ramp.until(out, "needs_decision") == "needs_decision"
    assert paid_into(ramp) == [1]
    assert ramp.system.cases() == ["forgotten_transfer"]
    assert ramp.system.balances()["treasury_reserved/USDC@polygon"] == 9_710_000
    with pytest.raises(NotPossible, match="restored"):
        services.payouts.propose(ramp.system.store.id, account_id=None, who="ben")
    found = services.restoring.reconcile()
    (forgotten,) = found["forgotten"]
    assert (forgotten["payout"], forgotten["status"], forgotten["confirmed_by"]) == (out, "completed", None)
    services.restoring.confirm(evidence="bank statement 4, line 2", who="ann")
    assert ramp.until(out, "needs_decision") == "needs_decision"  # that money is still before a person
    assert paid_into(ramp) == [1]
    # another start finds the same transfer, which a person has seen
    ramp.system.close()
    ramp.system = reopened(url_of(ramp.system), ramp.servers.stables_url)
    ramp.settled()
    second = ramp.system.services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    ramp.until(second, "quoted")
    finish(ramp, second)
    assert paid_into(ramp) == [1, 1]
    assert ramp.system.services.report.balance()["balanced"]


def test_a_payout_made_after_the_backup_leaves_a_case_with_what_stables_knows(ramp: Offramp, tmp_path: Path) -> None:
    ramp.settled()
    ramp.account()
    copy = backup(ramp, tmp_path)
    out = ramp.system.services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    ramp.until(out, "quoted")
    finish(ramp, out)
    restored(ramp, copy)
    restoring = ramp.system.services.restoring
    assert restoring.mark(note="backup of yesterday", who="ann")["new"]
    assert not restoring.mark(note="again", who="ann")["new"]
    with pytest.raises(NotPossible, match="nobody has been shown"):
        restoring.confirm(evidence="sure", who="ann")
    assert [one["payout"] for one in restoring.reconcile()["forgotten"]] == [out]
    assert ramp.system.cases() == ["forgotten_transfer"]
    done = restoring.confirm(evidence="bank statement 4", who="ann")
    assert (done["marked_at"], done["confirmed_by"]) == (None, "ann")
    with pytest.raises(NotPossible, match="not marked"):
        restoring.confirm(evidence="sure", who="ann")


def test_a_mark_stops_everything_until_a_person_confirms(desk: Desk) -> None:
    desk.settled("9.00", received="9.71", fee="0")
    system, services = desk.system, desk.system.services
    out = services.payouts.propose(system.store.id, account_id=None, who="ann")
    system.work()
    services.payouts.approve(out, min_credit=None, who="ann")
    services.restoring.mark(note="", who="ann")
    system.work()
    assert services.payouts.show(out)["state"] == "approved"
    assert desk.script.transfers == {}
    services.restoring.confirm(evidence="nothing was paid since", who="ann")
    system.clock.advance(minutes=10)
    system.work()
    assert services.payouts.show(out)["state"] == "transfer_created"


def test_a_refund_approved_before_the_backup_may_have_been_sent_since_and_is_approved_anew(desk: Desk) -> None:
    system, services = desk.system, desk.system.services
    ident = ask(system, paid(system).payment_id).row.id
    services.refunds.approve(ident, who="ann")
    services.restoring.mark(note="backup of yesterday", who="ann")
    system.work()
    assert system.cases() == ["refund_needs_approval"]
    services.restoring.confirm(evidence="nothing was paid since", who="ann")
    system.clock.advance(minutes=10)
    system.work()
    assert (withdrawals(system), row(system, ident).approved_by) == ([], None)
    services.refunds.approve(ident, who="ben")
    system.work()
    assert (len(withdrawals(system)), system.cases()) == (1, [])


def test_a_refund_is_approved_anew_also_where_a_worker_found_out_by_itself(ramp: Offramp, tmp_path: Path) -> None:
    out = quoted(ramp)
    ident = ask(ramp.system, paid(ramp.system).payment_id).row.id
    ramp.system.services.refunds.approve(ident, who="ann")
    copy = backup(ramp, tmp_path)
    finish(ramp, out)
    restored(ramp, copy)
    ramp.system.services.restoring.reconcile()
    ramp.system.work()
    assert row(ramp.system, ident).approved_by is None
    assert sorted(ramp.system.cases()) == ["forgotten_transfer", "refund_needs_approval"]


def test_while_stables_cannot_be_asked_no_transfer_is_made(desk: Desk) -> None:
    desk.settled("9.00", received="9.71", fee="0")
    system, services = desk.system, desk.system.services
    out = services.payouts.propose(system.store.id, account_id=None, who="ann")
    system.work()
    services.payouts.approve(out, min_credit=None, who="ann")
    desk.script.silent = {"transfers"}
    system.work()
    shown = services.payouts.show(out)
    assert (shown["state"], desk.script.transfers) == ("approved", {})
    assert "could not be asked" in shown["note"]
    with pytest.raises(NotPossible, match="could not be asked"):
        services.restoring.reconcile()
    desk.script.silent = set()
    system.clock.advance(minutes=10)
    system.work()
    assert services.payouts.show(out)["state"] == "transfer_created"


@pytest.mark.parametrize("state", ["proposed", "on_hold", "completed"])
def test_whatever_state_the_backup_remembers_the_payout_ends_before_a_person(sqlite_desk: Desk, state: str) -> None:
    desk, services = sqlite_desk, sqlite_desk.system.services
    desk.settled("9.00", received="9.71", fee="0")
    out = desk.awaiting()
    desk.script.of(out)["metadata"]["attempt"] = "att_forgotten"
    with desk.system.database.write() as unit:
        rows.update_payout(unit, out, state=state)
    found = services.restoring.reconcile()
    assert [one["attempt"] for one in found["forgotten"]] == ["att_forgotten"]
    assert services.payouts.show(out)["state"] == ("completed" if state == "completed" else "needs_decision")
    again = services.restoring.reconcile()
    assert again["forgotten"] == found["forgotten"]
    assert desk.system.cases() == ["forgotten_transfer"]


def test_a_payout_whose_transfer_is_not_remembered_is_left_to_a_person_however_often_it_is_looked_at(
    sqlite_desk: Desk,
) -> None:
    desk, services = sqlite_desk, sqlite_desk.system.services
    desk.settled("9.00", received="9.71", fee="0")
    out = services.payouts.propose(desk.system.store.id, account_id=None, who="ann")
    desk.system.work()
    with desk.system.database.write() as unit:
        rows.update_payout(unit, out, state="needs_decision", due_at=desk.system.clock.now)
    desk.system.work()
    shown = services.payouts.show(out)
    assert (shown["state"], shown["note"]) == ("needs_decision", "waits for a person")
    assert desk.script.transfers == {}


def test_a_transfer_of_another_installation_is_not_ours_and_one_that_is_gone_is_named(sqlite_desk: Desk) -> None:
    desk, services = sqlite_desk, sqlite_desk.system.services
    desk.settled("9.00", received="9.71", fee="0")
    out = desk.awaiting()
    desk.script.of(out)["metadata"] = {"installation": "somebody", "payout": out, "attempt": "x"}
    assert services.restoring.reconcile()["forgotten"] == []
    gone = next(iter(desk.script.transfers))
    desk.script.transfers.clear()
    assert services.restoring.reconcile()["missing"] == [{"transfer": gone, "payout": out}]
    with pytest.raises(RequestRefused):
        services.restoring.confirm(evidence=" ", who="ann")


def test_the_commands_say_what_was_found(ramp: Offramp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = quoted(ramp)
    copy = backup(ramp, tmp_path)
    finish(ramp, out)
    restored(ramp, copy)
    url = f"sqlite:///{database_file(ramp.system)}"
    terminal = Terminal(environment(url, STABLES_API_URL=ramp.servers.stables_url, CHECKOUT_SPEED=str(SPEED)))
    assert "is marked as restored" in terminal.say("restore", "--note", "of yesterday")
    assert "was marked already" in terminal.say("restore")
    text = terminal.say("reconcile")
    assert out in text
    assert "--confirm TEXT" in text
    assert terminal.ask("reconcile", "--confirm", "bank statement 4")["confirmed_by"] == "demo"
    assert terminal.ask("reconcile")["marked_at"] is None
