"""The simulated session calls: what they answer, what they refuse, what a replay gets."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.edges.simulated_partner import (
    EMBEDDED,
    HOSTED,
    PARTNER,
    hosted,
    key_pair,
    person,
    world,
)


def test_a_hosted_session_answers_url_expiry_and_reference() -> None:
    with world() as w:
        answer = w.open(customFields={"order": "1042"}, paymentMethod="OpenBanking")
        assert set(answer) == {"url", "expiresAt", "reference"}
        assert answer["url"].startswith(w.servers.stable_mint_url + "/sessions/")
        assert answer["url"].endswith("?requireAuth=true")
        assert isinstance(answer["expiresAt"], int)
        assert w.http.get(answer["url"]).status_code == 200


def test_a_partner_managed_session_has_its_own_page_and_reference_form() -> None:
    with world() as w:
        kyc = {"fullName": "Ada Example", "dateOfBirth": "1990-02-28", "citizenshipCountryCode": "DE"}
        answer = w.open(PARTNER, userKyc=kyc)
        assert "/partner-sessions/" in answer["url"]
        assert answer["reference"].startswith("ref_partner_session_")
        assert w.http.get(answer["url"]).status_code == 200


@pytest.mark.parametrize(
    ("extras", "names"),
    [("both", {"reference", "expiresAt"}), ("reference", {"reference"}), ("none", set[str]())],
)
def test_an_embedded_session_answers_what_the_widget_binds(extras: str, names: set[str]) -> None:
    with world(embedded_extras=extras) as w:
        body = person(successUrl=None, supportUrl=None, exitUrl=None, errorUrl=None, amount=None)
        answer = w.call(EMBEDDED, body).json()
        bound = {
            "sessionId",
            "currency",
            "country",
            "amount",
            "allowedPaymentMethods",
            "savedBanks",
            "paymentMethod",
        }
        assert set(answer) == bound | names
        assert isinstance(answer["allowedPaymentMethods"], list)


def test_a_session_lives_thirty_minutes_on_the_fast_clock_but_not_less_than_the_floor() -> None:
    with world(speed=1, session_floor_s=10) as w:
        assert w.open()["expiresAt"] == pytest.approx(time.time() + 1800, abs=3)
    with world(speed=1000, session_floor_s=60) as w:
        assert w.open()["expiresAt"] == pytest.approx(time.time() + 60, abs=3)


def test_a_unit_mistake_in_the_expiry_can_be_switched_on() -> None:
    with world(expires_at="milliseconds") as w:
        assert w.open()["expiresAt"] > 1e12


def test_only_these_bytes_by_this_partner_at_this_time_are_accepted() -> None:
    with world() as w:
        body, now = hosted(), int(time.time())
        assert w.call(HOSTED, body).status_code == 200
        wrong = [
            w.call(HOSTED, body, key=key_pair("webhooks")[0]),
            w.call(HOSTED, body, secret="other"),
            w.call(HOSTED, body, ApiKey="other"),
            w.call(HOSTED, body, at=now - 310),
            w.call(HOSTED, body, at=now + 310),
            w.call(HOSTED, body, at=now * 1000),
            w.call(HOSTED, body, Timestamp="0x10"),
            w.call(HOSTED, body, Timestamp=str(now - 1)),
            w.call(HOSTED, body, Signature="not base64"),
            w.call(HOSTED, body, Signature=""),
        ]
        assert [answer.status_code for answer in wrong] == [401] * len(wrong)
        assert w.call(HOSTED, body, at=now - 295).status_code == 200


def test_the_timestamp_tolerance_is_a_switch() -> None:
    with world(timestamp_tolerance_s=5) as w:
        assert w.call(HOSTED, hosted(), at=int(time.time()) - 20).status_code == 401


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "9"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 0.09}, "amount"),
        ({"amount": 10.01}, "amount"),
        ({"amount": 1.005}, "amount"),
        ({"amount": None}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "XXX"}, "amount"),
        ({"userCountryCode": "Germany"}, "userCountryCode"),
        ({"exitUrl": None}, "exitUrl"),
        ({"errorUrl": "/error"}, "errorUrl"),
        ({"successUrl": "javascript:alert(1)"}, "successUrl"),
        ({"customFields": []}, "customFields"),
        ({"websiteReference": 7}, "websiteReference"),
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"paymentMethod": "bank_transfer"}, "paymentMethod"),
        ({"userId": "1"}, "userId"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with world() as w:
        answer = w.call(HOSTED, hosted(**changes))
        assert answer.status_code == 400
        assert field in answer.json()["errors"]
        assert w.look("sessions") == []


@pytest.mark.parametrize(
    ("path", "changes", "field"),
    [
        (PARTNER, {"userId": None}, "userId"),
        (PARTNER, {"userEmail": "nobody"}, "userEmail"),
        (PARTNER, {"paymentMethod": "OpenBanking"}, "paymentMethod"),
        (PARTNER, {"blockchainDestinationAddress": "0x1"}, "blockchainDestinationAddress"),
        (PARTNER, {"userKyc": {"dateOfBirth": "1990-02-30"}}, "userKyc.dateOfBirth"),
        (PARTNER, {"userKyc": {"shoeSize": "44"}}, "userKyc.shoeSize"),
        (EMBEDDED, {}, "successUrl"),
    ],
)
def test_each_call_takes_only_its_documented_fields(path: str, changes: dict[str, Any], field: str) -> None:
    with world() as w:
        answer = w.call(path, person(**changes))
        assert answer.status_code == 400
        assert field in answer.json()["errors"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"amount":1,"amount":2}', b'{"amount":NaN}', b'{"a":"\\ud800"}', b"\xff{}"],
)
def test_a_signed_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with world() as w:
        assert w.call(HOSTED, body).status_code == 400


def test_a_replay_gets_the_same_session() -> None:
    with world() as w:
        body = hosted(idempotencyKey="k")
        assert w.call(HOSTED, body).json() == w.call(HOSTED, body).json()
        assert len(w.look("sessions")) == 1


def test_a_replay_with_other_content_is_refused() -> None:
    with world() as w:
        w.open(idempotencyKey="k")
        assert w.call(HOSTED, hosted(idempotencyKey="k", amount=8)).status_code == 409


@pytest.mark.parametrize(("position", "status"), [("error", 409), ("no_url", 200)])
def test_a_replay_can_be_an_error_or_an_answer_without_url(position: str, status: int) -> None:
    with world(session_replay=position) as w:
        first = w.open(idempotencyKey="k")
        again = w.call(HOSTED, hosted(idempotencyKey="k"))
        assert again.status_code == status
        assert "url" not in again.json()
        assert status == 409 or again.json()["reference"] == first["reference"]


def test_a_flow_the_account_has_not_got_is_refused() -> None:
    with world(flows=["hosted"]) as w:
        assert w.call(PARTNER, person()).status_code == 403
        assert w.call(HOSTED, hosted()).status_code == 200


@pytest.mark.parametrize(
    ("outcome", "status", "sessions"),
    [
        ("declined", 400, 0),
        ("rate_limited", 429, 0),
        ("error_500_before_work", 500, 0),
        ("error_500_after_work", 500, 1),
    ],
)
def test_a_failing_call_has_or_has_not_opened_its_session(outcome: str, status: int, sessions: int) -> None:
    with world(session_outcome=outcome, session_outcome_times=1) as w:
        answer = w.call(HOSTED, hosted(idempotencyKey="k"))
        assert answer.status_code == status
        assert ("Retry-After" in answer.headers) == (status == 429)
        assert len(w.look("sessions")) == sessions
        assert w.open(idempotencyKey="k")["url"]
        assert len(w.look("sessions")) == 1


def test_a_session_can_answer_with_a_page_elsewhere_or_none_or_nonsense() -> None:
    with world(session_outcome="foreign_url") as w:
        assert urlsplit(w.open()["url"]).hostname == "checkout.stablemint.net.pay-here.example"
        w.switch(session_outcome="no_url")
        assert "url" not in w.open()
        w.switch(session_outcome="unparseable")
        spoilt = w.call(HOSTED, hosted())
        assert spoilt.status_code == 200
        with pytest.raises(ValueError, match="Unterminated"):
            spoilt.json()


def test_a_hanging_call_has_done_its_work_and_answers_late() -> None:
    with world(session_outcome="hang", hang_s=0.2) as w:
        began = time.monotonic()
        assert w.open()["url"]
        assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(("form", "kind"), [("json", "application/json"), ("html", "text/html"), ("empty", "")])
def test_the_form_of_an_error_is_a_switch(form: str, kind: str) -> None:
    with world(error_body=form) as w:
        answer = w.call(HOSTED, hosted(amount=11))
        assert answer.status_code == 400
        assert kind in answer.headers.get("Content-Type", "")
        assert bool(answer.content) == (form != "empty")


def test_traffic_is_recorded_without_secrets() -> None:
    with world() as w:
        w.open(customFields={"order": "1042"})
        w.call(HOSTED, hosted(amount=99))
        first, second = w.look("requests?path=^/session/hosted$&method=post")
        assert (first["status"], second["status"]) == (200, 400)
        assert '"order":"1042"' in first["body"]
        assert "reference" in first["answer"]
        assert first["headers"]["ApiKey"] == first["headers"]["Signature"] == "[withheld]"
        assert "partner-key" not in str(w.look("requests"))
        assert len(w.look(f"requests?after={first['number']}")) == 1
