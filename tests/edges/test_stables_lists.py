"""Lists of Stables: three paging styles, and the complete listing of transfers that decides whether one exists."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.errors import NotPossible
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.providers.stables import PAGES_MAX
from checkout.providers.stables_operations import LISTING_ORDER
from checkout.providers.stables_records import CustomerStanding, Transfer
from tests.edges.stables_provider import (
    API_KEY,
    CUSTOMER_ID,
    KEY,
    TRANSFER,
    TRANSFER_ID,
    Handler,
    Provider,
    stables,
    status,
    value_of,
)

ACCOUNTS = "list_customer_virtual_accounts"
PATH = {"customerId": CUSTOMER_ID}
CUSTOMER: dict[str, Any] = {
    "customer_id": CUSTOMER_ID,
    "external_customer_id": "shop-1",
    "customer_type": "business",
    "company_name": "Demo GmbH",
    "email": "ops@shop.example",
    "created_at": "2026-11-21T12:00:00Z",
    "updated_at": "2026-11-21T12:00:00Z",
    "verification_levels": [
        {"level": "BUSINESS_BASE", "status": "REQUIRES_ACTION", "sub_status": ["FILE_EMPTY", 5]},
        {"level": "kyc_level_0", "status": "approved"},
    ],
    "entitlements": [{"name": "base_payout", "status": "approved"}, {"name": "virtual_account", "status": "submitted"}],
}
SUBSCRIPTION: dict[str, Any] = {
    "subscriptionId": "550e8400-e29b-41d4-a716-446655440009",
    "name": "shop",
    "url": "https://pay.shop.example/webhooks/stables",
    "eventTypes": ["all"],
    "active": True,
    "createdAt": "2024-01-15T10:30:00Z",
    "updatedAt": "2024-01-15T10:30:00Z",
}


def ident(number: int) -> str:
    return f"550e8400-e29b-41d4-a716-{number:012d}"


def a_transfer(number: int, status: str, **changes: Any) -> dict[str, Any]:
    return copy.deepcopy(TRANSFER) | {"id": ident(number), "status": status} | changes


def page_of(transfers: list[dict[str, Any]], token: str = "", total: int | None = None) -> dict[str, Any]:
    whole = len(transfers) if total is None else total
    return {"transfers": transfers, "page": {"next_page_token": token, "total": whole}}


def listing(*transfers: dict[str, Any], known: bool = True) -> Handler:
    """A provider that lists by status in pages of two, as the OpenAPI says; ``known``: it knows IN_PROGRESS."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        assert asked["type"] == "TRANSFER_TYPE_OFFRAMP"
        if asked["status"] == "IN_PROGRESS" and not known:
            return httpx.Response(400, json={"message": "no such status"})
        mine = [one for one in transfers if one["status"].upper() == asked["status"]]
        mine = [one for one in mine if asked.get("customer_id") in (None, one["customer_id"])]
        start = int(asked.get("page_token") or 0)
        more = str(start + 2) if start + 2 < len(mine) else ""
        return httpx.Response(200, json=page_of(mine[start : start + 2], more, len(mine)))

    return answer


def pages(*answers: object, name: str = ACCOUNTS, path: dict[str, str] | None = None) -> tuple[list[Any], Provider]:
    provider = Provider(*answers)
    return list(stables(provider).pages(name, path=PATH if path is None else path)), provider


def asked(provider: Provider, name: str) -> list[str | None]:
    return [request.url.params.get(name) for request in provider.requests]


# -- the three styles


def test_a_list_by_last_id_goes_on_from_the_last_item_of_a_full_page() -> None:
    full = {"count": 100, "data": [{"id": ident(n)} for n in range(100)]}
    found, provider = pages(full, {"count": 3, "data": [{"id": ident(n)} for n in range(100, 103)]})
    assert [len(page.value.body["data"]) for page in found] == [100, 3]
    assert asked(provider, "starting_after") == [None, ident(99)]
    assert asked(provider, "limit") == ["100", "100"]


