"""The story the demo tells: one order, from the storefront's request to the money in the bank.

Every step is a public command or a call of the public API. Only what the outside world would do (the shopper, Stable
Mint's settlement advice, the bank's statement) is read at the simulator.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from checkout.commands import demo_shopper
from checkout.commands.demo_stage import DemoFailed, Stage
from checkout.commands.place import url_of

AMOUNT: Final = "9.00"
CURRENCY: Final = "EUR"
#: The one payment we know an advice for without asking: what the brief of this demo says Stable Mint delivers.
KNOWN_ADVICE: Final = ("9.71", "USDC", "polygon")
ADVICE_PATIENCE_LOOKS: Final = 40
NEWS_PATIENCE_LOOKS: Final = 100
LOOK_S: Final = 0.1
ENDED: Final = frozenset({"failed", "expired", "cancelled"})
STUCK: Final = frozenset({"failed", "expired", "cancelled", "on_hold", "needs_decision", "returned"})

#: The business customer that the simulated Stables has approved, and its bank account.
ACCOUNT: Final[dict[str, object]] = {
    "name": "Main account",
    "stables_customer_id": "6f1d2c3b-4a59-4e68-8b7c-9d0e1f2a3b4c",
    "source": {"currency": "USDC", "network": "polygon"},
    "destination": {"currency": "EUR", "country": "DE", "network": "bank"},
    "bank": {
        "type": "bank", "account_holder_name": "Demo Merchant GmbH", "iban": "DE89370400440532013000",
        "bic_code": "COBADEFFXXX", "bank_name": "Demo Bank", "bank_country": "DE", "currency": "EUR",
    },
    "purpose_code": "MERCHANT_SETTLEMENT",
}  # fmt: skip


@dataclass(slots=True)
class Timeline:
    """What happened, with its real time; each line is said as it is noted."""

    say: Callable[[str], None]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    lines: list[dict[str, Any]] = field(default_factory=list)

    def note(self, step: str, text: str, at: str | None = None) -> None:
        moment = datetime.now(UTC) if at is None else datetime.fromisoformat(at)
        after = max((moment - self.began).total_seconds(), 0.0)
        self.lines.append({"at": moment.isoformat(), "after_s": round(after, 2), "step": step, "text": text})
        self.say(f"{moment:%H:%M:%S}  {after:6.1f} s  {text}")


class Story:
    """One merchant's installation on a stage, and what happens there."""

    def __init__(self, stage: Stage, timeline: Timeline) -> None:
        self._stage = stage
        self._note = timeline.note
        self._http = httpx.Client(timeout=10.0, trust_env=False)
        self.store = ""
        self.shop_url = url_of(stage.setting.shop)
        self.service_url = url_of(stage.setting.service)
        self._key = ""

    def close(self) -> None:
        self._http.close()

    def wait(self, seconds: float) -> None:
        """Wait a little; DemoFailed when a process of the stage has ended."""
        self._stage.pause(seconds)

    def open_shop(self) -> None:
        """Installation, simulator, service, store and payout account."""
        stage, setting = self._stage, self._stage.setting
        stage.run("init")
        self._note("init", "settings, keys and database are made")
        places = {"--stable-mint": setting.stable_mint, "--stables": setting.stables, "--shop": setting.shop}
        words = [
            word for name, place in places.items() if place is not None for word in (name, f"{place[0]}:{place[1]}")
        ]
        stage.start("simulator", *words)
        stage.start("serve", "--bind", f"{setting.service[0]}:{setting.service[1]}")
        self.store = stage.ready("simulator")["store"]
        stage.ready("serve")
        self._note("serve", f"the service answers at {self.service_url}, the demo shop at {self.shop_url}")
        (stage.path / "account.json").write_text(json.dumps(self._account()), encoding="utf-8")
        key, account = stage.run_together(
            ["stores", "key", self.store], ["accounts", "add", self.store, "--file", "account.json"]
        )
        self._key = key["api_key"]
        self._note("account", f"payouts go to {account['name']} ({account['bank']})")

    def _account(self) -> dict[str, object]:
        """The payout account; with another Stables than ours, for a customer that it has approved."""
        if self._stage.setting.stables is not None:
            return ACCOUNT
        known = self._stage.run("accounts", "customers")
        approved = [one["id"] for one in known if one["payouts"]]
        if not approved:
            raise DemoFailed("this Stables has no customer that is approved for payouts")
        ours = ACCOUNT["stables_customer_id"]
        return {**ACCOUNT, "stables_customer_id": ours if ours in approved else approved[0]}

    # --- the order -----------------------------------------------------------------------------------------------

    def order(self) -> str:
        """The storefront asks for a payment through the API, and its shopper pays; the payment's id."""
        order = f"DEMO-{uuid.uuid4().hex[:8].upper()}"
        body = {"flow": "hosted", "amount": AMOUNT, "currency": CURRENCY, "country": "DE", "order": order}
        payment = self._api("POST", "/v1/payments", json=body, headers={"Idempotency-Key": order})
        self._note("payment.asked", f"the shop asks for {CURRENCY} {AMOUNT}, order {order}: payment {payment['id']}")
        # the page as this machine reaches it: a public URL elsewhere leads here only from outside
        page = payment["checkout_url"].replace(
            self._stage.setting.variables["CHECKOUT_PUBLIC_URL"].rstrip("/"), self.service_url
        )
        try:
            demo_shopper.pay(page, lambda: self._stage.pause(LOOK_S))
            self._note("shopper.paid", "the shopper follows the payment page, pays at the bank and comes back")
        except demo_shopper.NoForm:
            self._note("shopper.waits", f"a shopper has to pay here: {payment['checkout_url']}")
        except httpx.HTTPError as problem:
            raise DemoFailed(f"the shopper could not pay: {problem}") from None
        return str(payment["id"])

    def settled(self, payment_id: str) -> dict[str, Any]:
        """Follow a payment until it is settled."""
        status = ""
        while status != "settled":
            payment = self.payment(payment_id)
            if payment["status"] != status:
                status = payment["status"]
                self._note(f"payment.{status}", f"the payment is {status}")
            if status in ENDED:
                raise DemoFailed(f"the payment ended as {status}")
            self._stage.pause(LOOK_S)
        return payment

    def payment(self, payment_id: str) -> dict[str, Any]:
        return self._api("GET", f"/v1/payments/{payment_id}")

    def payments(self) -> list[dict[str, Any]]:
        """The store's newest payments."""
        page = self._api("GET", "/v1/payments?limit=100")
        return list(page["data"])

    def shop_heard(self, payment_id: str) -> dict[str, Any]:
        """The payment with its deposits, once the storefront has taken the notification of it; or when it is slow to."""
        for _ in range(NEWS_PATIENCE_LOOKS):
            shown: dict[str, Any] = self._stage.run("payments", "show", payment_id)
            delivered = [one["type"] for one in shown["notifications"] if one["state"] == "delivered"]
            if "payment.settled" in delivered:
                self._note("shop.notified", f"the shop has taken our signed {' and '.join(delivered)}")
                return shown
            self._stage.pause(LOOK_S)
        self._note("shop.silent", "the shop has not taken our notification yet; it is sent again")
        return shown

    # --- the money -----------------------------------------------------------------------------------------------

    def record(self, payment: Mapping[str, Any]) -> dict[str, Any]:
        """Enter Stable Mint's settlement advice for a payment, as shown with its deposits; the settlement record."""
        deposit = next(one for one in payment["deposits"] if one["counted"])
        amount, asset, network = self._advice(deposit["reference"], payment)
        paid = f"{payment['currency']} {payment['amount']}"
        self._note("advice", f"Stable Mint delivered {amount} {asset} for {paid}")
        evidence = f"settlement advice for {deposit['reference']}: {amount} {asset} for {paid}"
        record: dict[str, Any] = self._stage.run(
            "treasury", "record", "--store", self.store, "--asset", asset, "--network", network, "--amount", amount,
            "--deposit", deposit["id"], "--evidence", evidence,
        )  # fmt: skip
        self._note("treasury", f"{record['free']} {asset} on {network} are in the treasury ({record['id']})")
        return record

    def _advice(self, reference: str, payment: Mapping[str, Any]) -> tuple[str, str, str]:
        """What was delivered for a deposit: entered from the simulator's advice, never worked out here."""
        for _ in range(ADVICE_PATIENCE_LOOKS):
            for one in self._outside(self._stage.setting.stable_mint_url, "settlements") or []:
                if one.get("reference") == reference:
                    told = one["delivered"]
                    return str(told["amount"]), str(told["asset"]), str(told["network"])
            if self._stage.setting.stable_mint is None:
                break
            self._stage.pause(LOOK_S)
        if (payment["currency"], payment["amount"]) != (CURRENCY, AMOUNT):
            raise DemoFailed("no settlement advice: enter what was delivered with `checkout treasury record`")
        self._note("advice.missing", "this Stable Mint gives no advice; the demo enters its own figure")
        return KNOWN_ADVICE

    def pay_out(self) -> dict[str, Any]:
        """Propose, approve, reveal, fund, and follow it into the bank; the payout as it ended."""
        run = self._stage.run
        proposed = run("payouts", "propose", self.store)
        ident = proposed["id"]
        shown = self._follow(ident, "quoted", 0, "")
        mandate = run("payouts", "approve", ident)
        least = f": at least {mandate['currency']} {mandate['min_credit']} must arrive"
        shown = self._follow(ident, "awaiting_funding", len(shown["moves"]), least)
        instructions = run("payouts", "reveal", ident)
        what = f"{instructions['amount']} {instructions['asset']} on {instructions['network']}"
        self._note("payout.revealed", f"demo has the deposit address revealed: send exactly {what}, once")
        self._note("payout.sent", "demo asks the sandbox to act as if the funds had come")
        run("payouts", "simulate-deposit", ident)
        shown = self._follow(ident, "completed", len(shown["moves"]), "")
        credit = shown["credit"]
        said = f"the bank has {credit['currency']} {credit['amount']} ({credit['is']}){self._statement(shown)}"
        self._note("bank", said, shown["moves"][-1]["at"])
        return shown

    def _follow(self, ident: str, wanted: str, told: int, approved: str) -> dict[str, Any]:
        """Tell each of a payout's moves after the first ``told`` until it has reached ``wanted``; the payout."""
        while True:
            shown: dict[str, Any] = self._stage.run("payouts", "show", ident)
            quote = shown["quote"]
            more = {
                "quoted": "" if quote is None else f": {quote['currency']} {quote['credit']}, rate {quote['rate']}",
                "approved": approved,
            }
            for one in shown["moves"][told:]:
                by = "" if one["who"] == "checkout" else f" by {one['who']}"
                text = f"the payout is {one['to'].replace('_', ' ')}{by}{more.get(one['to'], '')}"
                self._note(f"payout.{one['to']}", text, one["at"])
            told = len(shown["moves"])
            if wanted in [one["to"] for one in shown["moves"]]:
                return shown
            if shown["state"] in STUCK:
                raise DemoFailed(f"the payout is {shown['state']}: {shown['note']}")
            self._stage.pause(LOOK_S)

    def _statement(self, shown: Mapping[str, Any]) -> str:
        """What the simulated bank's own statement says of the credit."""
        for one in self._outside(self._stage.setting.stables_url, "bank") or []:
            if one.get("transfer_id") == shown["transfer"]["id"]:
                return f"; its statement says {one.get('currency')} {one.get('amount')}"
        return ""

    def proof(self, payment_id: str, payout_id: str) -> dict[str, Any]:
        """The ledger's balance; DemoFailed when the trace does not lead from the payment to the payout."""
        line, balance = self._stage.run_together(["trace", payment_id], ["report", "balance"])
        if payout_id not in [one["id"] for one in line["payouts"]]:
            raise DemoFailed("the trace does not lead from the payment to the payout")
        verdict = "and the ledger balances" if balance["balanced"] else "but THE LEDGER DOES NOT BALANCE"
        self._note("proof", f"the trace leads from the order to the bank, {verdict}")
        return dict(balance)

    # --- speaking ------------------------------------------------------------------------------------------------

    def _api(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._key}", **more.pop("headers", {})}
        try:
            answer = self._http.request(method, self.service_url + path, headers=headers, **more)
            content = answer.json()
        except (httpx.HTTPError, ValueError) as problem:
            raise DemoFailed(f"{method} {path.partition('?')[0]} got no usable answer: {problem}") from None
        if not answer.is_success or not isinstance(content, dict):
            raise DemoFailed(f"{method} {path.partition('?')[0]} was answered {answer.status_code}: {content}")
        return content

    def _outside(self, base: str, what: str) -> list[dict[str, Any]] | None:
        """A list from the simulator's control plane; None from a provider that has none."""
        try:
            answer = self._http.get(f"{base}/_control/{what}")
            content = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError):
            return None
        return content if isinstance(content, list) else None
