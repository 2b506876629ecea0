"""What a contrary Stables answers while a merchant is set up, played by a script; and two who set it up at once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.errors import CheckoutError, NotPossible
from checkout.store import payouts
from checkout.store.tables import installation
from tests.offramp import offramp
from tests.system import System, make_system

CUSTOMER = "550e8400-e29b-41d4-a716-446655440001"
BUSINESS = {
    "customer_type": "business",
    "email": "ops@quay.example",
    "company_name": "Quayside Trading",
    "country": "DE",
}
SHOWN: dict[str, Any] = {
    "customer_id": CUSTOMER, "external_customer_id": "shop", "customer_type": "business", "email": "ops@quay.example",
    "company_name": "Quayside Trading", "created_at": "2026-11-21T12:00:00Z", "updated_at": "2026-11-21T12:00:00Z",
    "entitlements": [{"name": "base_payout", "status": "approved"}],
    "verification_levels": [{"level": "business_base", "status": "approved"}],
}  # fmt: skip
TAKEN = {"statusCode": 409, "error": "Conflict", "message": "external_customer_id is taken"}


class Script:
    """Stables with the customers it is given; links are answered as told, then well."""

    def __init__(self) -> None:
        self.customers: list[dict[str, Any]] = []
        self.links: list[httpx.Response] = []
        self.keys: list[str] = []
        self.appears: dict[str, Any] | None = None  #: becomes a customer when a link is asked for

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/customers"):
            return httpx.Response(200, json={"customers": self.customers})
        if request.method != "POST":
            one = next((one for one in self.customers if path.endswith(one["customer_id"])), None)
            return httpx.Response(404, json={}) if one is None else httpx.Response(200, json=one)
        self.keys.append(request.headers["idempotency-key"])
        if self.appears is not None:
            self.customers.append(self.appears)
            self.appears = None
        if self.links:
            return self.links.pop(0)
        self.customers.append({**SHOWN, "external_customer_id": json.loads(request.content)["external_customer_id"]})
        return httpx.Response(200, json={"customer_id": CUSTOMER, "kyc_link": "https://kyc.example/1"})


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def shop(script: Script, fast_folder: Path) -> Iterator[System]:
    made = make_system(f"sqlite:///{fast_folder / 'checkout.db'}", stables=httpx.MockTransport(script))
    yield made
    made.close()


def setup(shop: System, content: object | None = BUSINESS) -> dict[str, Any]:
    return shop.services.onboarding.setup(content, external_id="shop", who="ann")


def test_a_customer_that_appears_between_our_look_and_our_call_is_found(shop: System, script: Script) -> None:
    script.appears = SHOWN
    script.links = [httpx.Response(409, json=TAKEN)]
    assert setup(shop)["outcome"] == "found"
    assert len(script.keys) == 1


def test_a_taken_name_that_stables_does_not_list_goes_to_a_person(shop: System, script: Script) -> None:
    script.links = [httpx.Response(409, json=TAKEN)]
    with pytest.raises(NotPossible, match="does not list it"):
        setup(shop)


def test_a_refusal_is_shown_in_stables_words_and_asked_anew_under_another_key(shop: System, script: Script) -> None:
    fields = [{"field": "phone", "message": "ops@quay.example is not a phone number"}]
    script.links = [
        httpx.Response(400, json={"statusCode": 400, "error": "Bad Request", "message": "no", "fields": fields})
    ]
    with pytest.raises(NotPossible, match="answered 400: no") as caught:
        setup(shop)
    assert "phone" in str(caught.value)
    assert "ops@quay.example" not in str(caught.value)
    assert setup(shop)["outcome"] == "made"
    assert len(set(script.keys)) == 2


def test_an_unknown_that_is_found_by_its_name_closes_its_attempt(shop: System, script: Script) -> None:
    script.links = [httpx.Response(500), httpx.Response(500)]
    with pytest.raises(NotPossible, match="nobody knows"):
        setup(shop)
    script.customers = [SHOWN]
    found = setup(shop, None)
    assert (found["outcome"], found["payouts"]) == ("found", True)
    assert len(set(script.keys)) == 1
    with shop.database.read() as unit:
        (attempt,) = payouts.attempts_of(unit, found["id"], "customer")
    assert (attempt.state, attempt.evidence.endswith("found by external_customer_id")) == ("accepted", True)


def test_a_key_that_is_too_old_is_not_sent_again(shop: System, script: Script) -> None:
    script.links = [httpx.Response(500)]
    with pytest.raises(NotPossible):
        setup(shop)
    shop.clock.advance(hours=21)
    assert setup(shop)["outcome"] == "made"
    assert len(set(script.keys)) == 2


def test_one_customer_under_two_names_is_refused(shop: System, script: Script) -> None:
    setup(shop)
    script.customers = [{**SHOWN, "external_customer_id": "second"}]
    with pytest.raises(NotPossible, match="another external id"):
        shop.services.onboarding.setup(BUSINESS, external_id="second", who="ann")


def test_a_link_for_somebody_else_is_never_shown(shop: System, script: Script) -> None:
    setup(shop)
    script.links = [
        httpx.Response(200, json={"customer_id": str(uuid.uuid4()), "kyc_link": "https://kyc.example/other"})
    ]
    with pytest.raises(NotPossible, match="another customer") as caught:
        shop.services.onboarding.link("shop", life=timedelta(minutes=30), who="ann")
    assert "kyc.example/other" not in str(caught.value)


@pytest.mark.parametrize(
    ("levels", "entitlements", "step"),
    [
        ([], [], "verification link"),
        ([{"level": "business_base", "status": "in_progress"}], [], "wait for Stables"),
        (
            [{"level": "business_base", "status": "approved"}],
            [{"name": "higher_limits", "status": "approved"}],
            "ask for payouts",
        ),
        (
            [{"level": "business_base", "status": "new_word"}],
            [{"name": "base_payout", "status": "submitted"}],
            "not granted",
        ),
    ],
)
def test_every_standing_has_a_next_step(
    shop: System, script: Script, levels: list[Any], entitlements: list[Any], step: str
) -> None:
    setup(shop)
    script.customers[0] |= {"verification_levels": levels, "entitlements": entitlements}
    (shown,) = shop.services.onboarding.status("shop")["merchants"]
    assert step in " ".join(shown["next"])
    if levels and levels[0]["status"] == "new_word":
        assert shown["levels"][0]["means"] == "new_word (a word the documents do not have)"


def test_two_who_set_the_same_merchant_up_at_once_make_one_customer(database_url: str) -> None:
    with offramp(database_url) as ramp:
        services = ramp.system.services

        def run(who: str) -> str:
            try:
                return str(services.onboarding.setup(BUSINESS, external_id="shop", who=who)["outcome"])
            except CheckoutError:
                return "told to run it again"

        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(run, ["ann", "ben", "cay", "dan"]))
        assert {"made", "found", "known"} & set(outcomes)
        listed = services.stables.list_customers()
        assert sum(one.external_id == "shop" for one in listed.value) == 1  # type: ignore[union-attr]
        assert services.onboarding.setup(None, external_id="shop", who="ann")["outcome"] == "known"


def test_a_database_without_a_name_is_told_to_migrate(script: Script, fast_folder: Path) -> None:
    settings = {"STABLES_WEBHOOK_SCHEME": "hmac", "STABLES_WEBHOOK_SECRET": "a secret of our own, long enough"}
    made = make_system(
        f"sqlite:///{fast_folder / 'nameless.db'}", stables=httpx.MockTransport(_no_webhooks), settings=settings
    )
    with made.database.write() as unit:
        unit.execute(installation.delete())
    services = made.services
    with pytest.raises(NotPossible, match="checkout migrate"):
        services.onboarding.setup(BUSINESS, external_id=None, who="ann")
    with pytest.raises(NotPossible, match="checkout migrate"):
        services.subscriptions.subscribe(who="ann")
    made.close()


def test_over_https_nothing_is_odd_but_the_missing_subscription(fast_folder: Path) -> None:
    settings = {
        "STABLES_WEBHOOK_SCHEME": "hmac", "STABLES_WEBHOOK_SECRET": "a secret of our own, long enough",
        "CHECKOUT_PUBLIC_URL": "https://pay.shop.example",
    }  # fmt: skip
    made = make_system(
        f"sqlite:///{fast_folder / 'https.db'}", stables=httpx.MockTransport(_no_webhooks), settings=settings
    )
    (problem,) = made.services.subscriptions.look(deliveries=0)["problems"]
    assert "no active subscription points here" in problem
    made.close()


def _no_webhooks(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"subscriptions": []})