def test_has_more_decides_where_it_is_given() -> None:
    history = {"customerId": CUSTOMER_ID, "virtualAccountId": ident(1)}
    found, provider = pages(
        {"data": [{"id": ident(1)}], "has_more": True},
        {"data": [{"id": ident(2)}], "has_more": False},
        name="list_virtual_account_history",
        path=history,
    )
    assert len(found) == 2
    assert asked(provider, "starting_after") == [None, ident(1)]


@pytest.mark.parametrize("token", ["nextPageToken", "next_page_token"])
def test_a_list_by_token_goes_on_until_the_token_is_empty_or_absent(token: str) -> None:
    first = {"subscriptions": [SUBSCRIPTION], "page": {token: "t2"}}
    provider = Provider(first, {"subscriptions": [SUBSCRIPTION], "page": {token: ""}})
    assert len(value_of(stables(provider).list_webhooks())) == 2
    assert asked(provider, "pageToken") == [None, "t2"]
    assert asked(provider, "pageSize") == ["100", "100"]


def test_a_list_without_pages_is_one_page() -> None:
    found, _ = pages({"customers": []}, name="list_customers", path={})
    assert len(found) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"data": {}}, {"data": [], "has_more": True}, {"data": [{"id": 5}], "has_more": True},
        {"data": ["x"] * 100, "count": 100},
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_followed_is_unknown(answer: object) -> None:
    found, _ = pages(answer)
    assert isinstance(found[-1], Unknown)


def test_a_list_that_goes_round_in_a_circle_is_unknown() -> None:
    found, provider = pages({"data": [{"id": ident(1)}], "has_more": True})
    assert isinstance(found[-1], Unknown)
    assert "circle" in found[-1].reason
    assert len(provider.requests) == 2


def test_a_list_without_end_is_unknown() -> None:
    numbers = itertools.count()

    def endless(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [{"id": ident(next(numbers))}], "has_more": True})

    found, provider = pages(endless)
    assert found[-1] == Unknown(f"incomplete answer: more than {PAGES_MAX} pages")
    assert len(provider.requests) == PAGES_MAX


def test_a_refusal_ends_the_pages() -> None:
    found, _ = pages({"data": [{"id": ident(1)}], "has_more": True}, status(403))
    assert isinstance(found[0], Accepted)
    assert isinstance(found[1], Declined)
    assert len(found) == 2


def test_what_is_no_list_has_no_pages() -> None:
    with pytest.raises(ValueError, match="not a list"):
        list(stables(Provider()).pages("read_customer", path=PATH))


# -- all transfers


statuses = st.sampled_from(sorted(set(LISTING_ORDER)))


@given(st.lists(statuses, max_size=12), st.booleans())
def test_a_listing_finds_every_transfer_whatever_its_state(kinds: list[str], known: bool) -> None:
    transfers = [a_transfer(number, kind.lower()) for number, kind in enumerate(kinds)]
    listed = value_of(stables(Provider(listing(*transfers, known=known))).list_transfers(CUSTOMER_ID))
    visible = {one["id"] for one in transfers if known or one["status"] != "in_progress"}
    assert {one.id for one in listed} == visible
    assert len(listed) == len(visible)


def test_a_listing_asks_every_status_of_the_one_customer_and_with_the_extras_off_too() -> None:
    provider = Provider(listing())
    assert value_of(stables(provider, extras=False).list_transfers(CUSTOMER_ID)) == ()
    assert asked(provider, "status") == list(LISTING_ORDER)
    assert set(asked(provider, "customer_id")) == {CUSTOMER_ID}


def test_the_whole_account_can_be_listed() -> None:
    other = a_transfer(2, "created", customer_id=ident(9))
    provider = Provider(listing(a_transfer(1, "created"), other))
    assert len(value_of(stables(provider).list_transfers())) == 2


@pytest.mark.parametrize("turn", range(len(LISTING_ORDER)))
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("created", "awaiting_funds_collection"),
        ("awaiting_funds_collection", "completed"),
        ("created", "expired"),
        ("created", "compliance_hold"),
        ("compliance_hold", "created"),
        ("in_progress", "completed"),
    ],
)
def test_a_transfer_that_moves_while_it_is_listed_is_not_missed(turn: int, before: str, after: str) -> None:
    transfer = a_transfer(1, before)
    answer, count = listing(transfer), itertools.count()

    def moving(request: httpx.Request) -> httpx.Response:
        if next(count) == turn:
            transfer["status"] = after
        return answer(request)

    assert len(value_of(stables(Provider(moving)).list_transfers(CUSTOMER_ID))) == 1


