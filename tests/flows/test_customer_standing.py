"""Stables' news of a customer: read again at once, told to a person where one is needed, and never believed by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.enrolling.standings import TRIES_MAX
from checkout.store import merchants, moves, payouts
from checkout.store.tables import customer_standing
from tests.deliveries import hear_stables, open_cases, stables_event
from tests.system import BANK, CUSTOMER, System, make_system

KYC = "kyc_link.updated.status_transitioned"
OTHER = "7f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a22"


class Stables:
    """Answers a customer as it is told, and counts how often it was asked."""

    def __init__(self) -> None:
        self.answer: httpx.Response | Exception = httpx.Response(503)
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            return httpx.Response(503)
        self.asked += 1
        assert request.url.path.endswith(CUSTOMER)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def says(self, payout: str, level: str = "approved", *reasons: str) -> None:
        body: dict[str, Any] = {
            "customer_id": CUSTOMER, "customer_type": "business", "company_name": "Quayside Trading",
            "entitlements": [{"name": "base_payout", "status": payout}],
            "verification_levels": [{"level": "business_base", "status": level, "sub_status": list(reasons)}],
        }  # fmt: skip
        self.answer = httpx.Response(200, json=body)


@pytest.fixture
def stables() -> Stables:
    return Stables()


@pytest.fixture
def shop(stables: Stables, database_url: str) -> Iterator[System]:
    made = make_system(database_url, stables=httpx.MockTransport(stables))
    made.services.payout_accounts.add(made.store.id, BANK, who="ann")
    yield made
    made.close()


@pytest.fixture
def sqlite_shop(stables: Stables, fast_folder: Path) -> Iterator[System]:
    made = make_system(f"sqlite:///{fast_folder / 'shop.db'}", stables=httpx.MockTransport(stables))
    made.services.payout_accounts.add(made.store.id, BANK, who="ann")
    yield made
    made.close()


def hear(shop: System, ident: str = "msg_1", *, kind: str = KYC, customer: object = CUSTOMER, **more: Any) -> str:
    detail = {"customer_id": customer, "kyc_level": "BUSINESS_BASE", "status": "VERIFICATION_APPROVED"}
    body = stables_event(kind, **{"event_object_id": "kyc_1", "event_object": detail, "event_id": ident, **more})
    return hear_stables(shop, body, ident).note


def standing(shop: System) -> dict[str, Any]:
    with shop.database.read() as unit:
        found = payouts.standing_of(unit, CUSTOMER)
    assert found is not None
    return found


def test_the_customer_is_read_when_its_verification_moves(shop: System, stables: Stables) -> None:
    stables.says("approved")
    assert hear(shop) == "the customer is read again"
    assert (standing(shop)["base_payout"], standing(shop)["name"]) == ("approved", "Quayside Trading")
    assert stables.asked == 1
    stables.says("rejected", "rejected", "BAD_PROOF_OF_ADDRESS")
    hear(shop, "msg_2", customer=CUSTOMER.upper())
    assert standing(shop)["base_payout"] == "refused"
    (case,) = open_cases(shop)
    assert (case["kind"], case["subject"]) == ("merchant_standing", CUSTOMER)
    assert "The proof of address was not accepted." in case["detail"]
    stables.says("approved")
    hear(shop, "msg_3", kind="customer.updated", event_object_id=CUSTOMER, event_object=None)
    assert shop.cases() == []
    assert stables.asked == 3
    shop.clock.advance(days=1)
    shop.work()
    assert stables.asked == 3, "nothing is due any more"


def test_what_is_under_way_asks_for_nobody(sqlite_shop: System, stables: Stables) -> None:
    stables.says("submitted", "in_progress")
    hear(sqlite_shop)
    assert standing(sqlite_shop)["base_payout"] == "refused"
    assert sqlite_shop.cases() == []


@pytest.mark.parametrize(
    ("kind", "customer", "more"),
    [
        (KYC, OTHER, {}),
        (KYC, 7, {}),
        (KYC, None, {"event_object_id": CUSTOMER}),  # a link's id, whatever it looks like
        (KYC, None, {"event_object": [1]}),
        ("customer.updated", None, {"event_object_id": OTHER}),
        ("customer.created", None, {"event_object_id": None}),
    ],
)
def test_customers_of_others_are_not_read(
    sqlite_shop: System, stables: Stables, kind: str, customer: object, more: dict[str, Any]
) -> None:
    assert hear(sqlite_shop, kind=kind, customer=customer, **more) == "names no customer that we pay out for"
    assert stables.asked == 0


def test_a_merchant_without_an_account_is_ours_too(database_url: str, stables: Stables) -> None:
    shop = make_system(database_url, stables=httpx.MockTransport(stables))
    assert hear(shop) == "names no customer that we pay out for"
    with shop.database.write() as unit:
        merchants.insert_merchant(
            unit,
            {
                "id": "mer_1", "external_customer_id": "shop", "customer_type": "business", "stables_customer_id": CUSTOMER,
                "created_at": shop.clock(), "created_by": "ann",
            },
        )  # fmt: skip
    stables.says("approved")
    assert hear(shop, "msg_2") == "the customer is read again"
    assert standing(shop)["base_payout"] == "approved"
    shop.close()


def test_without_an_answer_it_is_asked_again_and_at_last_left_to_the_next_payout(
    sqlite_shop: System, stables: Stables
) -> None:
    shop = sqlite_shop
    hear(shop)
    assert (stables.asked, standing(shop)["base_payout"]) == (1, "unread")
    stables.answer = httpx.Response(429, headers={"retry-after": "3600"})
    shop.clock.advance(minutes=10)
    shop.work()
    assert stables.asked == 2
    shop.clock.advance(minutes=30)
    shop.work()
    assert stables.asked == 2, "Stables asked to be left alone for an hour"
    stables.answer = httpx.ReadTimeout("silence")
    for _ in range(TRIES_MAX * 2):
        shop.clock.advance(hours=1)
        shop.work()
    assert stables.asked == TRIES_MAX
    assert shop.cases() == []
    with shop.database.read() as unit:
        assert unit.execute(customer_standing.select()).one().due_at is None


def test_a_customer_that_stables_does_not_show_waits_for_a_person(sqlite_shop: System, stables: Stables) -> None:
    stables.answer = httpx.Response(403, json={"statusCode": 403, "error": "Forbidden", "message": "no"})
    hear(sqlite_shop)
    (case,) = open_cases(sqlite_shop)
    assert case["kind"] == "merchant_standing"
    assert "allowlist" in case["detail"]


def test_a_payout_held_for_approval_says_when_it_may_go_on(shop: System, stables: Stables) -> None:
    session = shop.sessions(shop.pay().payment.id)[0]
    shop.hear(session, "completed")
    shop.services.treasury.record(
        shop.store.id, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[str(session.reference)],
        evidence="advice", who="ann",
    )  # fmt: skip
    stables.says("in_progress", "requires_action", "FILE_EMPTY")
    out = shop.services.payouts.propose(shop.store.id, account_id=None, who="ann")
    shop.work()
    assert shop.services.payouts.show(out)["state"] == "on_hold"
    hear(shop, "msg_1")
    assert shop.cases() == ["customer_not_approved", "merchant_standing"]
    stables.says("approved")
    hear(shop, "msg_2")
    (case,) = open_cases(shop)
    assert case["kind"] == "customer_not_approved"
    assert "Stables approves payouts for the customer" in case["detail"]
    assert shop.services.payouts.show(out)["state"] == "on_hold", "only a person lets it go on"
    with shop.database.read() as unit:
        assert [one["closed_by"] for one in moves.cases_on(unit, CUSTOMER)] == ["checkout"]
