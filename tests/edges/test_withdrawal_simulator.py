"""The simulated Stable Mint's withdrawals: checked like its sessions, counted, and as forgetful of keys as nobody denies."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from checkout.simulator.options import Options
from checkout.simulator.server import Servers
from tests.system import key_pair, private_pem, public_pem

PATH = "/withdrawal/partner-managed-customer"
GOOD = {
    "userId": "shopper-1", "userEmail": "ada@shop.example", "userCountryCode": "DE", "userIp": "203.0.113.7",
    "remittanceInformation": "Refund", "amount": 4.5, "currency": "EUR", "withdrawalReason": "Refund",
    "creditorAccount": "DE89370400440532013000", "creditorCountryCode": "DE", "creditorName": "Ada Lovelace",
    "idempotencyKey": "k-1", "websiteReference": "w-1", "customFields": {"refund": "ref_1"},
}  # fmt: skip


class Mint:
    """A running simulator and a partner that signs as the documentation says."""

    def __init__(self, servers: Servers) -> None:
        self.base = servers.stable_mint_url
        self.http = httpx.Client(base_url=self.base, trust_env=False, timeout=10)

    def ask(self, path: str = PATH, *, signed_with: str = "secret", **changes: Any) -> httpx.Response:
        document = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
        body = json.dumps(document, separators=(",", ":")).encode()
        stamp = str(int(time.time()))
        signed = stamp.encode() + b"," + signed_with.encode() + b"," + body
        signature = base64.b64encode(key_pair("partner").sign(signed, padding.PKCS1v15(), SHA256())).decode()
        headers = {"ApiKey": "key", "Timestamp": stamp, "Signature": signature, "Content-Type": "application/json"}
        return self.http.post(path, content=body, headers=headers)

    def switch(self, **positions: Any) -> None:
        self.http.post("/_control/switches", json=positions).raise_for_status()

    def made(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/_control/withdrawals").json()
        return found

    def told(self, reference: str, count: int) -> list[dict[str, Any]]:
        """The bodies of a withdrawal's deliveries, once there are so many."""
        end = time.monotonic() + 5
        while True:
            found = [one for one in self.http.get("/_control/deliveries").json() if one["subject"] == reference]
            if len(found) >= count:
                return [json.loads(one["body"]) for one in found]
            assert time.monotonic() < end, found
            time.sleep(0.02)


@pytest.fixture
def mint() -> Iterator[Mint]:
    options = Options(
        stable_mint=("127.0.0.1", 0), speed=1000.0, service_url="http://127.0.0.1:9", stable_mint_api_key="key",
        stable_mint_api_secret="secret", partner_public_key_pem=public_pem("partner"),
        webhook_private_key_pem=private_pem("mint"), partner_id="partner-1", partner_name="Demo",
    )  # fmt: skip
    with Servers(options) as servers:
        made = Mint(servers)
        yield made
        made.http.close()


def words(bodies: list[dict[str, Any]]) -> list[str]:
    names = [one["data"]["eventType"] if "data" in one else one["notificationType"] for one in bodies]
    return [name.removeprefix("partner.customer.withdrawal.") for name in names]


def test_a_good_request_is_carried_out_told_and_counted(mint: Mint) -> None:
    answer = mint.ask()
    assert (answer.status_code, set(answer.json())) == (200, {"reference"})
    (made,) = mint.made()
    assert (made["reference"], made["amount"], made["reason"]) == (answer.json()["reference"], "4.5", "Refund")
    assert "Ada" not in json.dumps(made)
    bodies = mint.told(made["reference"], 3)
    assert words(bodies) == ["requested", "accepted", "sent"]
    assert {one["data"]["websiteReference"] for one in bodies} == {"w-1"}
    assert mint.http.get("/_control/state").json()["withdrawals"] == mint.made()
    mint.http.post("/_control/reset").raise_for_status()
    assert mint.made() == []


@pytest.mark.parametrize(("position", "count", "status"), [("again", 2, 200), ("same", 1, 200), ("error", 1, 409)])
def test_whether_a_key_is_remembered_is_a_switch(mint: Mint, position: str, count: int, status: int) -> None:
    mint.switch(withdrawal_replay=position)
    first, second = mint.ask(), mint.ask()
    assert (first.status_code, second.status_code, len(mint.made())) == (200, status, count)
    assert (first.json() == second.json()) == (position == "same")
    assert mint.ask(idempotencyKey="k-2").status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({name: ...}, name)
        for name in GOOD
        if name not in ("idempotencyKey", "websiteReference", "customFields")
    ]
    + [
        ({"amount": 0.05}, "amount"), ({"amount": 10.5}, "amount"), ({"amount": "4"}, "amount"), ({"amount": 4.555}, "amount"),
        ({"withdrawalReason": "Gift"}, "withdrawalReason"), ({"userIp": "here"}, "userIp"),
        ({"creditorAccount": "DE89 3704"}, "creditorAccount"), ({"surprise": 1}, "surprise"),
        ({"userEmail": "ada"}, "userEmail"), ({"creditorCountryCode": "Germany"}, "creditorCountryCode"),
    ],
    ids=str,
)  # fmt: skip
def test_every_field_is_checked(mint: Mint, change: dict[str, Any], field: str) -> None:
    answer = mint.ask(**change)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert mint.made() == []