def test_the_newest_word_on_a_transfer_wins_and_each_keeps_its_own_bytes() -> None:
    provider = Provider(listing(a_transfer(1, "created"), a_transfer(2, "failed", exchange_rate=0.1)))
    first, second = value_of(stables(provider).list_transfers(CUSTOMER_ID))
    assert b'"exchange_rate":0.922' in first.raw
    assert b'"exchange_rate":0.1' in second.raw


def refusing(what: str, answer: Handler) -> Handler:
    whole = listing(a_transfer(1, "created"))
    return lambda request: answer(request) if request.url.params["status"] == what else whole(request)


def test_a_published_status_that_is_refused_makes_the_listing_unknown() -> None:
    outcome = stables(Provider(refusing("EXPIRED", status(400, {"message": "no"})))).list_transfers(CUSTOMER_ID)
    assert outcome == Unknown("no complete list: EXPIRED was refused with 400: no", status=400)


@pytest.mark.parametrize("code", [401, 403, 404, 422])
def test_in_progress_may_be_refused_with_400_only(code: int) -> None:
    outcome = stables(Provider(refusing("IN_PROGRESS", status(code)))).list_transfers(CUSTOMER_ID)
    assert isinstance(outcome, Unknown)
    assert outcome.status == code


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("gone", request=request)


@pytest.mark.parametrize(
    "answer",
    [
        status(500), status(429), lost, status(200, {}), status(200, {"transfers": None}), status(200, []),
        status(200, page_of([{"id": "x"}])),  # a transfer that cannot be read
        status(200, page_of([], total=1)),  # the list says it has more than it gave
        status(200, {"transfers": [], "page": {"next_page_token": 5}}),
        status(200, {"transfers": [], "page": []}),
        status(200, {"transfers": [TRANSFER] * 100}),  # a full page that does not say whether it is the last
    ],
)  # fmt: skip
def test_a_listing_is_complete_or_unknown(answer: Handler) -> None:
    outcome = stables(Provider(refusing("COMPLETED", answer))).list_transfers(CUSTOMER_ID)
    assert isinstance(outcome, Unknown)


def test_without_extras_a_transfer_is_found_in_the_customers_list() -> None:
    client = stables(Provider(listing(a_transfer(1, "completed"), a_transfer(2, "created"))), extras=False)
    found: Transfer = value_of(client.read_transfer(ident(1), customer_id=CUSTOMER_ID))
    assert (found.id, found.status) == (ident(1), "completed")
    absent = client.read_transfer(TRANSFER_ID, customer_id=CUSTOMER_ID)
    assert isinstance(absent, Declined)
    assert (absent.status, absent.code) == (404, "not_listed")
    with pytest.raises(NotPossible, match="whose transfer"):
        client.read_transfer(TRANSFER_ID)


def test_without_extras_an_incomplete_list_does_not_say_that_a_transfer_is_absent() -> None:
    client = stables(Provider(status(500)), extras=False)
    assert isinstance(client.read_transfer(TRANSFER_ID, customer_id=CUSTOMER_ID), Unknown)


# -- customers


def standing(**changes: Any) -> CustomerStanding:
    read: CustomerStanding = value_of(stables(Provider(CUSTOMER | changes)).read_customer(CUSTOMER_ID))
    return read


def test_a_customers_standing_is_read_whole() -> None:
    customer = standing()
    assert (customer.id, customer.external_id, customer.type) == (CUSTOMER_ID, "shop-1", "business")
    assert customer.name == "Demo GmbH"
    assert customer.base_payout_approved
    level = customer.levels[0]
    assert (level.level, level.status, level.sub_statuses) == ("business_base", "requires_action", ("FILE_EMPTY",))
    assert "Demo" not in repr(customer)


