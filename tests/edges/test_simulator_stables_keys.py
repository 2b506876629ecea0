"""Keys, lists and faults of the simulated Stables: what a retry gets, and what reading finds."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.edges.test_simulator_stables_kit import (
    CUSTOMER,
    Port,
    fresh,
    quote_body,
    simulated,
    transfer_body,
    wrong_fields,
)

STATUSES = [
    "CREATED",
    "UNKNOWN",
    "COMPLIANCE_HOLD",
    "AWAITING_FUNDS_COLLECTION",
    "FUNDS_COLLECTED",
    "IN_PROGRESS",
    "PAYMENT_SUBMITTED",
    "PAYMENT_PROCESSED",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "EXPIRED",
]


@pytest.fixture(scope="module")
def running() -> Iterator[Port]:
    with simulated() as port:
        yield port


@pytest.fixture
def port(running: Port) -> Port:
    return fresh(running)


def a_key() -> str:
    return str(uuid.uuid4())


# Keys


def test_the_same_key_and_body_get_the_same_answer_and_do_the_work_once(port: Port) -> None:
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    first, second = port.post("transfer", body, key=key), port.post("transfer", body, key=key.upper())
    assert first.content == second.content
    assert first.headers["x-correlation-id"] != second.headers["x-correlation-id"]
    assert len(port.control("transfers")) == 1
    entry = next(one for one in port.control("idempotency") if one["key"] == key)
    assert (entry["status"], entry["replays"]) == (200, 1)


def test_another_key_is_another_request(port: Port) -> None:
    assert port.quote()["quote_id"] != port.quote()["quote_id"]


def test_a_key_used_for_another_request_is_refused_or_replayed_as_the_switch_says(port: Port) -> None:
    key = a_key()
    first = port.post("quotes", quote_body(), key=key)
    assert port.post("quotes", quote_body(amount="99"), key=key).status_code == 422
    port.switch(key_reuse="replay")
    assert port.post("quotes", quote_body(amount="99"), key=key).content == first.content


@pytest.mark.parametrize("key", ["", "1", "12bd9e7c-02fe-1ea9-84e2-52264aaf8790", "not-a-uuid"])
def test_a_key_that_is_no_version_4_uuid_is_refused(port: Port, key: str) -> None:
    answer = port.http.post("/api/v1/quotes", json=quote_body(), headers={"Idempotency-Key": key})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "customer"),
        ("POST", "customer/verification/link"),
        ("POST", "quotes"),
        ("POST", "transfer"),
        ("POST", "webhooks"),
        ("DELETE", f"webhooks/{CUSTOMER}"),
    ],
)
def test_every_documented_write_needs_a_key(port: Port, method: str, path: str) -> None:
    answer = port.http.request(method, f"/api/v1/{path}", json={})
    assert answer.status_code == 400
    assert "idempotency-key" in answer.json()["message"]


def test_a_refusal_is_replayed_as_well(port: Port) -> None:
    body, key = transfer_body(str(uuid.uuid4())), a_key()
    assert port.post("transfer", body, key=key).status_code == 404
    assert port.post("transfer", body, key=key).status_code == 404
    assert port.control("idempotency")[0]["replays"] == 1


def test_a_500_after_the_work_is_replayed_although_the_transfer_exists(port: Port) -> None:
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    port.fault("^/api/v1/transfer$", "error_500_after_work")
    assert [port.post("transfer", body, key=key).status_code for _ in range(3)] == [500, 500, 500]
    assert len(port.control("transfers")) == 1
    assert port.post("transfer", body).status_code == 422  # a new key finds the quote used


def test_a_500_before_the_work_is_replayed_although_nothing_exists(port: Port) -> None:
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    port.fault("^/api/v1/transfer$", "error_500_before_work")
    assert [port.post("transfer", body, key=key).status_code for _ in range(2)] == [500, 500]
    assert port.control("transfers") == []
    assert port.post("transfer", body).status_code == 200


def test_a_500_is_forgotten_where_the_switch_says(port: Port) -> None:
    port.switch(keeps_500=False)
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    port.fault("^/api/v1/transfer$", "error_500_before_work")
    assert [port.post("transfer", body, key=key).status_code for _ in range(2)] == [500, 200]


def test_the_same_key_many_times_at_once_does_the_work_once(port: Port) -> None:
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    port.fault("^/api/v1/transfer$", "hang_after_work", value=0.05)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: port.post("transfer", body, key=key), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(port.control("transfers")) == 1


def test_a_second_request_while_the_first_is_at_work_is_409_where_the_switch_says(port: Port) -> None:
    port.switch(key_in_flight="conflict")
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: port.post("transfer", body, key=key).status_code, range(8)))
    assert set(answers) <= {200, 409}
    assert len(port.control("transfers")) == 1


def test_two_keys_racing_for_one_quote_make_one_transfer(port: Port) -> None:
    body = transfer_body(port.quote()["quote_id"])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: port.post("transfer", body).status_code, range(8)))
    assert sorted(answers) == [200] + [422] * 7


def test_the_fast_clock_forgets_a_key_after_its_24_hours_and_the_request_is_executed_again() -> None:
    with simulated(speed=86_400 / 1.5) as port:
        key = a_key()
        first = port.post("quotes", quote_body(), key=key)
        assert port.post("quotes", quote_body(), key=key).content == first.content
        port.until(lambda: port.post("quotes", quote_body(), key=key).content != first.content)
        entries = [one for one in port.control("idempotency") if one["key"] == key]
        assert [one["forgotten"] for one in entries] == [True, False]
        assert len(port.control("quotes")) == 2


def test_a_day_may_go_by_for_every_key_at_once(port: Port) -> None:
    key, body = a_key(), quote_body()
    first = port.post("quotes", body, key=key)
    assert port.post("quotes", body, key=key).content == first.content
    assert port.http.post("/_control/idempotency/lapse").json() == {"forgotten": 1}
    again = port.post("quotes", body, key=key)
    assert again.content != first.content
    assert port.post("quotes", body, key=key).content == again.content
    assert [one["forgotten"] for one in port.control("idempotency")] == [True, False]


# Faults


def test_a_rate_limit_says_when_to_come_back_and_takes_no_key(port: Port) -> None:
    key = a_key()
    port.fault("/quotes", "429_with_retry_after", value=7)
    limited = port.post("quotes", quote_body(), key=key)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert limited.json()["statusCode"] == 429
    assert port.post("quotes", quote_body(), key=key).status_code == 200


@pytest.mark.parametrize(("kind", "made"), [("drop_connection_before_work", 0), ("drop_connection_after_work", 1)])
def test_a_dropped_connection_leaves_the_work_undone_or_done(port: Port, kind: str, made: int) -> None:
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    port.fault("^/api/v1/transfer$", kind)
    with pytest.raises(httpx.RemoteProtocolError):
        port.post("transfer", body, key=key)
    assert len(port.control("transfers")) == made
    assert port.post("transfer", body, key=key).status_code == 200
    assert len(port.control("transfers")) == 1


@pytest.mark.parametrize(("kind", "made"), [("error_503_before_work", 0), ("error_503_after_work", 1)])
def test_a_gateways_error_page_is_never_stored(port: Port, kind: str, made: int) -> None:
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    port.fault("^/api/v1/transfer$", kind)
    page = port.post("transfer", body, key=key)
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (503, "text/html")
    assert len(port.control("transfers")) == made
    assert port.post("transfer", body, key=key).status_code == 200


def test_garbage_and_incomplete_answers_hide_a_transfer_that_exists(port: Port) -> None:
    port.fault("^/api/v1/transfer$", "garbage_after_work")
    port.fault("^/api/v1/transfer$", "incomplete_after_work")
    answers = [port.post("transfer", transfer_body(port.quote()["quote_id"])) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].text.startswith("<!doctype html>")
    assert answers[1].json() == {}
    assert answers[2].json()["id"]
    assert len(port.control("transfers")) == 3


@pytest.mark.parametrize("kind", ["hang_before_work", "hang_after_work"])
def test_a_hang_outlasts_a_clients_patience(port: Port, kind: str) -> None:
    port.fault("/quotes", kind, value=0.5)
    headers = {"Idempotency-Key": a_key()}
    with pytest.raises(httpx.ReadTimeout):
        port.http.post("/api/v1/quotes", json=quote_body(), headers=headers, timeout=0.1)
    port.until(lambda: len(port.control("quotes")) == 1)


def test_a_fault_strikes_its_path_method_and_number_of_times(port: Port) -> None:
    port.fault("/customers", "error_500_after_work", method="GET", times=2)
    assert [port.get("customers").status_code for _ in range(3)] == [500, 500, 200]
    port.fault("/customers", "error_500_after_work", times=0)
    assert [port.get("customers").status_code for _ in range(4)] == [500] * 4
    assert port.http.delete("/_control/faults").json() == []
    assert port.get("customers").status_code == 200


def test_a_fault_or_switch_that_does_not_exist_is_refused_by_name(port: Port) -> None:
    wrong = port.http.post("/_control/faults", json={"fault": "explode", "times": -1, "colour": 1})
    assert set(wrong.json()["refused"]) == {"fault", "times", "colour"}
    wrong = port.http.post("/_control/switches", json={"quote_life_s": "long", "colour": 1})
    assert set(wrong.json()["refused"]) == {"quote_life_s", "colour"}


def test_the_kill_switch_cuts_a_connection_at_the_moment_asked(port: Port) -> None:
    body, key = transfer_body(port.quote()["quote_id"]), a_key()
    port.control("kill", path="^/api/v1/transfer$", method="POST", moment="before_answer", act="cut")
    with pytest.raises(httpx.RemoteProtocolError):
        port.post("transfer", body, key=key)
    assert len(port.control("transfers")) == 1
    assert port.post("transfer", body, key=key).status_code == 200


# Lists


def listed(port: Port, status: str, **query: str | int) -> list[dict[str, Any]]:
    """Every page of one status."""
    found: list[dict[str, Any]] = []
    token = ""
    for _ in range(50):
        more = {"page_token": token} if token else {}
        answer = port.get("transfers", status=status, type="TRANSFER_TYPE_OFFRAMP", **query, **more)
        assert answer.status_code == 200, answer.text
        found += answer.json()["transfers"]
        token = answer.json()["page"]["next_page_token"]
        if not token:
            return found
    raise AssertionError("the list has no end")


def test_a_list_needs_status_and_type(port: Port) -> None:
    port.switch(error_shape="code_fields")
    assert wrong_fields(port.get("transfers")) == {"status", "type"}
    wrong = port.get("transfers", status="completed", type="OFFRAMP", customer_id="x", page_size=101)
    assert wrong_fields(wrong) == {"status", "type", "customer_id", "page_size"}
    for status in STATUSES:
        assert listed(port, status) == []


def test_pages_hold_every_transfer_once_even_while_new_ones_are_made(port: Port) -> None:
    port.switch(await_s=3600.0)
    idents = [port.transfer()["id"] for _ in range(7)]
    first = port.get("transfers", status="CREATED", type="TRANSFER_TYPE_OFFRAMP", page_size=3).json()
    assert [one["id"] for one in first["transfers"]] == idents[:3:-1]
    assert first["page"]["total"] == 7
    port.transfer()
    token = first["page"]["next_page_token"]
    rest = listed(port, "CREATED", page_size=3)
    second = port.get("transfers", status="CREATED", type="TRANSFER_TYPE_OFFRAMP", page_size=3, page_token=token).json()
    assert [one["id"] for one in second["transfers"]] == idents[3:0:-1]
    assert len({one["id"] for one in rest}) == 8
    wrong = port.get("transfers", status="CREATED", type="TRANSFER_TYPE_OFFRAMP", page_token="x")
    assert wrong.status_code == 400


def test_a_list_shows_one_customers_transfers_of_one_status_and_offramps_only(port: Port) -> None:
    ident = port.transfer()["id"]
    port.status(ident)
    assert [one["id"] for one in listed(port, "AWAITING_FUNDS_COLLECTION", customer_id=CUSTOMER)] == [ident]
    assert listed(port, "AWAITING_FUNDS_COLLECTION", customer_id=str(uuid.uuid4())) == []
    assert listed(port, "CREATED") == []
    onramps = port.get("transfers", status="AWAITING_FUNDS_COLLECTION", type="TRANSFER_TYPE_ONRAMP")
    assert onramps.json()["transfers"] == []


def test_a_new_transfer_is_missing_from_lists_and_by_id_for_as_long_as_asked(port: Port) -> None:
    port.switch(list_lag_s=0.3, id_lag_s=0.3)
    ident = port.transfer()["id"]
    assert listed(port, "AWAITING_FUNDS_COLLECTION") == []
    assert port.get(f"transfers/{ident}").status_code == 404
    port.until(lambda: len(listed(port, "AWAITING_FUNDS_COLLECTION")) == 1)
    port.until(lambda: port.get(f"transfers/{ident}").status_code == 200)


def test_in_list_only_mode_nothing_outside_the_published_operations_answers(port: Port) -> None:
    port.switch(list_only=True)
    ident = port.transfer()["id"]
    extras = [
        port.get(f"transfers/{ident}"),
        port.deposit(ident),
        port.http.post("/api/v1/payment-methods/validate", json={}),
        port.get(f"webhooks/{uuid.uuid4()}/deliveries"),
    ]
    assert [answer.status_code for answer in extras] == [404] * 4
    assert extras[0].json()["message"].startswith("Route GET:/api/v1/transfers/")
    assert port.quote({**quote_body(), "preview": True})["status"] == "active"
    assert [one["id"] for one in listed(port, "AWAITING_FUNDS_COLLECTION")] == [ident]
    port.control("deposits", transfer=ident)
    assert [one["id"] for one in listed(port, "COMPLETED")] == [ident]


def test_states_move_on_the_clock_whether_or_not_anybody_looks() -> None:
    steps: dict[str, Any] = {
        "await_s": 20.0,
        "collect_s": 20.0,
        "submit_s": 20.0,
        "process_s": 20.0,
        "complete_s": 20.0,
    }
    with simulated(speed=400, quote_life_s=3600.0, funding_window_s=36_000.0, **steps) as port:
        ident = port.transfer()["id"]
        port.until(lambda: port.status(ident) == "awaiting_funds_collection")
        port.deposit(ident)
        port.service.wait(6)
        moves = port.kept(ident)["moves"]
        assert [one["status"] for one in moves][-1] == "completed"
        assert all(earlier["at"] < later["at"] for earlier, later in itertools.pairwise(moves))


def test_many_transfers_at_once_are_each_funded_once(port: Port) -> None:
    idents: list[str] = []
    lock = threading.Lock()

    def one(_: int) -> None:
        ident = port.transfer()["id"]
        assert port.status(ident) == "awaiting_funds_collection"
        assert port.deposit(ident).status_code == 202
        with lock:
            idents.append(ident)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    kept = port.control("transfers")
    assert {one["id"] for one in kept} == set(idents)
    assert {(one["deposits"]["count"], one["deposits"]["sum"], one["status"]) for one in kept} == {
        (1, "100", "completed")
    }
