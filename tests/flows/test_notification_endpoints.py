"""Endpoints as a person keeps them: added, filtered, rotated, disabled, removed, tested; and messages sent again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.store import endpoints as rows
from checkout.store import moves
from checkout.store.tables import notification_secret
from checkout.telling.endpoints import ENDPOINTS_MAX
from checkout.telling.resending import PAGE
from tests.flows.notification_days import (
    Shops,
    another_store,
    endpoint,
    health,
    log_of,
    message_of,
    news,
    states,
    telling,
)
from tests.system import System

SHOP = "shop.example"


def first(system: System) -> dict[str, Any]:
    found: dict[str, Any] = system.services.endpoints.all(system.store.id)[0]
    return found


def acts(system: System, ident: str) -> list[str]:
    with system.database.read() as unit:
        return [one["action"] for one in moves.acts_on(unit, ident)]


# --- keeping endpoints -------------------------------------------------------------------------------------------


def test_setting_a_store_s_url_makes_its_first_endpoint_or_moves_it(sqlite_system: System) -> None:
    system = sqlite_system
    ident = first(system)["id"]
    second = endpoint(system, "second.example")
    secret = system.services.stores.set(system.store.id, {"notify_url": "https://moved.example/in"}, who="ann")
    assert secret is not None
    found = {one["id"]: one["url"] for one in system.services.endpoints.all("Shop")}
    assert found == {ident: "https://moved.example/in", second: "https://second.example/hooks"}


def test_naming_the_url_of_a_disabled_endpoint_enables_it(sqlite_system: System) -> None:
    system = sqlite_system
    ident = first(system)["id"]
    system.services.endpoints.disable(ident, reason="moving", who="ann")
    system.services.stores.set(system.store.id, {"notify_url": "https://shop.example/hooks"}, who="ann")
    assert (first(system)["state"], first(system)["disabled_because"]) == ("active", None)


@pytest.mark.parametrize(
    ("url", "events", "fields"),
    [
        ("http://shop.example/hooks", None, {"url"}),
        ("https://user:pass@shop.example/", None, {"url"}),
        ("https://shop.example/#part", ["payment.paid"], {"url", "event"}),
        ("https://shop.example/", [], {"event"}),
    ],
)
def test_a_bad_address_or_filter_is_refused_by_name(
    sqlite_system: System, url: str, events: list[str] | None, fields: set[str]
) -> None:
    verbs = sqlite_system.services.endpoints
    with pytest.raises(RequestRefused) as refused:
        verbs.add("Shop", url=url, events=events, who="ann")
    assert set(refused.value.fields) == fields
    with pytest.raises(RequestRefused):
        verbs.change(first(sqlite_system)["id"], url=url, events=events, who="ann")


def test_a_store_has_a_bounded_number_of_endpoints(sqlite_system: System) -> None:
    for number in range(ENDPOINTS_MAX - 1):
        endpoint(sqlite_system, f"shop{number}.example")
    with pytest.raises(NotPossible, match="at most"):
        endpoint(sqlite_system, "one-more.example")


def test_an_unknown_store_or_endpoint_is_not_found(sqlite_system: System) -> None:
    services = sqlite_system.services
    verbs, sending = services.endpoints, services.resending
    start = sqlite_system.clock.now - timedelta(days=1)
    for ask in (
        lambda: verbs.add("Nobody", url="https://a.example/", events=None, who="ann"),
        lambda: verbs.all("Nobody"),
        lambda: verbs.change("end_none", url="https://a.example/", who="ann"),
        lambda: verbs.rotate("end_none", who="ann"),
        lambda: verbs.disable("end_none", reason="x", who="ann"),
        lambda: verbs.enable("end_none", resend_missed=False, who="ann"),
        lambda: verbs.remove("end_none", who="ann"),
        lambda: services.notifications.test("end_none", who="ann"),
        lambda: sending.page(store_name="Nobody", endpoint_id=None, state=None, limit=1),
        lambda: sending.page(store_name=None, endpoint_id="end_none", state=None, limit=1),
        lambda: sending.show("msg_none"),
        lambda: sending.again("msg_none", endpoint_id=None, who="ann"),
        lambda: sending.again_between("end_none", start, None, missed_only=False, who="ann"),
    ):
        with pytest.raises(NotFound):
            ask()


def test_rotated_secrets_sign_together_for_as_long_as_was_said_and_a_leaked_one_no_more(sqlite_system: System) -> None:
    system, shops = sqlite_system, Shops()
    ident = first(system)["id"]
    verbs = system.services.endpoints
    with telling(system, shops) as ours:
        secrets = [verbs.rotate(ident, overlap=timedelta(hours=2), who="ann") for _ in range(2)]
        assert len(set(secrets)) == 2
        assert first(system)["secrets"] == 3
        news(ours, 1, about="both")
        ours.work()
        system.clock.advance(hours=2)
        news(ours, 1, about="later")
        ours.work()
        verbs.rotate(ident, overlap=timedelta(0), who="ann")
        news(ours, 1, about="leaked")
        ours.work()
    assert [one.signatures for one in shops.at(SHOP)] == [3, 1, 1]
    with pytest.raises(RequestRefused, match="overlap"):
        verbs.rotate(ident, overlap=timedelta(days=8), who="ann")


def test_however_often_they_are_rotated_only_so_many_sign(sqlite_system: System) -> None:
    ident = first(sqlite_system)["id"]
    for _ in range(rows.SECRETS_MAX + 3):
        sqlite_system.services.endpoints.rotate(ident, who="ann")
    assert first(sqlite_system)["secrets"] == rows.SECRETS_MAX


def test_each_endpoint_has_its_own_secrets(sqlite_system: System) -> None:
    verbs = sqlite_system.services.endpoints
    second = endpoint(sqlite_system, "second.example")
    verbs.rotate(second, who="ann")
    assert [one["secrets"] for one in verbs.all(None)] == [1, 2]


def test_a_filter_is_changed_and_taken_away(sqlite_system: System) -> None:
    verbs, ident = sqlite_system.services.endpoints, first(sqlite_system)["id"]
    verbs.change(ident, events=["refund.*", "payment.settled", "refund.*"], who="ann")
    assert first(sqlite_system)["events"] == ["refund.*", "payment.settled"]
    verbs.change(ident, every_event=True, who="ann")
    assert first(sqlite_system)["events"] is None
    assert acts(sqlite_system, ident) == ["endpoint added", "endpoint changed", "endpoint changed"]


def test_a_new_address_is_tried_at_once(system: System) -> None:
    shops = Shops({SHOP: httpx.ConnectError("down")})
    ident = first(system)["id"]
    with telling(system, shops) as ours:
        news(ours, 3)
        ours.work()
        assert health(system, ident).resting_until is not None
        ours.services.endpoints.change(ident, url="https://new.example/hooks", who="ann")
        ours.work()
        system.clock.advance(seconds=5)
        ours.work()
    assert len(shops.at("new.example")) == 3


def test_disabled_by_a_person_it_is_sent_nothing_until_enabled(system: System) -> None:
    shops = Shops()
    ident = first(system)["id"]
    verbs = system.services.endpoints
    with telling(system, shops) as ours:
        news(ours, 2, about="waiting")
        assert verbs.disable(ident, reason="we are moving", who="ann") == 2
        news(ours, 1, about="meanwhile")
        ours.work()
        assert (shops.arrivals, states(system, ident)) == ([], {"abandoned": 3})
        assert first(system)["disabled_because"] == "ann: we are moving"
        assert first(system)["missed"] == 3
        with pytest.raises(NotPossible, match="disabled already"):
            verbs.disable(ident, reason="again", who="ann")
        assert verbs.enable(ident, resend_missed=False, who="ann") == {"missed": 3, "resent": 0}
        with pytest.raises(NotPossible, match="is active"):
            verbs.enable(ident, resend_missed=False, who="ann")
        news(ours, 1, about="after")
        ours.work()
    assert states(system, ident) == {"abandoned": 3, "delivered": 1}
    with pytest.raises(RequestRefused, match="reason"):
        verbs.disable(ident, reason=" ", who="ann")
    assert system.cases(include_closed=True) == [], "a person knows what a person did"


def test_a_removed_endpoint_is_gone_with_its_secrets_and_its_log_stays(system: System) -> None:
    shops = Shops()
    ident = first(system)["id"]
    with telling(system, shops) as ours:
        (sent,) = news(ours, 1, about="sent")
        ours.work()
        news(ours, 1, about="waiting")
        ours.services.endpoints.remove(ident, who="ann")
        news(ours, 1, about="later")
        ours.work()
    assert len(shops.arrivals) == 1
    assert system.services.endpoints.all(system.store.id) == []
    assert states(system, ident) == {"delivered": 1, "abandoned": 1}
    assert [one["status"] for one in log_of(system, message_of(system, sent))] == [200]
    with system.database.read() as unit:
        assert unit.execute(select(notification_secret).where(notification_secret.c.endpoint_id == ident)).all() == []
    with pytest.raises(NotFound):
        system.services.endpoints.remove(ident, who="ann")


def test_a_disabled_endpoint_can_be_removed_and_its_case_is_closed(sqlite_system: System) -> None:
    system = sqlite_system
    with telling(system, Shops({SHOP: 410})) as ours:
        news(ours, 1)
        ours.work()
        assert system.cases() == ["endpoint_disabled"]
        ours.services.endpoints.remove(first(system)["id"], who="ann")
    assert system.cases() == []


# --- the test event ----------------------------------------------------------------------------------------------


def test_a_test_event_is_sent_at_once_and_shows_what_was_answered(system: System) -> None:
    shops = Shops({SHOP: lambda _request: httpx.Response(200, text="thanks")})
    ident = endpoint(system, "filtered.example", events=["refund.*"])
    with telling(system, shops) as ours:
        done = ours.services.notifications.test(first(system)["id"], who="ann")
        assert (done["delivered"], done["status"], done["response"]) == (True, 200, "thanks")
        assert [(one.type, one.sequence, one.id) for one in shops.at(SHOP)] == [("endpoint.test", 1, done["id"])]
        assert ours.services.notifications.test(ident, who="ann")["delivered"], "no filter holds it back"
        ours.work()
    assert len(shops.arrivals) == 2
    assert log_of(system, done["id"])[0]["response"] == "thanks"
    with pytest.raises(NotPossible, match="test event"):
        system.services.resending.again(done["id"], endpoint_id=None, who="ann")


def test_a_test_event_that_is_not_taken_is_not_repeated_and_blames_nobody(system: System) -> None:
    shops = Shops({SHOP: httpx.ConnectError("down")})
    ident = first(system)["id"]
    with telling(system, shops) as ours:
        done = ours.services.notifications.test(ident, who="ann")
        assert (done["delivered"], done["status"], done["problem"]) == (False, None, "could not connect")
        system.clock.advance(hours=1)
        ours.work()
    assert len(shops.arrivals) == 1
    assert health(system, ident).failures == 0
    assert states(system, ident) == {"abandoned": 1}


def test_a_test_event_that_is_taken_ends_the_rest_of_an_endpoint(system: System) -> None:
    shops = Shops({SHOP: httpx.ConnectError("down")})
    with telling(system, shops) as ours:
        news(ours, 4)
        ours.work()
        shops.answers[SHOP] = 200
        assert ours.services.notifications.test(first(system)["id"], who="ann")["delivered"]
        ours.work()
    assert states(system, first(system)["id"]) == {"delivered": 5}


def test_a_disabled_endpoint_can_be_tested_before_it_is_enabled(sqlite_system: System) -> None:
    system, shops = sqlite_system, Shops()
    ident = first(system)["id"]
    with telling(system, shops) as ours:
        ours.services.endpoints.disable(ident, reason="broken", who="ann")
        assert ours.services.notifications.test(ident, who="ann")["delivered"]
    assert first(system)["state"] == "disabled"


# --- sending again -----------------------------------------------------------------------------------------------


def test_one_message_is_sent_again_as_it_was(system: System) -> None:
    shops = Shops()
    other = endpoint(system, "other.example")
    with telling(system, shops) as ours:
        (subject,) = news(ours, 1)
        ours.work()
        ident = message_of(system, subject)
        assert ours.services.resending.again(ident, endpoint_id=other, who="ann") == 1
        ours.work()
        assert ours.services.resending.again(ident, endpoint_id=None, who="ann") == 2
        ours.work()
    assert (shops.ids(SHOP), shops.ids("other.example")) == ([ident] * 2, [ident] * 3)
    assert {one.sequence for one in shops.arrivals} == {1}
    shown = system.services.resending.show(ident)
    assert [len(one["tries"]) for one in shown["deliveries"]] == [2, 3]
    assert shown["body"]["data"]["id"] == subject
    assert acts(system, ident) == ["notification resent"] * 2


def test_what_a_store_without_an_endpoint_missed_is_sent_to_its_first(system: System) -> None:
    shops = Shops()
    store = another_store(system, "Late")
    start = system.clock.now
    news(system, 3, store_id=store, about="early")
    news(system, 1, store_id=store, about="unwanted", kind="refund.sent")
    ident = endpoint(system, "late.example", store_id=store, events=["payment.*"])
    with telling(system, shops) as ours:
        assert ours.services.resending.again_between(ident, start, None, missed_only=False, who="ann") == 3
        ours.work()
        with pytest.raises(NotPossible, match="no active endpoint that wants it"):
            ours.services.resending.again(message_of(system, "unwanted_00000"), endpoint_id=None, who="ann")
    assert {one.type for one in shops.at("late.example")} == {"payment.settled"}
    assert len(shops.at("late.example")) == 3
    assert "notifications resent" in acts(system, ident)


def test_a_range_is_sent_again_from_its_beginning_to_before_its_end(sqlite_system: System) -> None:
    system, shops = sqlite_system, Shops()
    ident = first(system)["id"]
    with telling(system, shops) as ours:
        news(ours, 2, about="before")
        start = system.clock.now
        inside = news(ours, PAGE + 5, about="inside")
        end = system.clock.now
        news(ours, 2, about="after")
        ours.work()
        ours.services.notifications.test(ident, who="ann")
        heard = len(shops.arrivals)
        assert ours.services.resending.again_between(ident, start, end, missed_only=False, who="ann") == PAGE + 5
        ours.work()
        again = shops.ids(SHOP)[heard:]
        assert sorted(again) == sorted(message_of(system, one) for one in inside)
        assert ours.services.resending.again_between(ident, start, end, missed_only=True, who="ann") == 0


def test_nothing_is_sent_again_to_a_disabled_endpoint_or_for_an_empty_time(sqlite_system: System) -> None:
    system = sqlite_system
    ident, sending = first(system)["id"], system.services.resending
    now = system.clock.now
    for start, end in ((now, now), (now, now - timedelta(days=1)), (now + timedelta(days=1), None)):
        with pytest.raises(RequestRefused, match="from"):
            sending.again_between(ident, start, end, missed_only=False, who="ann")
    (subject,) = news(system, 1)
    system.services.endpoints.disable(ident, reason="x", who="ann")
    with pytest.raises(NotPossible, match="checkout notifications enable"):
        sending.again_between(ident, now, None, missed_only=True, who="ann")
    with pytest.raises(NotPossible, match="checkout notifications enable"):
        sending.again(message_of(system, subject), endpoint_id=ident, who="ann")


def test_another_store_s_endpoint_is_none_of_a_message_s(sqlite_system: System) -> None:
    system = sqlite_system
    (subject,) = news(system, 1)
    foreign = endpoint(system, "foreign.example", store_id=another_store(system, "Other"))
    with pytest.raises(NotFound):
        system.services.resending.again(message_of(system, subject), endpoint_id=foreign, who="ann")


def test_a_message_that_is_being_sent_is_not_made_due_again(sqlite_system: System) -> None:
    system = sqlite_system

    def ask(request: httpx.Request) -> httpx.Response:
        with pytest.raises(NotPossible, match="being sent at this moment"):
            system.services.resending.again(request.headers["webhook-id"], endpoint_id=None, who="ann")
        return httpx.Response(200)

    shops = Shops({SHOP: ask})
    with telling(system, shops) as ours:
        news(ours, 1)
        ours.work()
    assert len(shops.arrivals) == 1
    assert states(system, first(system)["id"]) == {"delivered": 1}


# --- looking at it -----------------------------------------------------------------------------------------------


def test_messages_are_listed_by_store_endpoint_and_state(system: System) -> None:
    shops = Shops({"bad.example": 500})
    bad = endpoint(system, "bad.example", events=["refund.*"])
    store = another_store(system, "Quiet")
    with telling(system, shops) as ours:
        news(ours, 2, about="good")
        news(ours, 1, about="bad", kind="refund.sent")
        news(ours, 1, about="quiet", store_id=store)
        ours.work()

    def listed(**asked: Any) -> list[tuple[str, str]]:
        given = {"store_name": None, "endpoint_id": None, "state": None, "limit": 50, **asked}
        return [(one["subject"], one["state"]) for one in system.services.resending.page(**given)]

    newest_first = [
        ("quiet_00000", "unaddressed"), ("bad_00000", "pending"), ("good_00001", "delivered"), ("good_00000", "delivered"),
    ]  # fmt: skip
    assert listed() == newest_first
    assert listed(store_name="Shop") == newest_first[1:]
    assert listed(state="pending") == newest_first[1:2]
    assert listed(endpoint_id=bad) == newest_first[1:2]
    assert listed(endpoint_id=bad, state="delivered") == []
    assert listed(limit=2) == newest_first[:2]


def test_the_list_of_endpoints_says_what_waits_and_since_when(sqlite_system: System) -> None:
    system = sqlite_system
    with telling(system, Shops({SHOP: httpx.ConnectError("down")})) as ours:
        news(ours, 3)
        ours.work()
        system.clock.advance(seconds=2)
    shown = first(system)
    assert (shown["pending"], shown["missed"], shown["oldest_pending_s"], shown["state"]) == (3, 0, 2, "active")
    assert shown["failing_since"] is not None
    assert shown["next_try_at"] > system.clock.now
    assert "whsec_" not in json.dumps(shown, default=str)
