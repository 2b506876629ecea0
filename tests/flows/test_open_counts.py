"""What a scrape counts: only what is open, by an index, so that years of rows cost nothing; and what waits for evidence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from checkout.refunding.refund_resolving import Resolution
from checkout.store import metrics
from checkout.store.metrics import Figures, figures
from tests.flows.refund_days import answering, approved, ask, hear, paid, taken
from tests.system import System

#: Tables that grow with every order: a scrape may not read one of them whole.
GROWING = ("payment", "session", "payout", "refund", "event", "notification_delivery")


def scrape(system: System) -> Figures:
    with system.database.read() as unit:
        return figures(unit, now=system.clock.now)


def plans(system: System) -> list[str]:
    """How the database would read for each statement of a scrape."""
    seen: list[tuple[str, Any]] = []
    engine = system.database.engine

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        seen.append((statement, parameters))

    scrape(system)
    event.remove(engine, "before_cursor_execute", note)
    found = []
    with system.database.read() as unit:
        if not unit.is_sqlite:  # small tables are read whole unless that is made dear
            unit.execute(text("SET enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN " if unit.is_sqlite else "EXPLAIN "
        for statement, parameters in seen:
            if statement.lstrip().upper().startswith("SELECT"):
                rows = unit.connection.exec_driver_sql(explain + statement, parameters)
                found.append("\n".join(str(row) for row in rows))
        if not unit.is_sqlite:
            unit.execute(text("RESET enable_seqscan"))
    return found


def test_no_scrape_reads_a_growing_table_whole(system: System) -> None:
    paid(system)
    made = plans(system)
    assert len(made) > 10
    for plan in made:
        for table in GROWING:
            for whole in (f"SCAN {table}'", f"SCAN {table} ", f"Seq Scan on {table}"):
                assert whole not in plan or f"SCAN {table} USING" in plan, plan
    together = "\n".join(made)
    for index in ("ix_payout_live", "ix_refund_live", "ix_event_state"):
        assert index in together


def test_refunds_are_counted_by_state_with_the_age_of_the_oldest(sqlite_system: System) -> None:
    system = sqlite_system
    first = ask(system, paid(system).payment_id, "4.00").row.id
    system.clock.advance(hours=2)
    ask(system, paid(system).payment_id, "4.00")
    third = paid(system).payment_id
    with answering(system, taken()):
        sent = approved(system, third, "4.00")
    hear(system, sent, "accepted")
    found = scrape(system).refunds
    assert {state: there.count for state, there in found.items()} == {"requested": 2, "accepted": 1}
    since = found["requested"].since
    assert since is not None
    assert timedelta(hours=2) <= system.clock.now - since < timedelta(hours=3)
    hear(system, sent, "sent")
    system.services.refund_resolving.resolve(first, Resolution.STOPPED, evidence="kept after all", who="ann")
    assert {state: there.count for state, there in scrape(system).refunds.items()} == {"requested": 1}


def test_what_is_over_is_not_counted(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    before = scrape(system)
    assert (before.payments, before.sessions) == ({"open": 1}, {})
    system.hear(session, "accepted")
    assert scrape(system).payments == {"accepted": 1}
    system.hear(session, "completed")
    after = scrape(system)
    assert (after.payments, after.payouts, after.events) == ({}, {}, {})


def test_the_states_of_the_indexes_are_those_that_are_counted() -> None:
    assert [state.value for state in metrics.LIVE_REFUNDS] == [
        "requested", "needs_details", "needs_funding", "sending", "unknown", "accepted",
    ]  # fmt: skip
    assert len(metrics.LIVE_PAYOUTS) == 10


# --- what waits for evidence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["9.00", "4.00"])
def test_what_was_refunded_does_not_wait_for_evidence(system: System, amount: str) -> None:
    settled = paid(system)
    other = paid(system)
    ident = approved(system, settled.payment_id, amount)
    overview = system.services.treasury.overview
    waiting = {one["deposit"]: one for one in overview("Shop")["waiting_for_evidence"]}
    assert waiting[settled.id]["refund_under_way"]
    assert waiting[settled.id]["amount"] == {"9.00": "0.00", "4.00": "5.00"}[amount]
    hear(system, ident, "sent")
    shown = overview("Shop")
    left = {one["deposit"]: one["amount"] for one in shown["waiting_for_evidence"]}
    assert left == ({other.id: "9.00"} if amount == "9.00" else {settled.id: "5.00", other.id: "9.00"})
    assert shown["waiting"] == len(left)
    assert shown["waiting_by_age"]["EUR"] == {"under a day": "9.00" if amount == "9.00" else "14.00"}
