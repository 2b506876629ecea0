"""What is around somebody who follows a guide: a store of theirs, its shopper, its payout, its notifications.

A page's words in capitals (``ID``, ``REFERENCE``, ``TOKEN``) stand for what an earlier answer said; so does ``pay_…``.
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug.serving import make_server

from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.edges.command_line import Terminal
from tests.system import BANK, environment
from tests.world import World

SHOP = "My shop"
HASH = "0x" + "ab" * 32
#: States that a payment is brought to by its shopper; every other word is a payout's.
PAYMENT_STATES = ("settled",)


class Surroundings:
    """A running service and running simulators, and the terminal of whoever has the store ``My shop``."""

    def __init__(self, world: World, url: str, speed: float) -> None:
        self.world = world
        self.terminal = Terminal(
            environment(
                url,
                CHECKOUT_PUBLIC_URL=world.base,
                CHECKOUT_SPEED=str(speed),
                STABLES_API_URL=world.servers.stables_url,
                STABLE_MINT_API_URL=world.servers.stable_mint_url,
                STABLE_MINT_PAGE_DOMAINS=world.servers.stable_mint_url,
            )
        )
        self._ends = ExitStack()
        self._payout = ""
        self._reference = ""
        self._stands_for: dict[str, Callable[[], str]] = {
            "sk_test_…": lambda: os.environ["CHECKOUT_KEY"],
            "pay_…": lambda: str(self._newest("payments")["id"]),
            "lnk_…": lambda: str(self._newest("payment_links")["id"]),
            "CUSTOMER": lambda: CUSTOMER_ID,
            "REFERENCE": lambda: self._reference,
            "ID": lambda: self._payout,
            "HASH": lambda: HASH,
            "ENDPOINT": self._endpoint,
            "MESSAGE": lambda: str(self.terminal.ask("notifications", "list", "--store", SHOP)[0]["id"]),
            "TIME": lambda: f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%MZ}",
            "KEY_ID": lambda: str(self.terminal.ask("stores", "keys", SHOP)[0]["id"]),
        }

    def close(self) -> None:
        self._ends.close()

    # --- words ---------------------------------------------------------------------------------------------------

    def stands_for(self, word: str, value: Callable[[], str]) -> None:
        """From now on this word of a page means that."""
        self._stands_for[word] = value

    def filled(self, text: str) -> str:
        """The text with what its words stand for."""
        for word, value in self._stands_for.items():
            text = re.sub(rf"(?<![\w-]){word}(?![\w-])", lambda _, value=value: value(), text)  # type: ignore[misc]
        return text

    def notice(self, words: list[str], said: str) -> None:
        """Remember what a command has made and said only once."""
        if words[:2] == ["stores", "create"]:
            _remember("CHECKOUT_KEY", r"sk_test_\S+", said)
            self.world.store = self.world.system.services.stores.find(SHOP).id
        if words[:2] == ["stores", "key"]:
            _remember("CHECKOUT_KEY", r"sk_test_\S+", said)
        if "whsec_" in said:
            _remember("CHECKOUT_HOOK_SECRET", r"whsec_\S+", said)
        if words[:2] == ["payouts", "propose"]:
            self._payout = str(self.terminal.ask("payouts", "list", "--store", SHOP)[0]["id"])

    # --- what comes about ----------------------------------------------------------------------------------------

    def has_a_store(self) -> None:
        """The store is there already, for pages that do not begin with making one."""
        stores = self.world.system.services.stores
        made = stores.create(SHOP, ["https://shop.example"], who="tester")
        os.environ["CHECKOUT_KEY"] = made.api_key
        self.world.store = made.id
        stores.rule(
            made.id, currency="EUR", asset="USDC", network="polygon", evidence="recorded", settles_gross=False,
            who="tester",
        )  # fmt: skip

    def wait_for(self, state: str) -> None:
        """What a page takes for granted before it goes on."""
        if state in PAYMENT_STATES:
            self._shopper_pays()
        elif state == "shop-there":
            self._shop_is_there()
        elif state == "shop-down":
            self.world.system.shop.status = 503
            self._open()
            self.sent()
        elif state == "shop-up":
            self.world.system.shop.status = 204
            self.world.until(lambda: not self._pending())
        else:
            self._payout_becomes(state)

    def sent(self) -> tuple[bytes, Mapping[str, str], str]:
        """The notification that the newest payment has settled, as it left: body, headers, number of the order."""
        self._shopper_pays()
        payment, shop = self._newest("payments"), self.world.system.shop

        def places() -> list[int]:
            told = (payment["id"], "payment.settled")
            return [place for place, one in enumerate(shop.heard) if (one["data"]["id"], one["type"]) == told]

        self.world.until(lambda: bool(places()))
        body = json.dumps(shop.heard[places()[0]], separators=(",", ":"), ensure_ascii=False).encode()
        return body, shop.headers[places()[0]], str(payment["order"])

    # --- payments and payouts ------------------------------------------------------------------------------------

    def _newest(self, kind: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {os.environ['CHECKOUT_KEY']}"}
        answer = self.world.http.get(f"{self.world.base}/v1/{kind}", params={"limit": 1}, headers=headers)
        found: list[dict[str, Any]] = answer.json()["data"]
        return found[0]

    def _shopper_pays(self) -> None:
        """The newest payment, or one of EUR 9.00 if the guide has opened none."""
        world, headers = self.world, {"Authorization": f"Bearer {os.environ['CHECKOUT_KEY']}"}
        if not world.http.get(f"{world.base}/v1/payments", headers=headers).json()["data"]:
            self._open()
        payment = self._newest("payments")
        self._reference = str(payment["provider"]["reference"])
        if payment["status"] != "settled":
            world.paid(self._reference)
        world.until(lambda: self._newest("payments")["status"] == "settled")

    def _open(self) -> None:
        """One more payment."""
        world, order = self.world, uuid.uuid4().hex[:8]
        body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": order}
        headers = {"Authorization": f"Bearer {os.environ['CHECKOUT_KEY']}", "Idempotency-Key": order}
        assert world.http.post(f"{world.base}/v1/payments", json=body, headers=headers).status_code == 201

    def _payout_becomes(self, state: str) -> None:
        """The page's payout, or one of the newest payment if the guide has proposed none."""
        if not self._payout:
            self._shopper_pays()
            self._payout = self.world.payout([self._reference]) if state == "completed" else self._stuck()
        self.world.until_payout(self._payout, state)

    def _stuck(self) -> str:
        """A payout whose transfer failed after its address was revealed."""
        world, services = self.world, self.world.system.services
        services.treasury.record(
            world.store, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[self._reference],
            evidence="advice", who="ann",
        )  # fmt: skip
        services.payout_accounts.add(world.store, {**BANK, "stables_customer_id": CUSTOMER_ID}, who="ann")
        out = services.payouts.propose(world.store, account_id=None, who="ann")
        world.until_payout(out, "quoted")
        services.payouts.approve(out, min_credit=None, who="ann")
        world.until_payout(out, "awaiting_funding")
        services.payouts.reveal(out, who="ann")
        world.stables(f"transfers/{world.stables('transfers')[0]['id']}/status", {"status": "failed"})
        return out

    # --- notifications -------------------------------------------------------------------------------------------

    def _shop_is_there(self) -> None:
        """Whoever types commands is on another machine than the shop played by a script: a server for them."""

        def accept(_environ: object, start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
            start("204 No Content", [])
            return []

        server = make_server("127.0.0.1", 0, accept)
        answering = threading.Thread(target=server.serve_forever)
        answering.start()
        for step in (server.server_close, answering.join, server.shutdown):  # the last one first
            self._ends.callback(step)
        self.terminal.ask("notifications", "set", self._endpoint(), "--url", f"http://127.0.0.1:{server.port}/hooks")

    def _endpoint(self) -> str:
        return str(self.terminal.ask("notifications", "endpoints", SHOP)[0]["id"])

    def _pending(self) -> int:
        return sum(int(one["pending"]) for one in self.terminal.ask("notifications", "endpoints", SHOP))


def _remember(name: str, pattern: str, said: str) -> None:
    found = re.search(pattern, said)
    assert found is not None, said
    os.environ[name] = found[0]
