"""The merchant at Stables, over HTTP against the simulated provider: found or made once, told in words, linked, subscribed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.simulator.stables.codes import CUSTOMER_ID, EXTERNAL_CUSTOMER_ID
from checkout.store import moves, payouts
from tests.offramp import Offramp, offramp
from tests.system import System, make_system

BUSINESS = {
    "customer_type": "business",
    "email": "ops@quay.example",
    "company_name": "Quayside Trading",
    "country": "DE",
}
PERSON = {"customer_type": "individual", "email": "ada@quay.example", "first_name": "Ada", "last_name": "Quay"}
SECRET = "a secret of our own, long enough"
HMAC = {"STABLES_WEBHOOK_SCHEME": "hmac", "STABLES_WEBHOOK_SECRET": SECRET}


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url) as made:
        made.switch(review_s=100_000, link_for_existing="link")
        yield made


@pytest.fixture
def subscribed(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url, STABLES_WEBHOOK_SCHEME="hmac", STABLES_WEBHOOK_SECRET=SECRET) as made:
        yield made


def setup(ramp: Offramp, content: object | None = None, external: str | None = None) -> dict[str, Any]:
    return ramp.system.services.onboarding.setup(content, external_id=external, who="ann")


def status(ramp: Offramp, which: str | None = None) -> dict[str, Any]:
    return ramp.system.services.onboarding.status(which)


def made(ramp: Offramp) -> int:
    """Customers there are besides the one that is there from the start."""
    return len(ramp.system.services.stables.list_customers().value) - 1  # type: ignore[union-attr]


def judge(ramp: Offramp, customer: str, verification: str, **more: Any) -> None:
    ramp.post(f"customers/{customer}", {"verification": verification, **more})


# --- setup -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [BUSINESS, PERSON], ids=["business", "individual"])
def test_a_merchant_is_made_once_however_often_it_is_set_up(ramp: Offramp, who: dict[str, str]) -> None:
    first = setup(ramp, who)
    assert (first["outcome"], first["type"], first["payouts"]) == ("made", who["customer_type"], False)
    assert first["verification_link"].startswith("http")
    again = setup(ramp, who)
    assert (again["outcome"], again["stables_customer_id"]) == ("known", first["stables_customer_id"])
    assert again["verification_link"] is None
    assert setup(ramp)["outcome"] == "known"
    assert made(ramp) == 1


def test_a_customer_that_is_there_is_found_by_its_external_id_and_not_changed(ramp: Offramp) -> None:
    found = setup(ramp, PERSON, EXTERNAL_CUSTOMER_ID)
    assert (found["outcome"], found["stables_customer_id"], found["payouts"]) == ("found", CUSTOMER_ID, True)
    assert any("not changed" in one for one in found["warnings"])
    assert any("Stables has it as business" in one for one in found["warnings"])
    assert made(ramp) == 0
    assert setup(ramp, None, EXTERNAL_CUSTOMER_ID)["outcome"] == "known"


def test_a_customer_that_nobody_knows_and_nobody_describes_is_asked_about(ramp: Offramp) -> None:
    with pytest.raises(RequestRefused, match="--file"):
        setup(ramp)
    with pytest.raises(RequestRefused, match="printable"):
        setup(ramp, BUSINESS, " ")
    assert status(ramp)["next"] == ["checkout stables setup --file FILE"]


@pytest.mark.parametrize(
    "fault", ["error_500_after_work", "drop_connection_after_work", "error_503_after_work", "garbage_after_work"]
)
def test_an_answer_that_never_came_leaves_one_customer(ramp: Offramp, fault: str) -> None:
    ramp.fault("verification/link", fault)
    with pytest.raises(NotPossible, match="nobody knows"):
        setup(ramp, BUSINESS)
    assert status(ramp)["merchants"][0]["stables_customer_id"] is None
    again = setup(ramp)
    assert again["outcome"] in ("made", "found")
    assert made(ramp) == 1
    keys = [one["key"] for one in ramp.control("idempotency") if "verification" in one["path"]]
    assert len(keys) == 1


def test_a_500_that_is_replayed_for_a_day_ends_by_looking_the_customer_up(ramp: Offramp) -> None:
    ramp.fault("verification/link", "error_500_before_work")
    for _ in range(3):
        with pytest.raises(NotPossible):
            setup(ramp, BUSINESS)
    assert setup(ramp, BUSINESS)["outcome"] == "made"  # absent in the list, the dead key is not used again
    assert made(ramp) == 1
    with ramp.system.database.read() as unit:
        tries = payouts.attempts_of(unit, status(ramp)["merchants"][0]["id"], "customer")
    assert [one.state for one in tries] == ["dead", "accepted"]


def test_other_details_after_an_unknown_answer_are_another_request_under_another_key(ramp: Offramp) -> None:
    ramp.fault("verification/link", "error_503_before_work")
    with pytest.raises(NotPossible):
        setup(ramp, BUSINESS)
    ramp.fault("verification/link", "error_503_before_work")
    with pytest.raises(NotPossible):
        setup(ramp, {**BUSINESS, "company_name": "Quayside Trading GmbH"})
    assert setup(ramp)["name"] == "Quayside Trading GmbH"
    assert made(ramp) == 1


def test_somebody_else_who_makes_the_customer_meanwhile_is_found(ramp: Offramp) -> None:
    ramp.switch(link_for_existing="conflict")
    ramp.fault("verification/link", "error_503_after_work")
    with pytest.raises(NotPossible):
        setup(ramp, BUSINESS)
    with ramp.system.database.write() as unit:  # its key is lost, as by a restored backup
        merchant = status_row(ramp)
        for one in payouts.attempts_of(unit, merchant, "customer"):
            payouts.update_attempt(unit, one.id, state="dead")
    assert setup(ramp)["outcome"] == "found"
    assert made(ramp) == 1


def status_row(ramp: Offramp) -> str:
    return str(status(ramp)["merchants"][0]["id"])


def test_documents_and_sanctioned_countries_are_refused_before_anything_is_asked(ramp: Offramp) -> None:
    before = len(ramp.control("requests"))
    with pytest.raises(RequestRefused) as caught:
        setup(
            ramp,
            {
                **PERSON, "id_documents": [], "nationality": "KP", "dob": "2030-01-01", "phone": "030 12", "email": "no",
                "company_name": "x", "address": {"line1": "1", "city": "Sevastopol", "country": "UA"},
            },
        )  # fmt: skip
    assert set(caught.value.fields) == {
        "id_documents", "nationality", "dob", "phone", "email", "company_name", "address.country"
    }  # fmt: skip
    with pytest.raises(RequestRefused, match="customer_type"):
        setup(ramp, {"customer_type": "club"})
    with pytest.raises(RequestRefused, match="one JSON object"):
        setup(ramp, [])
    assert len(ramp.control("requests")) == before
    assert any("Turkey" in one for one in setup(ramp, {**BUSINESS, "country": "TR"})["warnings"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("website", "shop"), ("is_dao", "yes"), ("alternative_names", "Quay"), ("alternative_names", [1]),
        ("legal_address", {"street": "1"}), ("legal_address", {"line1": 1, "city": "x", "country": "DE"}),
        ("legal_address", {"line1": "1"}), ("legal_address", {"line1": "1", "city": "x", "country": "de"}),
        ("country", "Germany"), ("company_name", ""), ("company_name", 7), ("incorporated_on", "1.2.2020"),
    ],
)  # fmt: skip
def test_each_detail_has_its_form(sqlite_ramp: Offramp, field: str, value: object) -> None:
    with pytest.raises(RequestRefused) as caught:
        setup(sqlite_ramp, {**BUSINESS, field: value})
    assert {name.split(".")[0] for name in caught.value.fields} == {field}


@pytest.fixture(scope="module")
def sqlite_ramp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{tmp_path_factory.mktemp('ramp') / 'checkout.db'}") as made:
        yield made
        made.system.services.stables.list_customers()  # something is recorded, and kept to the contract


def test_a_customer_without_the_payout_entitlement_is_asked_one(ramp: Offramp) -> None:
    ramp.switch(customer_payout="absent")
    setup(ramp, None, EXTERNAL_CUSTOMER_ID)
    asked = [one for one in ramp.control("requests") if one["method"] == "PATCH"]
    assert [one["path"] for one in asked] == [f"/api/v1/customer/{CUSTOMER_ID}"]
    assert "base_payout" in asked[0]["body"]


# --- status ------------------------------------------------------------------------------------------------------------


def test_levels_entitlements_and_reasons_are_told_in_plain_words(ramp: Offramp) -> None:
    customer = setup(ramp, BUSINESS)["stables_customer_id"]
    judge(ramp, customer, "requires_action", sub_status=["FILE_EMPTY", "BAD_PROOF_OF_ADDRESS"])
    (shown,) = status(ramp)["merchants"]
    (level,) = shown["levels"]
    assert level["means"].startswith("Stables waits for you")
    assert [one["code"] for one in level["reasons"]] == ["FILE_EMPTY", "BAD_PROOF_OF_ADDRESS"]
    assert level["reasons"][0]["means"].startswith("A file is empty. Submit it again")
    assert (shown["payouts"], shown["entitlements"][0]["is"]) == (False, "payouts to banks")
    assert "checkout stables link" in shown["next"][0]
    judge(ramp, customer, "rejected")
    assert "ask Stables why" in status(ramp, customer)["merchants"][0]["next"][0]
    judge(ramp, customer, "approved", base_payout="in_progress")
    assert "not granted yet" in status(ramp)["merchants"][0]["next"][0]
    judge(ramp, customer, "approved")
    done = status(ramp, shown["external_customer_id"])["merchants"][0]
    assert (done["payouts"], done["next"]) == (True, [])
    with ramp.system.database.read() as unit:
        standing = payouts.standing_of(unit, customer)
    assert standing is not None
    assert standing["base_payout"] == "approved"
    with pytest.raises(NotFound):
        status(ramp, "nobody")


def test_a_403_asks_about_the_allowlist_wherever_it_comes(ramp: Offramp) -> None:
    setup(ramp, BUSINESS)
    ramp.switch(ip_allowed=False)
    services = ramp.system.services
    asks: tuple[Callable[[], object], ...] = (
        lambda: status(ramp),
        lambda: setup(ramp, PERSON, "another"),
        lambda: services.onboarding.link(None, life=timedelta(minutes=30), who="ann"),
        lambda: services.subscriptions.look(deliveries=1),
    )
    for ask in asks:
        with pytest.raises(NotPossible, match="is this server's IP address on the allowlist"):
            ask()


def test_a_key_of_another_form_is_remarked_on_and_never_shown(database_url: str) -> None:
    with offramp(database_url, STABLES_API_KEY="odd_key_0123456789") as ramp:
        ramp.system.services.onboarding.key_warnings()
        (said,) = ramp.system.services.onboarding.key_warnings()
        assert "sti_test_" in said
        assert "odd_key" not in said
        with pytest.raises(NotPossible, match="whole key"):
            setup(ramp, BUSINESS)


# --- the link ----------------------------------------------------------------------------------------------------------


def test_a_link_is_shown_once_named_to_its_customer_and_not_kept(ramp: Offramp) -> None:
    customer = setup(ramp, BUSINESS)["stables_customer_id"]
    link = ramp.system.services.onboarding.link(None, life=timedelta(minutes=5), who="ann")
    assert link["stables_customer_id"] == customer
    asked = [one for one in ramp.control("requests") if one["path"].endswith("/verification/link")][-1]
    assert '"ttl_in_secs":300' in asked["body"]
    assert "/verification/returned" in asked["body"]
    with ramp.system.database.read() as unit:
        acts = moves.acts_on(unit, status(ramp)["merchants"][0]["id"])
    assert [one["action"] for one in acts] == ["merchant made at Stables", "verification link made"]
    assert link["verification_link"] not in repr(acts)
    with pytest.raises(RequestRefused):
        ramp.system.services.onboarding.link(None, life=timedelta(seconds=1), who="ann")


def test_a_provider_that_gives_no_second_link_is_answered_with_its_dashboard(ramp: Offramp) -> None:
    setup(ramp, BUSINESS)
    ramp.switch(link_for_existing="conflict")
    with pytest.raises(NotPossible, match="dashboard"):
        ramp.system.services.onboarding.link(None, life=timedelta(minutes=30), who="ann")


def test_a_link_is_for_one_merchant_that_is_at_stables(ramp: Offramp) -> None:
    links = ramp.system.services.onboarding
    with pytest.raises(NotFound):
        links.link(None, life=timedelta(minutes=30), who="ann")
    setup(ramp, BUSINESS)
    setup(ramp, PERSON, "second")
    with pytest.raises(NotPossible, match="name one"):
        links.link(None, life=timedelta(minutes=30), who="ann")
    assert links.link("second", life=timedelta(minutes=30), who="ann")["verification_link"]
    ramp.fault("verification/link", "error_503_before_work")
    with pytest.raises(NotPossible, match="nobody knows"):
        links.link("second", life=timedelta(minutes=30), who="ann")


# --- webhooks ----------------------------------------------------------------------------------------------------------


def test_the_endpoint_is_subscribed_once(subscribed: Offramp) -> None:
    webhooks = subscribed.system.services.subscriptions
    assert any("no active subscription" in one for one in webhooks.look(deliveries=5)["problems"])
    first = webhooks.subscribe(who="ann")
    assert (first["outcome"], first["events"], first["ours"]) == ("made", ["all"], True)
    assert webhooks.subscribe(who="ann")["outcome"] == "known"
    found = webhooks.look(deliveries=5)
    assert len(found["subscriptions"]) == 1
    assert [one for one in found["problems"] if "http" not in one] == []
    assert HMAC["STABLES_WEBHOOK_SECRET"] not in repr(found)


@pytest.mark.parametrize("fault", ["error_500_after_work", "drop_connection_after_work"])
def test_a_lost_answer_to_a_subscription_leaves_one(subscribed: Offramp, fault: str) -> None:
    subscribed.fault("webhooks", fault)
    assert subscribed.system.services.subscriptions.subscribe(who="ann")["outcome"] == "found"
    assert len(subscribed.system.services.subscriptions.look(deliveries=0)["subscriptions"]) == 1


def test_a_subscription_that_was_not_made_is_said_to_be_unknown_and_made_by_the_next_run(subscribed: Offramp) -> None:
    subscribed.fault("webhooks", "error_503_before_work")
    with pytest.raises(NotPossible, match="could not be asked"):
        subscribed.system.services.subscriptions.subscribe(who="ann")
    assert subscribed.system.services.subscriptions.subscribe(who="ann")["outcome"] == "made"


def test_the_dashboards_scheme_is_not_mixed_with_the_apis(ramp: Offramp) -> None:
    webhooks = ramp.system.services.subscriptions
    with pytest.raises(NotPossible, match="dashboard"):
        webhooks.subscribe(who="ann")
    assert webhooks.look(deliveries=5)["problems"] == []
    outcome = ramp.system.services.stables.create_webhook(
        name="by hand", url=webhooks.endpoint, event_types=("customer.created",), secret="x",
        key="12bd9e7c-02fe-4ea9-84e2-52264aaf8790",
    )  # fmt: skip
    assert type(outcome).__name__ == "Accepted"
    assert "refused" in webhooks.look(deliveries=5)["problems"][0]


def test_a_subscription_that_brings_too_little_or_comes_twice_is_named(subscribed: Offramp) -> None:
    webhooks = subscribed.system.services.subscriptions
    subscribed.system.services.stables.create_webhook(
        name="by hand", url=webhooks.endpoint, event_types=("customer.created",), secret="x",
        key="12bd9e7c-02fe-4ea9-84e2-52264aaf8790",
    )  # fmt: skip
    assert webhooks.subscribe(who="ann")["outcome"] == "made"
    problems = " ".join(webhooks.look(deliveries=0)["problems"])
    assert "several point here" in problems
    assert "does not bring kyc_link.updated.status_transitioned, transfer.created" in problems


def test_the_newest_deliveries_are_told_in_words(subscribed: Offramp) -> None:
    webhooks = subscribed.system.services.subscriptions
    webhooks.subscribe(who="ann")
    subscribed.switch(subscriptions_deliver=True, other_webhooks=True)
    setup(subscribed, BUSINESS)
    subscribed.wait(lambda: bool(webhooks.look(deliveries=50)["deliveries"]))
    newest = webhooks.look(deliveries=1)
    assert len(newest["deliveries"]) == 1
    assert newest["deliveries"][0]["status"] in ("PENDING", "RETRYING", "FAILED")
    assert newest["deliveries"][0]["means"] != ""
    assert webhooks.look(deliveries=0)["deliveries"] == []


def test_a_delivery_log_that_cannot_be_seen_is_no_failure(subscribed: Offramp, database_url: str) -> None:
    webhooks = subscribed.system.services.subscriptions
    webhooks.subscribe(who="ann")
    subscribed.switch(list_only=True)
    assert "404" in webhooks.look(deliveries=5)["deliveries_note"]
    subscribed._spoils_answers = True
    subscribed._http.post(
        "/_control/faults", json={"path": "deliveries", "method": "GET", "fault": "error_503_before_work", "times": 1}
    ).raise_for_status()
    assert "no usable answer" in webhooks.look(deliveries=5)["deliveries_note"]


def test_without_the_extras_no_delivery_log_is_asked_for(database_url: str) -> None:
    with offramp(database_url, STABLES_EXTRAS="off") as ramp:
        assert "STABLES_EXTRAS" in ramp.system.services.subscriptions.look(deliveries=5)["deliveries_note"]


# --- personal data -----------------------------------------------------------------------------------------------------


def test_who_the_merchant_is_is_kept_sealed_and_logged_nowhere(ramp: Offramp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="checkout")
    ident = setup(ramp, PERSON)["id"]
    with ramp.system.database.read() as unit:
        rows = unit.connection.exec_driver_sql("SELECT * FROM merchant").all()
        acts = moves.acts_on(unit, ident)
    assert b"Ada" not in bytes(rows[0].request_sealed)
    assert "ada@quay.example" not in repr(acts) + caplog.text


# --- keys before bytes -------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("kind", ["customer", "link", "webhook"])
def test_the_key_is_stored_before_the_first_byte_and_a_killed_process_asks_again_under_it(
    database_url: str, kind: str
) -> None:
    keys: list[tuple[str, bool]] = []
    customers: list[dict[str, Any]] = []
    dying = [True]
    ready: list[System] = []

    def stables(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            if request.url.path == "/api/v1/webhooks":
                return httpx.Response(200, json={"subscriptions": [], "page": {"nextPageToken": "", "total": 0}})
            shown: Any = {"customers": customers} if request.url.path.endswith("customers") else customers[0]
            return httpx.Response(200, json=shown)
        key = request.headers["idempotency-key"]
        with ready[0].database.read() as unit:
            stored = unit.connection.exec_driver_sql("SELECT key FROM attempt").scalars().all()
        asked_for = "webhook" if request.url.path.endswith("webhooks") else "link" if customers else "customer"
        if asked_for == kind:
            keys.append((key, key in stored))
            if dying.pop() if dying else False:
                raise Killed
        if asked_for == "webhook":
            made = {
                "subscriptionId": CUSTOMER_ID,
                "name": "checkout",
                "url": "http://x",
                "eventTypes": ["all"],
                "active": True,
            }
            return httpx.Response(200, json={"subscription": made})
        if not customers:
            customers.append({**json.loads(request.content), "customer_id": CUSTOMER_ID, "entitlements": PENDING})
        return httpx.Response(200, json={"customer_id": CUSTOMER_ID, "kyc_link": "https://kyc.example/1"})

    ready.append(make_system(database_url, stables=httpx.MockTransport(stables), settings=HMAC))
    services = ready[0].services

    def act() -> None:
        if kind == "webhook":
            services.subscriptions.subscribe(who="ann")
        services.onboarding.setup(BUSINESS, external_id="shop", who="ann")
        services.onboarding.link("shop", life=timedelta(minutes=30), who="ann")

    with pytest.raises(Killed):
        act()
    act()
    assert [stored for _, stored in keys] == [True, True]
    assert keys[0][0] == keys[1][0]
    ready[0].close()


PENDING = [{"name": "base_payout", "status": "submitted"}]
