"""The simulated webhooks: what each says, how it is signed, when it comes, and every way it can go wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from tests.edges.simulated_partner import EMBEDDED, PARTNER, PREFIX, Hook, World, eventually, person, world

V2_PAID = ["created", "initiated", "submitted", "accepted", "completed"]
V1_PAID = ["created", "submitted", "reconciled", "accepted"]


def paid(w: World, count: int, path: str = "/session/hosted", **session: Any) -> list[Hook]:
    w.pay(w.open(path, **session)["reference"])
    return w.service.wait(count)


def test_a_payment_is_told_in_envelopes_signed_over_timestamp_and_raw_body() -> None:
    with world() as w:
        hooks = paid(w, 5, customFields={"order": "Überraschung"}, idempotencyKey="i", websiteReference="s")
        assert [hook.name for hook in hooks] == V2_PAID
        for hook in hooks:
            hook.verify()
            assert set(hook.document) == {"eventId", "data"}
            assert hook.fields["customFields"] == {"order": "Überraschung"}
            assert (hook.fields["idempotencyKey"], hook.fields["websiteReference"]) == ("i", "s")
            assert hook.headers["Content-Type"] == "application/json"
        assert "Überraschung".encode() in hooks[0].body
        assert len({hook.document["eventId"] for hook in hooks}) == 5
        times = [hook.fields["timestamp"] for hook in hooks]
        assert times == sorted(times)


def test_v2_created_has_exactly_the_documented_fields() -> None:
    with world() as w:
        created = paid(w, 5, PARTNER, userKyc={"fullName": "Ada Example"})[0].fields
        assert set(created) == {
            "eventType", "timestamp", "amount", "currency", "customFields", "customerCitizenshipCountryCode",
            "customerEmail", "customerId", "customerFullName", "customerResidenceAddress", "endToEndId",
            "idempotencyKey", "partnerName", "paymentCountryCode", "paymentMethod", "reference", "sessionId",
            "websiteReference",
        }  # fmt: skip
        assert created["customerId"] == "shopper-1"
        assert created["customerFullName"] == "Ada Example"
        assert created["customerResidenceAddress"] is None
        assert created["paymentMethod"] == "bank_transfer"
        assert (created["amount"], created["currency"]) == (9, "EUR")


def test_v1_is_flat_without_id_or_timestamp_and_created_says_where_the_funds_go() -> None:
    with world(webhook_version="v1") as w:
        session = w.open(blockchainDestinationAddress="0xabc")
        w.pay(session["reference"])
        hooks = w.service.wait(4)
        assert [hook.name for hook in hooks] == V1_PAID
        assert set(hooks[0].document) == {
            "notificationType", "partnerId", "customerId", "reference", "amount", "currency", "sessionId",
            "endToEndId", "paymentCountry", "paymentMethod", "partnerName", "customerEmail",
            "customerFullName", "customerCitizenshipCountryCode", "customerResidenceAddress",
            "idempotencyKey", "websiteReference", "customFields", "blockchainDestinationType",
            "blockchainDestinationAddress",
        }  # fmt: skip
        assert hooks[0].document["partnerId"] == "partner-7"
        assert hooks[0].document["blockchainDestinationType"] == "Partner"
        assert hooks[0].document["blockchainDestinationAddress"] == "0xabc"
        assert "externalPaymentId" in hooks[1].document
        for hook in hooks:
            hook.verify()
            assert not {"eventId", "timestamp"} & set(hook.document)
            assert hook.document["reference"] == session["reference"]


def test_the_destination_can_be_somebody_elses() -> None:
    with world(webhook_version="v1", destination_type="Customer", destination_address="0xfff") as w:
        created = paid(w, 4)[0].document
        assert created["blockchainDestinationType"] == "Customer"
        assert created["blockchainDestinationAddress"] == "0xfff"


def test_mixed_tells_each_event_in_one_generation_or_the_other_and_repeatably() -> None:
    def told(seed: int) -> list[tuple[str, str]]:
        with world(webhook_version="mixed", seed=seed) as w:
            for _ in range(4):
                w.pay(w.open()["reference"])
            eventually(lambda: w.servers.scheduler.idle(1))
            return sorted((hook.version, hook.name) for hook in w.service.hooks)

    first = told(1)
    assert {version for version, _ in first} == {"v1", "v2"}
    assert told(1) == first
    assert told(2) != first


def test_a_refusal_by_the_bank_is_told_as_failed() -> None:
    for version, expected in (
        ("v2", ["created", "initiated", "submitted", "failed"]),
        ("v1", ["created", "submitted", "failed"]),
    ):
        with world(webhook_version=version) as w:
            w.pay(w.open()["reference"], outcome="failed")
            w.service.wait(len(expected))
            assert w.service.names() == expected
            assert w.look("settlements") == []


def test_leaving_is_told_to_nobody() -> None:
    with world() as w:
        w.pay(w.open()["reference"], outcome="left")
        assert w.servers.scheduler.idle(60)
        assert w.look("sessions")[0]["outcome"] == "left"


@pytest.mark.parametrize(("position", "arrives"), [("none", "9"), ("less", "4.50"), ("more", "10"), ("8.99", "8.99")])
def test_another_amount_can_arrive(position: str, arrives: str) -> None:
    with world(wrong_amount=position) as w:
        hooks = paid(w, 5)
        stated = [Decimal(str(hook.fields["amount"])) for hook in hooks]
        assert stated == [Decimal(9)] * 3 + [Decimal(arrives)] * 2
        assert Decimal(w.look("settlements")[0]["amount"]) == Decimal(arrives)


def test_another_currency_can_arrive_and_a_single_payment_can_say_so_too() -> None:
    with world(currency="USD") as w:
        reference = w.open()["reference"]
        w.pay(reference)
        w.pay(reference, amount="3.10", currency="GBP", version="v1")
        hooks = w.service.wait(9)
        seen = {(hook.fields["amount"], hook.fields["currency"]) for hook in hooks}
        assert seen == {(9, "EUR"), (9, "USD"), (3.1, "GBP")}


@pytest.mark.parametrize(("form", "text"), [("plain", "9.5"), ("fixed", "9.50"), ("exponent", "9.5e+0")])
def test_an_amount_is_one_number_in_three_spellings(form: str, text: str) -> None:
    with world(amount_form=form) as w:
        assert f'"amount":{text},'.encode() in paid(w, 5, amount=9.5)[-1].body


def test_a_deposit_may_have_another_reference_and_later_deposits_always_have() -> None:
    with world(deposit_reference="new") as w:
        reference = w.open()["reference"]
        first = w.pay(reference)["deposit"]
        assert first != reference
        assert w.service.wait(5)[0].fields["reference"] == first
    with world() as w:
        reference = w.open()["reference"]
        assert w.pay(reference, outcome="failed")["deposit"] == reference
        assert w.pay(reference)["deposit"] != reference


@pytest.mark.parametrize(
    ("position", "absent"),
    [
        ("everything", set[str]()),
        ("reference", {"sessionId", "idempotencyKey", "websiteReference"}),
        ("session", {"reference", "idempotencyKey", "websiteReference"}),
        ("identifiers", {"reference", "sessionId"}),
    ],
)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_later_events_may_carry_fewer_ways_to_correlate(version: str, position: str, absent: set[str]) -> None:
    with world(later_events=position, webhook_version=version) as w:
        created, *later = paid(w, 4, idempotencyKey="i", websiteReference="s")
        ways = {"reference", "sessionId", "idempotencyKey", "websiteReference"}
        assert ways <= set(created.fields)
        for hook in later:
            assert ways - set(hook.fields) == absent


def test_the_session_id_is_the_urls_uuid_unless_switched() -> None:
    with world() as w:
        url = w.open()["url"]
        w.pay(w.look("sessions")[0]["reference"])
        assert w.service.wait(1)[0].fields["sessionId"] in url
        w.switch(session_id="other")
        w.pay(w.look("sessions")[0]["reference"])
        assert w.service.wait(6)[-1].fields["sessionId"] not in url


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("seconds", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("milliseconds", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
        ("seven_digits", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z"),
        ("no_zone", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}"),
        ("offset", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"),
    ],
)
def test_the_timestamp_is_the_present_time_in_one_of_iso_8601s_forms(form: str, pattern: str) -> None:
    with world(webhook_timestamp=form) as w:
        hook = paid(w, 5)[0]
        hook.verify()
        text = hook.headers["StableMint-Timestamp"]
        assert re.fullmatch(pattern, text)
        told = datetime.fromisoformat(text)
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - told).total_seconds()) < 5


def test_what_is_not_answered_with_2xx_is_tried_again_five_times_and_then_failed() -> None:
    with world(speed=60_000) as w:
        w.service.statuses = [500, 404, 301, 503, 500, 500]
        w.control("events", reference=w.open()["reference"], type="partner.customer.deposit.created")
        w.service.wait(6)
        eventually(lambda: w.look("deliveries")[0]["state"] == "failed")
        (delivery,) = w.look("deliveries")
        assert [one["status"] for one in delivery["attempts"]] == [500, 404, 301, 503, 500, 500]
        times = [datetime.fromisoformat(one["at"]).timestamp() for one in delivery["attempts"]]
        waits = [later - earlier for earlier, later in pairwise(times)]
        # 5, 10, 30, 60, 90 minutes at 60,000 times the speed are 5, 10, 30, 60, 90 milliseconds.
        assert [round(wait, 3) >= nominal for wait, nominal in zip(waits, (0.005, 0.01, 0.03, 0.06, 0.09), strict=True)]
        assert sum(waits) < 2
        assert len({hook.body for hook in w.service.hooks}) == 1


@pytest.mark.parametrize(("position", "different"), [("new", 2), ("old", 1)])
def test_a_retry_has_a_new_timestamp_or_the_first_one(position: str, different: int) -> None:
    with world(speed=60_000, retry_timestamp=position, webhook_timestamp="seven_digits") as w:
        w.service.statuses = [500]
        w.control("events", reference=w.open()["reference"], type="partner.customer.deposit.created")
        hooks = w.service.wait(2)
        for hook in hooks:
            hook.verify()
        assert len({hook.headers["StableMint-Timestamp"] for hook in hooks}) == different


def test_a_service_that_is_away_is_tried_again() -> None:
    with world(speed=60_000) as w:
        w.servers.stable_mint.news._url = "http://127.0.0.1:1/webhooks/stable-mint"
        w.control("events", reference=w.open()["reference"], type="partner.customer.deposit.created")
        eventually(lambda: w.look("deliveries")[0]["state"] == "failed")
        assert w.look("deliveries")[0]["attempts"][0] | {"at": 0} == {
            "at": 0,
            "status": None,
            "error": "ConnectError",
        }


def test_lost_events_are_never_sent_but_the_money_comes() -> None:
    with world(webhook_loss=["accepted", "partner.customer.deposit.completed"]) as w:
        w.pay(w.open()["reference"])
        eventually(lambda: w.servers.scheduler.idle(60))
        assert w.service.names() == ["created", "initiated", "submitted"]
        assert w.look("state")["delivery_counts"]["lost"] == 2
        assert len(w.look("settlements")) == 1
    with world(webhook_loss_nth=2) as w:
        w.pay(w.open()["reference"])
        eventually(lambda: w.servers.scheduler.idle(60))
        assert w.service.names() == ["created", "submitted", "completed"]


def test_every_event_can_be_sent_several_times() -> None:
    with world(webhook_duplicates=3) as w:
        hooks = paid(w, 15)
        assert len({hook.body for hook in hooks}) == 5
        assert sorted(w.service.names()) == sorted(V2_PAID * 3)


def test_events_can_come_backwards_or_shuffled() -> None:
    with world(webhook_order="reversed") as w:
        assert [hook.name for hook in paid(w, 5)] == V2_PAID[::-1]
    orders = set()
    for seed in (1, 1, 2, 3):
        with world(webhook_order="shuffled", seed=seed) as w:
            orders.add((seed, *[hook.name for hook in paid(w, 5)]))
    assert len(orders) == 3
    assert all(sorted(order[1:]) == sorted(V2_PAID) for order in orders)


def test_events_can_come_late() -> None:
    with world(speed=1000, webhook_delay_s=300) as w:
        began = datetime.now(UTC)
        paid(w, 1)
        assert (datetime.now(UTC) - began).total_seconds() >= 0.3


def test_held_events_go_in_the_order_given() -> None:
    with world(hold_webhooks=True) as w:
        w.pay(w.open()["reference"])
        held = [one["id"] for one in w.look("webhooks/held")]
        assert len(held) == 5
        assert w.service.hooks == []
        assert w.http.post("/_control/webhooks/release", json={"order": [999]}).status_code == 400
        assert w.control("webhooks/release", order=[held[4], held[0]])["released"] == [held[4], held[0]]
        w.service.wait(2)
        assert w.control("webhooks/release", order="reversed")["released"] == held[3:0:-1]
        w.service.wait(5)
        assert w.service.names() == ["completed", "created", "accepted", "submitted", "initiated"]
        assert w.look("webhooks/held") == []


def test_any_event_can_be_made_up() -> None:
    with world() as w:
        session = w.open(idempotencyKey="i")
        reference = session["reference"]
        w.control(
            "events",
            reference=reference,
            type=PREFIX + "completed",
            fields={"amount": "12.345", "partnerName": "Somebody Else", "extra": [1]},
            without=["sessionId"],
            event_id="the-same",
        )
        w.control("events", reference=reference, type="transaction.status.changed", version="v1")
        w.control("events", reference=reference, type="x", raw="not json")
        w.control("events", reference=reference, type=PREFIX + "failed", signature="wrong")
        w.control("events", reference=reference, type=PREFIX + "failed", signature="missing")
        completed, changed, raw, forged, bare = w.service.wait(5)
        assert b'"amount":12.345' in completed.body
        assert completed.document["eventId"] == "the-same"
        assert completed.fields["partnerName"] == "Somebody Else"
        assert "sessionId" not in completed.fields
        assert changed.document["notificationType"] == "transaction.status.changed"
        assert raw.body == b"not json"
        raw.verify()
        with pytest.raises(InvalidSignature):
            forged.verify()
        assert "StableMint-Signature" not in bare.headers


def test_settlement_advice_says_what_was_delivered() -> None:
    with world() as w:
        for amount in (9, 0.1, 10, 3.33):
            w.pay(w.open(amount=amount)["reference"])
        eventually(lambda: len(w.look("settlements")) == 4)
        advice = w.look("settlements")
        assert [one["delivered"]["amount"] for one in advice] == ["9.71", "0.10", "10.78", "3.59"]
        assert advice[0]["delivered"] == {"asset": "USDC", "network": "polygon", "amount": "9.71"}
        assert (advice[0]["amount"], advice[0]["currency"]) == ("9", "EUR")
        w.switch(delivered_ratio="1")
        assert w.look("settlements")[0]["delivered"]["amount"] == "9.00"
        assert w.http.post("/_control/switches", json={"delivered_ratio": "0"}).status_code == 400


def test_nothing_is_settled_before_its_time() -> None:
    with world(speed=1) as w:
        w.pay(w.open()["reference"])
        assert w.look("settlements") == []


def test_an_embedded_session_without_amount_is_paid_by_naming_one() -> None:
    with world() as w:
        body = person(successUrl=None, supportUrl=None, exitUrl=None, errorUrl=None, amount=None)
        reference = w.call(EMBEDDED, body).json()["reference"]
        assert w.http.post(f"/_control/sessions/{reference}/pay", json={}).status_code == 400
        w.pay(reference, amount="4.20")
        assert w.service.wait(5)[0].fields["amount"] == 4.2


def test_driving_an_unknown_session_or_with_unknown_words_is_refused() -> None:
    with world() as w:
        reference = w.open()["reference"]
        assert w.http.post("/_control/sessions/none/pay", json={}).status_code == 404
        for wrong in ({"outcome": "lost"}, {"amount": 1.5}, {"amount": "NaN"}, {"currency": 1}, {"x": 1}):
            assert w.http.post(f"/_control/sessions/{reference}/pay", json=wrong).status_code == 400
        for event in ({}, {"type": "x", "fields": []}, {"type": "x", "signature": "good?"}, {"type": "x", "x": 1}):
            assert w.http.post("/_control/events", json={"reference": reference, **event}).status_code == 400
        assert w.look("sessions")[0]["deposits"] == []
