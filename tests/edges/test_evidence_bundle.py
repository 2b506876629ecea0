"""The evidence bundle: its own commands, run with the real openssl, verify every delivery."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from checkout.inbox import STABLES
from tests.edges.command_line import Terminal
from tests.stables_script import StablesScript
from tests.system import BANK, RealClock, System, environment, make_system, public_pem

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
SECRET = environment("sqlite://")["STABLES_WEBHOOK_SECRET"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def script() -> StablesScript:
    return StablesScript(RealClock())


@pytest.fixture
def system(tmp_path: Path, script: StablesScript) -> Iterator[System]:
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    made = make_system(url, clock=RealClock(), stables=httpx.MockTransport(script))
    yield made
    made.close()


@pytest.fixture
def terminal(system: System, tmp_path: Path) -> Terminal:
    return Terminal(environment(f"sqlite:///{tmp_path / 'checkout.db'}"))


def paid(system: System) -> tuple[str, str]:
    session = system.sessions(system.pay(order="=HYPERLINK()").payment.id)[0]
    system.hear(session, "created", "accepted", "completed", holder="Jo Doe, Straße 1")
    return session.payment_id, str(session.reference)


def commands(folder: Path) -> list[str]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)\n```", text, re.DOTALL)
    return [line for line in block.splitlines() if line]


def run(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False)


def test_the_commands_inside_verify_every_delivery_with_openssl_alone(
    system: System, terminal: Terminal, tmp_path: Path
) -> None:
    payment, reference = paid(system)
    out = tmp_path / "bundle"
    made = terminal.ask("evidence", reference, "--out", str(out))
    assert (made["payment"], made["deliveries"], made["verifiable"]) == (payment, 3, 3)
    given = commands(out)
    assert len(given) == 6
    results = [run(out, line) for line in given]
    assert [one.returncode for one in results] == [0] * 6
    assert [one.stdout.strip() for one in results[1::2]] == ["Verified OK"] * 3
    # the smallest change to what was signed is seen
    (signed, *_) = sorted(out.glob("deliveries/*/signed"))
    signed.write_bytes(signed.read_bytes().replace(b"9.0", b"9.1"))
    assert "Verified OK" not in run(out, given[1]).stdout


def test_the_bodies_are_the_bytes_that_were_received(system: System, terminal: Terminal, tmp_path: Path) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    body = b'\n{"data" :' + system.event(session, "completed")[len('{"eventId": "') :].split(b'"data":', 1)[1]
    system.deliver(body)
    system.work()
    out = tmp_path / "bundle"
    terminal.say("evidence", session.payment_id, "--out", str(out))
    (found,) = out.glob("deliveries/*/body")
    assert found.read_bytes() == body
    assert [run(out, line).returncode for line in commands(out)] == [0, 0]


def test_moves_and_postings_are_files_and_only_the_owner_may_read_them(
    system: System, terminal: Terminal, tmp_path: Path
) -> None:
    payment, _ = paid(system)
    out = tmp_path / "deep" / "bundle"
    terminal.say("evidence", payment, "--out", str(out))
    assert "shopper_receivable" in (out / "postings.csv").read_text()
    assert "settled" in (out / "moves.csv").read_text()
    assert json.loads((out / "payment.json").read_text())["payments"][0]["id"] == payment
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*") if path.is_file()} == {0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "## Personal data" in text
    trace = system.services.report.trace(payment)
    assert trace["payments"][0]["id"] == payment
    held = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    for secret in ("mint-secret", "PRIVATE KEY", SECRET, "sti_test_"):
        assert secret.encode() not in held


def test_a_folder_that_is_not_empty_is_left_alone(system: System, terminal: Terminal, tmp_path: Path) -> None:
    payment, _ = paid(system)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    assert "not empty" in terminal.say("evidence", payment, "--out", str(tmp_path / "full"), code=1)
    assert terminal.ask("evidence", "nothing", "--out", str(tmp_path / "new"), code=1)["kind"] == "not_found"
    assert not (tmp_path / "new").exists()


def test_an_order_number_of_two_payments_names_neither(system: System, terminal: Terminal, tmp_path: Path) -> None:
    system.pay(order="twice")
    system.pay(order="twice")
    said = terminal.say("evidence", "twice", "--out", str(tmp_path / "new"), code=1)
    assert "several payments" in said


def test_deliveries_under_a_key_that_was_replaced_are_named(system: System, tmp_path: Path) -> None:
    payment, _ = paid(system)
    changed = Terminal(
        environment(f"sqlite:///{tmp_path / 'checkout.db'}", STABLE_MINT_WEBHOOK_PUBLIC_KEY=public_pem("next"))
    )
    out = tmp_path / "bundle"
    assert changed.ask("evidence", payment, "--out", str(out))["verifiable"] == 0
    text = (out / "README.md").read_text(encoding="utf-8")
    assert "not configured any more" in text
    # with the key of that time, the same commands verify
    (folder, *_) = sorted(out.glob("deliveries/*"))
    (out / "keys" / "old.pem").write_text(public_pem("mint"))
    run(out, f"openssl base64 -d -A -in {folder}/signature.b64 -out {folder}/signature.bin")
    verified = run(out, f"openssl dgst -sha256 -verify keys/old.pem -signature {folder}/signature.bin {folder}/signed")
    assert verified.stdout.strip() == "Verified OK"


def test_stables_deliveries_are_verified_with_the_shared_secret(
    system: System, script: StablesScript, terminal: Terminal, tmp_path: Path
) -> None:
    payment, reference = paid(system)
    services = system.services
    services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[reference], evidence="advice",
        who="ann",
    )  # fmt: skip
    services.payout_accounts.add(system.store.id, BANK, who="ann")
    out = services.payouts.propose(system.store.id, account_id=None, who="ann")
    system.work()
    services.payouts.approve(out, min_credit=None, who="ann")
    system.work()
    body = json.dumps(
        {"event_type": "transfer.updated.status_transitioned", "event_id": "e-1", "event_object_id": script.only()["id"]}
    )  # fmt: skip
    now = system.clock.now
    signature = Webhook(SECRET).sign("msg_1", now, body)
    headers = {"svix-id": "msg_1", "svix-timestamp": str(int(now.timestamp())), "svix-signature": signature}
    assert services.inbox.receive(STABLES, headers, body.encode()).value == "stored"
    system.work()
    folder = tmp_path / "bundle"
    assert terminal.ask("evidence", payment, "--out", str(folder))["deliveries"] == 4
    text = (folder / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh-with-the-secret\n(.*?)\n```", text, re.DOTALL)
    (one,) = re.findall(r"- `(deliveries/[^`]+)`", text)
    environ = {**os.environ, "STABLES_WEBHOOK_SECRET": SECRET}
    printed = subprocess.run(
        ["sh", "-c", block.replace("FOLDER", one)], cwd=folder, env=environ, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == (folder / one / "signature.b64").read_text()
    assert base64.b64decode(printed)