@pytest.mark.parametrize(
    "entitlements",
    [
        None, [], [{"name": "virtual_account", "status": "approved"}], [{"name": "base_payout", "status": "submitted"}],
        [{"name": "base_payout", "status": "approved"}, {"name": "BASE_PAYOUT", "status": "rejected"}],
        [{"name": "base_payouts", "status": "approved"}], [{"name": "base_payout", "status": "not_approved"}],
    ],
)  # fmt: skip
def test_a_payout_needs_base_payout_to_be_approved_and_nothing_else_will_do(entitlements: object) -> None:
    assert not standing(entitlements=entitlements).base_payout_approved


@pytest.mark.parametrize(
    "changes",
    [{"customer_id": None}, {"entitlements": {}}, {"entitlements": ["base_payout"]}, {"verification_levels": 1}],
)
def test_a_standing_that_contradicts_itself_is_unknown(changes: dict[str, Any]) -> None:
    outcome = stables(Provider(CUSTOMER | changes)).read_customer(CUSTOMER_ID)
    assert isinstance(outcome, Unknown)


def test_customers_are_listed_and_created_under_a_key() -> None:
    person = {name: value for name, value in CUSTOMER.items() if name != "company_name"}
    provider = Provider(
        {"customers": [CUSTOMER, person | {"first_name": "A", "last_name": "B"}]}, CUSTOMER, status(409)
    )
    client = stables(provider)
    assert [one.name for one in value_of(client.list_customers())] == ["Demo GmbH", "A B"]
    fields = {"customer_type": "business", "company_name": "Demo GmbH", "external_customer_id": "shop-1"}
    assert value_of(client.create_customer(fields, key=KEY)).id == CUSTOMER_ID
    assert provider.requests[-1].headers["idempotency-key"] == KEY
    taken = client.create_customer(fields, key=KEY)
    assert isinstance(taken, Declined)
    assert taken.status == 409


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://verify.example/x", True),
        ("http://127.0.0.1:8081/kyc", True),
        ("http://verify.example/x", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_a_verification_link_is_a_safe_url_or_unknown(url: str, good: bool) -> None:
    provider = Provider({"customer_id": CUSTOMER_ID, "kyc_link": url})
    outcome = stables(provider).verification_link({"customer_type": "business"}, key=KEY)
    assert isinstance(outcome, Accepted) == good
    assert url == "" or url not in repr(outcome)


# -- webhooks


def test_a_subscription_is_made_listed_and_ended() -> None:
    provider = Provider({"subscription": SUBSCRIPTION}, {"subscriptions": [SUBSCRIPTION], "page": {}}, b"")
    client = stables(provider)
    made = value_of(
        client.create_webhook(
            name="shop", url=SUBSCRIPTION["url"], event_types=("all",), secret="s3cret", key=KEY,
            metadata={"installation": "i-1"},
        )
    )  # fmt: skip
    assert provider.sent == {
        "name": "shop", "url": SUBSCRIPTION["url"], "eventTypes": ["all"], "secret": "s3cret",
        "metadata": {"installation": "i-1"},
    }  # fmt: skip
    assert (made.id, made.active, made.event_types) == (SUBSCRIPTION["subscriptionId"], True, ("all",))
    assert value_of(client.list_webhooks()) == (made,)
    assert isinstance(client.delete_webhook(made.id, key=KEY), Accepted)
    assert provider.requests[-1].method == "DELETE"
    assert all(request.headers["authorization"] == f"Bearer {API_KEY}" for request in provider.requests)


@pytest.mark.parametrize(
    ("subscription", "path"),
    [(None, "/api/v1/webhooks/deliveries"), (ident(9), f"/api/v1/webhooks/{ident(9)}/deliveries")],
)
def test_deliveries_are_given_as_worded(subscription: str | None, path: str) -> None:
    provider = Provider({"deliveries": [{"deliveryId": "d", "status": "FAILED", "extra": {"a": 1}}]})
    found = value_of(stables(provider).webhook_deliveries(subscription))
    assert found == ({"deliveryId": "d", "status": "FAILED", "extra": {"a": 1}},)
    assert provider.requests[0].url.path == path
    assert asked(provider, "pageSize") == ["50"]
    provider = Provider({"deliveries": ["odd"]})
    assert isinstance(stables(provider).webhook_deliveries(subscription), Unknown)
