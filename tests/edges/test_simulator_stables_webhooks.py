"""Webhooks of the simulated Stables: both signatures, thin events, and every way a delivery goes wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from checkout.errors import SettingsRefused
from checkout.simulator.options import Options
from checkout.simulator.server import Servers
from tests.edges.test_simulator_stables_kit import (
    API_KEY,
    HMAC_SECRET,
    SVIX_SECRET,
    Hook,
    Port,
    fresh,
    simulated,
)

PATH = [
    ("transfer.created", "CREATED"),
    ("transfer.updated.status_transitioned", "AWAITING_FUNDS_COLLECTION"),
    ("transfer.updated.status_transitioned", "FUNDS_COLLECTED"),
    ("transfer.updated.status_transitioned", "PAYMENT_SUBMITTED"),
    ("transfer.updated.status_transitioned", "PAYMENT_PROCESSED"),
    ("transfer.updated.status_transitioned", "COMPLETED"),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Port]:
    with simulated() as port:
        yield port


@pytest.fixture
def port(running: Port) -> Port:
    return fresh(running)


def verify_svix(hook: Hook) -> None:
    """By the library, with the headers renamed."""
    renamed = {name.replace("svix-", "webhook-"): value for name, value in hook.headers.items()}
    Webhook(SVIX_SECRET).verify(hook.body, renamed, json_parse=False)


def words(hooks: list[Hook]) -> list[tuple[str, str]]:
    return [(hook.event["event_type"], hook.event["event_object_status"]) for hook in hooks]


def paid(port: Port) -> str:
    """A transfer that has been funded and goes to its end."""
    ident = str(port.transfer()["id"])
    port.status(ident)
    assert port.deposit(ident).status_code == 202
    return ident


def test_every_move_of_a_transfer_is_told_in_order_and_signed_for_svix(port: Port) -> None:
    paid(port)
    hooks = port.service.wait(6)
    assert words(hooks) == PATH
    for hook in hooks:
        assert hook.headers[":path"] == "/webhooks/stables"
        verify_svix(hook)
    assert len({hook.headers["svix-id"] for hook in hooks}) == 6


def test_an_event_is_thin_and_in_the_snake_case_envelope(port: Port) -> None:
    ident = port.transfer()["id"]
    event = port.service.wait(1)[0].event
    assert set(event) == {
        "api_version",
        "event_id",
        "event_developer_id",
        "event_category",
        "event_type",
        "event_object_id",
        "event_object_status",
        "event_object",
        "event_created_at",
    }
    assert (event["event_category"], event["event_object_id"]) == ("transfer", ident)
    assert set(event["event_object"]) == {
        "transfer_id",
        "customer_id",
        "type",
        "status",
        "created_at",
        "updated_at",
    }
    assert event["event_object"]["type"] == "TRANSFER_TYPE_OFFRAMP"
    assert event["event_object"]["status"] == "CREATED"


@pytest.mark.parametrize("prefix", ["", "PAYMENT_STATUS_", "TRANSFER_STATUS_"])
def test_the_status_in_the_envelope_may_carry_a_prefix(port: Port, prefix: str) -> None:
    port.switch(status_prefix=prefix)
    port.transfer()
    event = port.service.wait(1)[0].event
    assert event["event_object_status"] == prefix + "CREATED"
    assert event["event_object"]["status"] == "CREATED"


@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_the_hmac_scheme_signs_the_raw_body_in_every_encoding(encoding: str, prefix: str) -> None:
    with simulated(scheme="hmac", hmac_encoding=encoding, hmac_prefix=prefix) as port:
        port.transfer()
        hook = port.service.wait(1)[0]
    digest = hmac.new(HMAC_SECRET.encode(), hook.body, hashlib.sha256).digest()
    expected = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    assert hook.headers["x-webhook-signature"] == prefix + expected
    assert hook.headers["x-webhook-event-id"] == hook.event["event_id"]
    assert not any(name.startswith("svix") for name in hook.headers)


def test_transitions_can_be_left_out_as_in_the_sandbox(port: Port) -> None:
    port.switch(transition_webhooks=False)
    ident = paid(port)
    assert port.status(ident) == "completed"
    assert words(port.service.wait(1)) == PATH[:1]
    assert [one["event_type"] for one in port.control("deliveries")] == ["transfer.created"]


def test_webhooks_can_be_off(port: Port) -> None:
    port.switch(webhooks=False)
    paid(port)
    assert port.control("deliveries") == []


@pytest.mark.parametrize(
    ("positions", "lost"),
    [
        ({"webhook_loss": ["transfer.created"]}, [0]),
        ({"webhook_loss": ["created"]}, [0]),
        ({"webhook_loss_nth": 2}, [1, 3, 5]),
    ],
)
def test_lost_webhooks_never_arrive(port: Port, positions: Mapping[str, object], lost: list[int]) -> None:
    port.switch(**positions)
    paid(port)
    expected = [word for place, word in enumerate(PATH) if place not in lost]
    assert words(port.service.wait(len(expected))) == expected
    assert len(port.http.get("/_control/deliveries?state=lost").json()) == len(lost)


def test_doubled_webhooks_are_the_same_event_twice(port: Port) -> None:
    port.switch(webhook_duplicates=2)
    port.transfer()
    first, second = port.service.wait(2)[:2]
    assert first.body == second.body
    assert first.headers["svix-id"] == second.headers["svix-id"]


def test_delayed_webhooks_come_later(port: Port) -> None:
    port.switch(webhook_delay_s=0.2, transition_webhooks=False)
    port.transfer()
    assert port.service.hooks == []
    assert words(port.service.wait(1)) == PATH[:1]


def test_swapped_webhooks_come_in_pairs_the_wrong_way_round(port: Port) -> None:
    port.switch(webhook_order="swapped")
    paid(port)
    assert words(port.service.wait(6)) == [PATH[place] for place in (1, 0, 3, 2, 5, 4)]


def test_a_webhook_nothing_overtakes_goes_by_itself_in_the_end() -> None:
    with simulated(speed=600, quote_life_s=36_000.0, await_s=36_000.0, webhook_order="swapped") as port:
        port.transfer()
        assert words(port.service.wait(1)) == PATH[:1]


def test_held_webhooks_go_when_released_and_in_the_order_asked(port: Port) -> None:
    port.switch(hold_webhooks=True)
    port.status(paid(port))
    assert len(port.control("webhooks/held")) == 6
    assert port.service.hooks == []
    assert len(port.control("webhooks/release", order="reversed")["released"]) == 6
    assert words(port.service.wait(6)) == PATH[::-1]


def test_a_refused_webhook_is_tried_again_with_the_same_id_and_a_fresh_signature() -> None:
    with simulated(speed=50, quote_life_s=3600.0, transition_webhooks=False) as port:
        port.service.statuses.extend([503, 401])
        port.transfer()
        with port.service.arrived:
            assert port.service.arrived.wait_for(lambda: len(port.service.hooks) >= 2, 10)
        hooks = port.service.wait(2)
    assert hooks[0].body == hooks[1].body
    assert hooks[0].headers["svix-id"] == hooks[1].headers["svix-id"]
    for hook in hooks:
        verify_svix(hook)


def test_a_badly_signed_event_can_be_sent_on_purpose(port: Port) -> None:
    sent = {"event_type": "rfi.created", "event_object_id": "r-1", "event_object": {"rfi_id": "r-1"}}
    for signature in ("wrong", "missing", "old", "other_body", "other_scheme"):
        port.control("events", **sent, signature=signature)
    port.control("events", **sent)
    for hook in port.service.wait(6):
        if hook is port.service.hooks[5]:
            verify_svix(hook)
        else:
            with pytest.raises(WebhookVerificationError):
                verify_svix(hook)


def test_any_event_and_any_body_can_be_sent_well_signed(port: Port) -> None:
    event_id = port.control("events", event_type="travel_rule.wallet_verification_required", copies=2)["event_id"]
    port.control("events", event_type="unknown", raw='{"event_type": [}')
    hooks = port.service.wait(3)
    assert sorted(hook.body for hook in hooks[:2])[0] in (hooks[0].body, hooks[1].body)
    for hook in hooks:
        verify_svix(hook)
    bodies = [hook.body for hook in hooks]
    assert b'{"event_type": [}' in bodies
    assert sum(event_id.encode() in body for body in bodies) == 2
    wrong = port.http.post("/_control/events", json={"signature": "magic", "copies": 0, "colour": 1})
    assert set(wrong.json()["refused"]) == {"event_type", "signature", "copies", "colour"}


def test_subscriptions_get_events_only_where_the_switch_says(port: Port) -> None:
    made = port.post(
        "webhooks",
        {
            "name": "mine",
            "url": port.service.url + "/elsewhere",
            "eventTypes": ["transfer.created"],
            "secret": "s3cret",
        },
    ).json()["subscription"]
    port.switch(webhooks=False)
    port.transfer()
    assert port.control("deliveries") == []
    port.switch(subscriptions_deliver=True)
    port.transfer()
    hook = port.service.wait(1)[0]
    assert hook.headers[":path"] == "/elsewhere"
    digest = hmac.new(b"s3cret", hook.body, hashlib.sha256).hexdigest()
    assert hook.headers["x-webhook-signature"] == digest
    port.until(lambda: _deliveries(port, made["subscriptionId"]) == ["SUCCESS"])


def _deliveries(port: Port, ident: str) -> list[Any]:
    answer = port.get(f"webhooks/{ident}/deliveries")
    assert answer.status_code == 200
    return [one["status"] for one in answer.json()["deliveries"]]


@pytest.mark.parametrize(("scheme", "secret"), [("svix", "plain"), ("svix", "whsec_!"), ("other", "whsec_YQ==")])
def test_a_secret_that_does_not_fit_the_scheme_is_refused_at_start(scheme: str, secret: str) -> None:
    options = Options(
        stables=("127.0.0.1", 0),
        service_url="http://127.0.0.1:1",
        stables_api_key=API_KEY,
        stables_webhook_scheme=scheme,
        stables_webhook_secret=secret,
    )
    with pytest.raises(SettingsRefused) as refused:
        Servers(options).start()
    assert secret not in str(refused.value)
