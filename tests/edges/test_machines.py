"""What machines ask: health, readiness, and figures without names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from checkout.app import create_app
from checkout.store.metrics import QUEUES
from checkout.store.tables import metadata
from tests.edges.api_fixtures import GOOD, Api, api, make_api, problem, shared_api

__all__ = ["api", "shared_api"]

TOKEN = "metrics-token-0123456789"


def scrape(api: Api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every figure by name and labels, but for the process."""
    answer = api.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (
            sample.name,
            frozenset((name, value) for name, value in sample.labels.items() if name != "process"),
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(found: Mapping[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def asked(api: Api, peer: str, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.client.get("/metrics", headers=named, environ_overrides={"REMOTE_ADDR": peer})


def test_health_is_the_process_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    api = make_api(folder)
    api.system.database.close()
    folder.rename(tmp_path / "away")
    assert api.client.get("/healthz").get_json() == {"alive": True}
    ready = api.client.get("/readyz")
    assert ready.status_code == 503
    assert ready.get_json() == {"ready": False, "database": False, "schema": False, "templates": True}
    assert figure(scrape(api), "checkout_database_up") == 0
    (tmp_path / "away").rename(folder)
    assert api.client.get("/readyz").status_code == 200
    api.system.close()


def test_ready_means_database_schema_and_templates(shared_api: Api) -> None:
    answer = shared_api.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json() == {"ready": True, "database": True, "schema": True, "templates": True}


def test_an_older_schema_is_not_ready(api: Api) -> None:
    with api.system.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'older'")
    answer = api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json() == {"ready": False, "database": True, "schema": False, "templates": True}


def test_missing_templates_are_not_ready(api: Api, tmp_path: Path) -> None:
    api.app.template_folder = str(tmp_path / "none")
    assert api.client.get("/readyz").get_json()["templates"] is False


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_metrics_are_answered_to_this_machine(shared_api: Api, peer: str) -> None:
    assert asked(shared_api, peer).status_code == 200


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1", "::2", "::ffff:10.0.0.1", "unix:", ""])
def test_metrics_are_not_answered_to_others(shared_api: Api, peer: str) -> None:
    problem(asked(shared_api, peer), 403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "203.0.113.9"},
        {"X_Forwarded_For": "127.0.0.1"},
        {"Forwarded": "for=203.0.113.9"},
        {"X_Real_Ip": "203.0.113.9"},
        {"Via": "1.1 proxy"},
    ],
)
def test_a_proxy_on_this_machine_does_not_make_everybody_local(shared_api: Api, headers: dict[str, str]) -> None:
    problem(asked(shared_api, "127.0.0.1", **headers), 403, "forbidden")


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("127.0.0.1", None, 200),
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1", "203.0.113.9", 403),
        ("127.0.0.1", "127.0.0.1, 203.0.113.9", 403),
        ("127.0.0.1", "203.0.113.9, 127.0.0.1", 403),
        ("203.0.113.9", "127.0.0.1", 403),
        ("127.0.0.1", "unknown", 403),
    ],
)
def test_behind_a_trusted_proxy_everybody_along_the_way_counts(
    proxied: Api, peer: str, forwarded: str | None, status: int
) -> None:
    headers = {} if forwarded is None else {"X_Forwarded_For": forwarded}
    assert asked(proxied, peer, **headers).status_code == status


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service behind one trusted proxy, with a metrics token."""
    folder = tmp_path_factory.mktemp("proxied")
    made = make_api(folder, CHECKOUT_TRUSTED_PROXIES="1", CHECKOUT_METRICS_TOKEN=TOKEN)
    yield made
    made.system.close()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("Bearer wrong", 403),
        ("Bearer ", 403),
        (f"Basic {TOKEN}", 403),
        (TOKEN, 403),
        ("Bearer \xff", 403),
    ],
)
def test_from_elsewhere_the_token_opens_the_metrics(proxied: Api, authorization: str, status: int) -> None:
    answer = asked(proxied, "203.0.113.9", Authorization=authorization, X_Forwarded_For="203.0.113.9")
    assert answer.status_code == status


def test_without_a_token_set_no_bearer_opens_them(shared_api: Api) -> None:
    for text in ("Bearer ", "Bearer None"):
        problem(asked(shared_api, "203.0.113.9", Authorization=text), 403, "forbidden")


def test_figures_are_counted_from_the_database(api: Api) -> None:
    paid = api.open().get_json()["id"]
    api.open()
    api.system.hear(api.system.sessions(paid)[0], "completed", amount=5.0)
    api.deliver(b"nonsense", key="other")
    late = api.system.event(api.system.sessions(paid)[0], "created")
    api.deliver(late)
    api.system.clock.advance(minutes=2)
    found = scrape(api)
    assert figure(found, "checkout_database_up") == 1
    assert figure(found, "checkout_payments", status="open") == 1
    assert figure(found, "checkout_payments", status="submitted") == 1
    assert figure(found, "checkout_payments", status="accepted") == 0
    assert figure(found, "checkout_sessions", state="sending") == 0
    assert figure(found, "checkout_payouts", state="needs_decision") == 0
    assert figure(found, "checkout_payouts_oldest_seconds", state="needs_decision") == 0
    assert figure(found, "checkout_refunds", state="requested") == 0
    assert figure(found, "checkout_refunds_oldest_seconds", state="unknown") == 0
    assert figure(found, "checkout_events", provider="stable_mint", state="unverified") == 1
    assert figure(found, "checkout_events", provider="stables", state="received") == 0
    assert figure(found, "checkout_events_oldest_seconds", provider="stable_mint", state="received") == 120
    assert figure(found, "checkout_open_cases", kind="underpaid") == 1
    assert figure(found, "checkout_open_cases_oldest_seconds", kind="underpaid") >= 120
    assert figure(found, "checkout_notifications", state="pending") == 0
    assert figure(found, "checkout_work_due", queue="event") == 1
    assert figure(found, "checkout_work_due_oldest_seconds", queue="event") == 120
    assert figure(found, "checkout_work_leased", queue="event") == 0


def test_work_in_a_workers_hands_is_not_due(api: Api) -> None:
    api.system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    api.open()
    due = figure(scrape(api), "checkout_work_due", queue="session")
    api.system.clock.advance(minutes=1)
    assert (due, figure(scrape(api), "checkout_work_due", queue="session")) == (0, 1)


def test_every_queue_of_the_schema_is_watched() -> None:
    assert {table.name for table in metadata.sorted_tables if "lease_token" in table.c} == set(QUEUES)


def test_requests_are_counted_by_route_and_never_by_path(api: Api) -> None:
    ident = api.open().get_json()["id"]
    api.get(f"/v1/payments/{ident}")
    api.get("/v1/payments/none")
    api.client.get("/pay/secret-token")
    api.client.get("/invented/by/anybody")
    api.client.open("/healthz", method="BREW")
    api.deliver(b"{}", key="other")
    found = scrape(api)
    route = "/v1/payments/<payment_id>"
    assert figure(found, "checkout_http_requests_total", route="/v1/payments", method="POST", status="201") == 1
    assert figure(found, "checkout_http_requests_total", route=route, method="GET", status="200") == 1
    assert figure(found, "checkout_http_requests_total", route=route, method="GET", status="404") == 1
    assert figure(found, "checkout_http_requests_total", route="none", method="GET", status="404") == 1
    assert figure(found, "checkout_http_requests_total", route="none", method="other", status="405") == 1
    assert figure(found, "checkout_http_request_seconds_count", route=route) == 2
    assert figure(found, "checkout_webhook_deliveries_total", provider="stable_mint", receipt="refused") == 1


def test_no_figure_names_an_id_a_token_or_a_person(api: Api) -> None:
    customer = {"id": "c-17", "email": "jo@shop.example"}
    opened = api.open(flow="hosted_partner", customer=customer).get_json()
    api.system.hear(api.system.sessions(opened["id"])[0], "completed")
    api.client.get(opened["checkout_url"].removeprefix("http://127.0.0.1:8000"))
    text = api.client.get("/metrics").text
    for secret in (
        opened["id"], opened["checkout_url"].rpartition("/")[2], opened["provider"]["reference"], "c-17", "jo@shop",
        api.key, GOOD["order"], api.system.store.id,
    ):  # fmt: skip
        assert secret not in text
    assert re.search(r"\b[a-z]{3}_[0-9a-z]{26}\b", text) is None


def test_two_apps_of_one_process_never_share_a_count(api: Api) -> None:
    api.client.get("/healthz")
    other = create_app(api.system.services).test_client()
    assert "/healthz" not in other.get("/metrics").text
