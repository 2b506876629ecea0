"""Lists of the API on both databases: pages that stay where they were cut, and every condition alone and together."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from checkout.paying.customers import Person
from checkout.store.engine import Database
from checkout.store.pages import Page
from checkout.store.payments import Wanted, payments_on_page
from checkout.store.request_keys import Keyed, once, was_made
from tests.edges.api_fixtures import Api, fresh_key, named, problem
from tests.flows.test_schema import upgrade
from tests.system import START, System

STATUSES = ("open", "cancelled", "settled")


@pytest.fixture
def api(system: System) -> Api:
    return Api(system)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.get_json()["data"]]


def asked(api: Api, path: str, **conditions: Any) -> Any:
    query = {name: value for name, value in conditions.items() if value is not None}
    return api.client.get(path, query_string=query, headers=api.headers())


def pages(api: Api, path: str, **conditions: Any) -> Iterator[list[str]]:
    """Page after page to the end, as a shop reads them."""
    after = None
    while True:
        answer = asked(api, path, limit=2, starting_after=after, **conditions)
        yield ids(answer)
        if not answer.get_json()["has_more"]:
            return
        after = ids(answer)[-1]


def a_payment(api: Api, status: str = "open", *, odd: bool = False, **changes: Any) -> dict[str, Any]:
    """A payment of EUR 9.00 that stands like that; an odd one was paid too much."""
    api.system.clock.advance(seconds=1)
    made: dict[str, Any] = api.open(**changes).get_json()
    if status == "cancelled":
        api.post(f"/v1/payments/{made['id']}/cancel")
    elif status == "settled":
        session = api.system.sessions(made["id"])[0]
        api.system.hear(session, "completed", amount=10.0 if odd else 9.0)
    found: dict[str, Any] = api.get(f"/v1/payments/{made['id']}").get_json()
    return found


def test_a_page_stays_where_it_was_cut_whatever_is_made_meanwhile(api: Api) -> None:
    before = [a_payment(api)["id"] for _ in range(7)]
    read: list[str] = []
    for page in pages(api, "/v1/payments"):
        read += page
        a_payment(api)
    assert read == before[::-1]


def test_a_list_is_read_backwards_too_and_so_are_what_came_since(api: Api) -> None:
    made = [a_payment(api)["id"] for _ in range(6)][::-1]
    first = asked(api, "/v1/payments", limit=2, ending_before=made[4])
    assert (ids(first), first.get_json()["has_more"]) == (made[2:4], True)
    second = asked(api, "/v1/payments", limit=2, ending_before=made[2])
    assert (ids(second), second.get_json()["has_more"]) == (made[:2], False)
    assert ids(asked(api, "/v1/payments", ending_before=made[0])) == []
    new = a_payment(api)["id"]
    assert ids(asked(api, "/v1/payments", ending_before=made[0])) == [new]


def test_conditions_choose_alone_and_together_on_every_page(api: Api) -> None:
    """Against the same choice made over all payments, for every combination."""
    made = []
    wishes = list(itertools.product(STATUSES, (False, True), ("A-1", "B-2"), (None, "c-1")))
    random.Random(1).shuffle(wishes)  # noqa: S311 - so that no condition goes with a time
    for status, odd, order, customer in wishes:
        who = (
            {} if customer is None else {"flow": "hosted_partner", "customer": {"id": customer, "email": "a@b.example"}}
        )
        shown = a_payment(api, status, odd=odd, order=order, **who)
        made.append({**shown, "customer": customer})
    made.reverse()
    middle = made[len(made) // 2]["created_at"]
    choices: dict[str, tuple[str | None, ...]] = {
        "status": (None, "settled"), "anomaly": (None, "overpaid"), "order": (None, "B-2"), "customer": (None, "c-1"),
        "created_from": (None, middle), "created_to": (None, middle),
    }  # fmt: skip
    tests: dict[str, Callable[[dict[str, Any], str], bool]] = {
        "status": lambda one, wanted: one["status"] == wanted,
        "anomaly": lambda one, wanted: wanted in one["anomalies"],
        "order": lambda one, wanted: one["order"] == wanted,
        "customer": lambda one, wanted: one["customer"] == wanted,
        "created_from": lambda one, wanted: one["created_at"] >= wanted,
        "created_to": lambda one, wanted: one["created_at"] < wanted,
    }
    told_apart = 0
    for values in itertools.product(*choices.values()):
        given = {name: value for name, value in zip(choices, values, strict=True) if value is not None}
        if "created_from" in given and "created_to" in given:
            continue
        wanted = [one["id"] for one in made if all(tests[name](one, value) for name, value in given.items())]
        answer = asked(api, "/v1/payments", limit=100, **given)
        assert ids(answer) == wanted, given
        told_apart += 0 < len(wanted) < len(made)
    assert told_apart >= 36  # of 48
    for name in choices:
        given = {name: str(choices[name][1])}
        wanted = [one["id"] for one in made if tests[name](one, given[name])]
        assert list(itertools.chain(*pages(api, "/v1/payments", **given))) == wanted
        assert ids(asked(api, "/v1/payments", ending_before=wanted[-1], limit=100, **given)) == wanted[:-1]


def test_times_mean_a_moment_wherever_they_are_written(api: Api) -> None:
    early, late = a_payment(api), a_payment(api)
    moment = datetime.fromisoformat(late["created_at"]).astimezone(UTC)
    elsewhere = moment.astimezone(tz=None).isoformat()
    for written in (late["created_at"], elsewhere, late["created_at"].lower(), moment.isoformat(" ")):
        assert ids(asked(api, "/v1/payments", created_from=written)) == [late["id"]]
        assert ids(asked(api, "/v1/payments", created_to=written)) == [early["id"]]
    for extreme in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59+00:00"):
        assert len(ids(asked(api, "/v1/payments", created_from=extreme))) == 2
        assert ids(asked(api, "/v1/payments", created_to=extreme)) == []
    assert ids(asked(api, "/v1/payments", created_from="9999-12-31T23:59:59Z")) == []


def test_nobodys_customer_and_another_stores_have_no_payments(api: Api) -> None:
    a_payment(api, flow="hosted_partner", customer={"id": "c-1", "email": "a@b.example"})
    assert ids(asked(api, "/v1/payments", customer="nobody")) == []
    assert ids(asked(api, "/v1/payment_links", customer="nobody")) == []
    api.key = api.system.services.stores.create("Other", ["https://other.example"], who="tester").api_key
    assert ids(asked(api, "/v1/payments", customer="c-1")) == []


def test_an_erased_customers_payments_are_still_found_by_the_shops_id(api: Api) -> None:
    made = a_payment(api, flow="hosted_partner", customer={"id": "c-1", "email": "a@b.example"})["id"]
    api.system.services.customers.erase(api.system.store.id, "c-1", who="tester")
    assert ids(asked(api, "/v1/payments", customer="c-1")) == [made]
    problem(api.get("/v1/customers/c-1/payments"), 404, "not-found")


def test_a_customers_payments_are_narrowed_like_all_payments(api: Api) -> None:
    who = {"flow": "hosted_partner", "customer": {"id": "c-1", "email": "a@b.example"}}
    first, second, third = (a_payment(api, status, odd=True, order="A-1", **who)["id"] for status in STATUSES)
    a_payment(api, "settled")
    path = "/v1/customers/c-1/payments"
    assert list(pages(api, path)) == [[third, second], [first]]
    assert ids(asked(api, path, status="cancelled")) == [second]
    assert ids(asked(api, path, anomaly="overpaid", order="A-1")) == [third]
    assert ids(asked(api, path, order="B-2")) == []


def test_links_are_cut_and_narrowed(api: Api) -> None:
    api.system.services.customers.put(api.system.store, Person("c-1", "a@b.example", "DE"))
    made: list[dict[str, Any]] = []
    for order, customer in itertools.product(("A-1", "B-2"), (None, "c-1")):
        api.system.clock.advance(seconds=1)
        who = {"flow": "hosted"} if customer is None else {"flow": "hosted_partner", "customer": customer}
        body = {"amount": "9.00", "currency": "EUR", "country": "DE", "order": order, **who}
        made.insert(0, api.post("/v1/payment_links", json=body).get_json())
    path, names = "/v1/payment_links", [one["id"] for one in made]
    assert list(pages(api, path)) == [names[:2], names[2:]]
    assert ids(asked(api, path, order="B-2")) == names[:2]
    assert ids(asked(api, path, customer="c-1")) == [names[0], names[2]]
    assert ids(asked(api, path, customer="c-1", order="A-1")) == [names[2]]
    assert ids(asked(api, path, created_from=made[1]["created_at"])) == names[:2]
    assert ids(asked(api, path, ending_before=names[2])) == names[:2]


def test_refunds_and_settlement_records_are_cut_and_narrowed(api: Api) -> None:
    api.key = api.key_of("read", "write", "refunds", "treasury")
    who: dict[str, Any] = {"flow": "hosted_partner", "customer": {"id": "c-1", "email": "a@b.example"}}
    payment = a_payment(api, "settled", **who)["id"]
    refunds: list[str] = []
    records: list[dict[str, Any]] = []
    for number in range(3):
        api.system.clock.advance(seconds=1)
        body = {"amount": f"{number + 1}.00"}
        refunds.insert(0, api.post(f"/v1/payments/{payment}/refunds", json=body).get_json()["id"])
        reference = api.system.sessions(a_payment(api, "settled")["id"])[0].reference
        evidence = {"asset": "USDC", "network": "polygon", "amount": "9.71", "evidence": "17", "deposits": [reference]}
        records.insert(0, api.post("/v1/settlement_records", json=evidence).get_json())
    path = f"/v1/payments/{payment}/refunds"
    assert list(pages(api, path)) == [refunds[:2], refunds[2:]]
    assert ids(asked(api, path, status="needs_details", ending_before=refunds[2])) == refunds[:2]
    assert ids(asked(api, path, status="sent")) == []
    path, names = "/v1/settlement_records", [one["id"] for one in records]
    assert list(pages(api, path)) == [names[:2], names[2:]]
    assert asked(api, path, asset="USDC", network="polygon").get_json()["data"] == records
    assert ids(asked(api, path, asset="USDT")) == ids(asked(api, path, network="base")) == []
    assert ids(asked(api, path, created_to=records[1]["created_at"])) == names[2:]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"starting_after": "pay_1", "ending_before": "pay_2"}, {"ending_before"}),
        ({"created_from": "2026-11-21T12:00:00Z", "created_to": "2026-11-21T12:00:00Z"}, {"created_to"}),
        ({"created_from": "2026-11-21"}, {"created_from"}),
        ({"created_from": "2026-11-21T12:00:00"}, {"created_from"}),
        ({"created_from": "2026-13-21T12:00:00Z"}, {"created_from"}),
        ({"created_from": "20261121T120000Z"}, {"created_from"}),
        ({"created_to": "0001-01-01T00:00:00+10:00"}, {"created_to"}),
        ({"created_to": "2026-11-21T12:00:00 01:00"}, {"created_to"}),  # a plus sign that was not escaped
        ({"anomaly": "odd"}, {"anomaly"}),
        ({"customer": ""}, {"customer"}),
        ({"ending_before": "a b", "limit": "0", "colour": "red", "status": "paid"},
         {"ending_before", "limit", "colour", "status"}),
    ],
)  # fmt: skip
def test_bad_conditions_are_refused_by_name_all_at_once(
    sqlite_system: System, query: dict[str, str], fields: set[str]
) -> None:
    api = Api(sqlite_system)
    assert set(named(problem(asked(api, "/v1/payments", **query), 422, "request-refused"))) == fields


def test_a_parameter_where_none_is_taken_is_refused_by_name_with_everything_else(sqlite_system: System) -> None:
    api = Api(sqlite_system)
    ident = api.open().get_json()["id"]
    assert set(named(problem(api.get(f"/v1/payments/{ident}?expand=all&a=1&a=2"), 422, "request-refused"))) == {
        "expand", "a",
    }  # fmt: skip
    found = problem(api.client.post(f"/v1/payments/{ident}/sessions?x=1", headers=api.headers()), 400, "bad-header")
    assert set(named(found)) == {"Idempotency-Key", "x"}
    headers = api.headers(**{"Idempotency-Key": fresh_key()})
    body = {"flow": "hosted", "amount": 9}
    found = problem(api.client.post("/v1/payments?dry_run=1", json=body, headers=headers), 422, "request-refused")
    assert set(named(found)) == {"dry_run", "amount", "currency", "country", "order"}
    assert set(named(problem(api.get("/v1/payments?limit=1&limit=2&status=paid"), 422, "request-refused"))) == {
        "limit", "status",
    }  # fmt: skip
    said = problem(api.get(f"/v1/payments/{ident}?{uuid.uuid4().hex}%00=1"), 422, "request-refused")
    assert set(named(said)) == {"query"}


def test_ids_made_a_little_off_the_row_s_own_time_are_found_all_the_same(sqlite_system: System) -> None:
    """A process's clock may be set back while it runs: ids go on from where they were, ``created_at`` does not."""
    api = Api(sqlite_system)
    ahead = a_payment(api)
    api.system.clock.advance(minutes=-50)
    behind = a_payment(api)
    for one in (ahead, behind):
        moment = datetime.fromisoformat(one["created_at"])
        span = {"created_from": moment.isoformat(), "created_to": (moment + timedelta(seconds=1)).isoformat()}
        assert ids(asked(api, "/v1/payments", **span)) == [one["id"]]
    assert datetime.fromisoformat(ahead["created_at"]) > START > datetime.fromisoformat(behind["created_at"])


