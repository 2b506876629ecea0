"""Shops in Python and in JavaScript receive what we send over a real socket and verify it by the Standard Webhooks libraries:
not a line of the service's own code has a say in whether a signature is right.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checkout import signing
from tests import javascript_runtime
from tests.flows.notification_days import log_of, message_of, news, states, telling
from tests.system import RealClock, System, make_system

HERE = Path(__file__).parent
STRANGE = {"note": 'Grüße, 東京, \U0001f6d2, \u2028 and "quotes" \\ / </script>', "empty": "", "number": "0.10"}


class Shop:
    """A process with an endpoint; ``secrets`` are what it trusts from now on."""

    def __init__(self, command: list[str], folder: Path, cwd: Path) -> None:
        self._secrets = folder / "secrets.json"
        self.trust()
        self._process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, "SECRETS": str(self._secrets)}, stdout=subprocess.PIPE, text=True
        )
        self.url = f"http://127.0.0.1:{self.next()['port']}/hooks"

    def trust(self, *secrets: str) -> None:
        self._secrets.write_text(json.dumps(secrets), encoding="utf-8")

    def next(self) -> dict[str, Any]:
        """The next thing it says."""
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def javascript() -> tuple[list[str], Path]:
    node, reason = javascript_runtime.node_or_reason()
    try:
        modules = javascript_runtime.modules()
    except javascript_runtime.NoJavaScript as problem:
        node, reason = None, str(problem)
    if node is None:
        if os.environ.get("CI"):
            pytest.fail(f"no JavaScript: {reason}")
        pytest.skip(f"no JavaScript: {reason}")
    script = (HERE.parent / "javascript" / "hear_notifications.mjs").read_text(encoding="utf-8")
    return [node, "--input-type=module", "--eval", script], modules


@pytest.fixture(params=["python", "javascript"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """An endpoint in another process and, for JavaScript, in another language."""
    command, cwd = (
        javascript()
        if request.param == "javascript"
        else ([sys.executable, str(HERE / "hear_notifications.py")], tmp_path)
    )
    made = Shop(command, tmp_path, cwd)
    yield made
    made.close()


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """An installation that keeps the machine's time, as the libraries do; its store has no endpoint yet."""
    made = make_system(f"sqlite:///{tmp_path / 'checkout.db'}", clock=RealClock())
    made.services.endpoints.remove(str(made.services.endpoints.all(None)[0]["id"]), who="ann")
    yield made
    made.close()


def test_what_a_payment_becomes_is_verified_by_the_library(shop: Shop, system: System) -> None:
    with telling(system, None) as ours:
        secret = ours.services.stores.set(system.store.id, {"notify_url": shop.url}, who="ann")
        assert secret is not None
        shop.trust(secret)
        paid = system.pay("9.00", metadata=STRANGE).payment
        system.deliver(system.event(system.sessions(paid.id)[0], "completed"))
        ours.work()
        said = shop.next()
    assert (said["verified"], said["forged"]) == ([True], 0)
    assert (said["content"]["type"], said["content"]["sequence"]) == ("payment.settled", 1)
    data = said["content"]["data"]
    assert (data["id"], data["status"], data["amount"], data["metadata"]) == (paid.id, "settled", "9.00", STRANGE)
    assert said["id"] == message_of(system, paid.id)


def test_while_a_secret_is_rotated_a_shop_that_knows_either_is_served(shop: Shop, system: System) -> None:
    with telling(system, None) as ours:
        endpoints = ours.services.endpoints
        made = endpoints.add(system.store.id, url=shop.url, events=["refund.*"], who="ann")
        fresh = endpoints.rotate(made.id, overlap=timedelta(hours=1), who="ann")
        for number, trusted in enumerate((made.secret, fresh)):
            shop.trust(trusted)
            news(ours, 1, about=f"turn{number}", kind="refund.sent")
            ours.work()
            assert shop.next()["verified"] == [True]
        final = endpoints.rotate(made.id, overlap=timedelta(0), who="ann")
        shop.trust(made.secret, fresh, final)
        news(ours, 1, about="last", kind="refund.sent")
        ours.work()
        assert shop.next()["verified"] == [False, False, True]
    assert states(system, made.id) == {"delivered": 3}


def test_a_shop_with_another_secret_refuses_and_is_tried_again(shop: Shop, system: System) -> None:
    with telling(system, None) as ours:
        made = ours.services.endpoints.add(system.store.id, url=shop.url, events=["refund.*"], who="ann")
        shop.trust(signing.generate_webhook_secret())
        (subject,) = news(ours, 1, kind="refund.sent")
        ours.work()
        assert shop.next()["verified"] == [False]
        assert states(system, made.id) == {"pending": 1}
        shop.trust(made.secret)
        assert ours.services.notifications.test(made.id, who="ann")["delivered"]
        assert shop.next()["content"]["type"] == "endpoint.test"
    assert [one["status"] for one in log_of(system, message_of(system, subject))] == [401]