def test_the_caller_is_checked_like_a_sessions(mint: Mint) -> None:
    assert mint.ask(signed_with="wrong").status_code == 401
    assert mint.made() == []


@pytest.mark.parametrize(
    ("fault", "status", "count"),
    [("declined", 400, 0), ("rate_limited", 429, 0), ("error_500_before_work", 500, 0), ("error_500_after_work", 500, 1),
     ("no_reference", 200, 1), ("unparseable", 200, 1)],
)  # fmt: skip
def test_a_fault_strikes_before_or_after_the_work(mint: Mint, fault: str, status: int, count: int) -> None:
    mint.switch(withdrawal_outcome=fault, withdrawal_outcome_times=1)
    assert (mint.ask().status_code, len(mint.made())) == (status, count)
    assert mint.ask(idempotencyKey="k-2").json()["reference"]


def test_a_hanging_call_has_done_its_work(mint: Mint) -> None:
    mint.switch(withdrawal_outcome="hang", hang_s=0.2)
    began = time.monotonic()
    assert mint.ask().status_code == 200
    assert time.monotonic() - began >= 0.2
    assert len(mint.made()) == 1


@pytest.mark.parametrize(
    ("end", "told"),
    [("sent", ["requested", "accepted", "sent"]), ("failed", ["requested", "failed"]),
     ("failed_after_accepted", ["requested", "accepted", "failed"]),
     ("failed_after_sent", ["requested", "accepted", "sent", "failed"]), ("silent", [])],
)  # fmt: skip
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_how_it_goes_on_is_a_switch_in_both_generations(mint: Mint, end: str, told: list[str], version: str) -> None:
    mint.switch(withdrawal_end=end, webhook_version=version)
    reference = mint.ask().json()["reference"]
    bodies = mint.told(reference, len(told))
    assert words(bodies) == told
    assert all(("data" in one) == (version == "v2") for one in bodies)


@pytest.mark.parametrize(
    ("position", "absent"),
    [("everything", set()), ("reference", {"idempotencyKey", "websiteReference"}), ("identifiers", {"reference"})],
)  # fmt: skip
def test_which_names_events_carry_is_a_switch(mint: Mint, position: str, absent: set[str]) -> None:
    mint.switch(withdrawal_events=position)
    (first, *_) = mint.told(mint.ask().json()["reference"], 1)
    assert {"reference", "idempotencyKey", "websiteReference"} - set(first["data"]) == absent


@pytest.mark.parametrize(
    ("order", "right"),
    [("reversed", lambda told: told == ["sent", "accepted", "requested"]), ("shuffled", lambda told: len(set(told)) == 3)],
)  # fmt: skip
def test_the_order_is_a_switch(mint: Mint, order: str, right: Callable[[list[str]], bool]) -> None:
    mint.switch(webhook_order=order, webhook_version="mixed")
    assert right(words(mint.told(mint.ask().json()["reference"], 3)))


def test_an_event_can_be_sent_at_will(mint: Mint) -> None:
    mint.switch(withdrawal_end="silent")
    reference = mint.ask().json()["reference"]
    url = f"/_control/withdrawals/{reference}/events"
    sent = mint.http.post(url, json={"word": "failed", "version": "v1", "fields": {"reason": "closed"}})
    assert sent.status_code == 201
    (body,) = mint.told(reference, 1)
    assert (body["notificationType"], body["reason"]) == ("partner.customer.withdrawal.failed", "closed")
    assert mint.http.post(url, json={"version": "v3"}).status_code == 400
    assert mint.http.post("/_control/withdrawals/none/events", json={"word": "sent"}).status_code == 404


def test_the_hosted_call_answers_with_a_page(mint: Mint) -> None:
    asked: dict[str, Any] = {
        name: ... for name in GOOD if name not in ("amount", "currency", "withdrawalReason", "idempotencyKey")
    }
    answer = mint.ask("/withdrawal/hosted", **{**asked, "userUniqueId": "cust-1"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["url"].startswith(f"{mint.base}/withdrawals/")
    assert mint.made()[0]["call"] == "withdrawal_hosted"
    assert mint.ask("/withdrawal/hosted").status_code == 400