def test_what_an_earlier_version_stored_is_listed_and_takes_keys(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    upgrade(database, "0009")
    at = START.replace(tzinfo=None).isoformat(sep=" ") if database.is_sqlite else START.isoformat()
    with database.write() as unit:
        for statement in (
            "INSERT INTO store (id, name, origins, created_at, created_by) VALUES ('sto_1', 'Shop', '[]', :at, 'ann')",
            "INSERT INTO payment (id, store_id, idempotency_key, request_hash, flow, amount_minor, currency, country, "
            "order_ref, metadata, status, anomalies, pay_token_hash, pay_token_sealed, created_at, updated_at) VALUES "
            "('pay_1', 'sto_1', 'k', 'h', 'hosted', 900, 'EUR', 'DE', 'A-1', '{}', 'settled', 'late', 't', 's', :at, :at)",
        ):
            unit.execute(text(statement), {"at": at})
    upgrade(database, "head")
    wanted = Wanted(status="settled", anomaly="late", order_ref="A-1")
    with database.read() as unit:
        found, more = payments_on_page(unit, "sto_1", Page(limit=5), wanted)
    assert ([one.id for one in found], more) == (["pay_1"], False)
    keyed = Keyed.of("sto_1", "payments.cancel_payment", "k", {"payment": "pay_1"})
    with once(database, keyed, "pay_1", at=START):
        pass
    assert was_made(database, keyed)
    database.close()
