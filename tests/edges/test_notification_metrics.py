"""What an alarm watches of notifications: how many wait and since when, and how the endpoints are."""

from __future__ import annotations

from pathlib import Path

import httpx

from checkout.web.metrics import DatabaseCollector
from tests.flows.notification_days import Shops, another_store, endpoint, news, telling
from tests.system import System, make_system


def figures(system: System) -> dict[str, float]:
    """Every sample about notifications, by name and labels."""
    found = {}
    for family in DatabaseCollector(system.database, system.clock).collect():
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            if "notification" in sample.name or "notification" in labels:
                found[f"{sample.name} {labels}".strip()] = sample.value
    return found


def test_what_waits_at_endpoints_that_fail_or_are_disabled_is_seen_and_is_nobody_s_late_work(tmp_path: Path) -> None:
    system = make_system(f"sqlite:///{tmp_path / 'checkout.db'}")
    try:
        endpoint(system, "down.example", store_id=another_store(system, "Other"))
        gone = endpoint(system, "gone.example", events=["refund.*"])
        other = system.services.stores.find("Other").id
        with telling(system, Shops({"down.example": httpx.ConnectError("down"), "gone.example": 410})) as ours:
            news(ours, 3, store_id=other, about="stuck")
            news(ours, 2, about="fine")
            news(ours, 1, about="lost", kind="refund.sent")
            ours.work()
            ours.services.endpoints.remove(gone, who="ann")
            endpoint(system, "gone.example", events=["refund.*"])
            news(ours, 1, about="lost-too", kind="refund.sent")
            ours.work()
        system.clock.advance(seconds=2)
        found = figures(system)
    finally:
        system.close()
    assert found["checkout_notifications pending"] == 3
    assert found["checkout_notifications abandoned"] == 2
    assert found["checkout_notifications_oldest_pending_seconds"] >= 2
    assert found["checkout_notification_endpoints active"] == 1
    assert found["checkout_notification_endpoints failing"] == 1
    assert found["checkout_notification_endpoints disabled"] == 1, "what was removed is not counted"
    assert found["checkout_work_due notification_delivery"] == 0, (
        "what waits for a dead shop is not late by our own fault"
    )
    assert found["checkout_work_leased notification_delivery"] == 0
