"""Withdrawal events: bound by reference or by both our identifiers, in both generations, in any order, each once."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from checkout.refunding.refund_resolving import Resolution
from checkout.store import refunds
from tests.deliveries import fates, last
from tests.flows.refund_days import (
    answering,
    approved,
    ask,
    attempt,
    deliver,
    hear,
    later,
    news,
    paid,
    row,
    state,
    taken,
)
from tests.system import System, make_system

REFERENCE: dict[str, Any] = {"idempotencyKey": ..., "websiteReference": ...}
OURS: dict[str, Any] = {"reference": ...}


def sent_out(system: System, amount: str = "9.00") -> str:
    """A refund that Stable Mint has taken, and no news of it."""
    return approved(system, paid(system).payment_id, amount)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("names", [{}, REFERENCE, OURS], ids=["all", "reference", "ours"])
def test_the_whole_way_is_heard_in_both_generations_by_either_name(
    system: System, version: str, names: dict[str, Any]
) -> None:
    ident = sent_out(system)
    for word, after in (("requested", "sending"), ("accepted", "accepted"), ("sent", "sent")):
        hear(system, ident, word, version=version, **names)
        assert state(system, ident) == after
    assert last(system).subject == ident
    assert system.cases() == []


@pytest.mark.parametrize("order", list(itertools.permutations(["requested", "accepted", "sent"])), ids="-".join)
def test_any_order_ends_the_same(sqlite_system: System, order: tuple[str, ...]) -> None:
    ident = sent_out(sqlite_system)
    hear(sqlite_system, ident, *order)
    assert (state(sqlite_system, ident), sqlite_system.balances(), sqlite_system.cases()) == ("sent", {}, [])


@pytest.mark.parametrize("order", list(itertools.permutations(["accepted", "sent", "failed"])), ids="-".join)
def test_failed_and_sent_together_moves_the_money_once_and_asks_a_person(
    system: System, order: tuple[str, ...]
) -> None:
    ident = sent_out(system)
    hear(system, ident, *order)
    assert (state(system, ident), system.balances(), system.cases()) == ("sent", {}, ["refund_contradiction"])
    assert system.services.report.balance()["balanced"]


def test_failed_gives_the_money_back_and_tells_the_shop(system: System) -> None:
    settled = paid(system)
    ident = approved(system, settled.payment_id)
    hear(system, ident, "accepted", "failed", "failed")
    assert (state(system, ident), system.told(ident)[-1]) == ("failed", "refund.failed")
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    assert ask(system, settled.payment_id).row.state == "requested"


def test_sent_after_failed_where_the_money_is_already_elsewhere_moves_nothing_and_asks_a_person(
    system: System,
) -> None:
    settled = paid(system)
    first = approved(system, settled.payment_id)
    hear(system, first, "failed")
    second = approved(system, settled.payment_id)
    hear(system, second, "sent")
    hear(system, first, "sent")
    assert (state(system, first), state(system, second)) == ("failed", "sent")
    assert system.cases() == ["refund_contradiction"]
    assert system.balances() == {}


def test_sent_after_failed_when_the_deposit_went_into_a_record_asks_a_person(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    ident = approved(system, settled.payment_id)
    hear(system, ident, "failed")
    system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[settled.id],
        evidence="a statement", who="ann",
    )  # fmt: skip
    hear(system, ident, "sent")
    assert (state(system, ident), system.cases()) == ("failed", ["refund_contradiction"])
    assert system.services.report.balance()["balanced"]


def test_news_that_names_the_withdrawal_resolves_an_unknown(system: System) -> None:
    settled = paid(system)
    with answering(system, taken("W1")):
        known = approved(system, settled.payment_id, "1.00")
    with answering(system, httpx.Response(500)):
        unknown = approved(system, settled.payment_id, "2.00")
    hear(system, known, "requested")
    assert state(system, unknown) == "unknown"
    hear(system, unknown, "requested", reference="W2")
    assert (state(system, unknown), row(system, unknown).reference) == ("sending", "W2")
    assert attempt(system, unknown).state == "accepted"
    hear(system, unknown, "sent", **REFERENCE)
    assert (state(system, unknown), system.cases()) == ("sent", [])


def test_a_reference_that_nobody_knows_yet_waits_until_it_is_known(system: System) -> None:
    settled = paid(system)
    with answering(system, httpx.ReadTimeout("no answer")):
        ident = approved(system, settled.payment_id)
    deliver(system, news(system, ident, "sent", reference="W5", **REFERENCE))
    assert fates(system)[-1] == ("unmatched", "names no refund of ours yet")
    deliver(system, news(system, ident, "requested", reference="W5"))
    system.work()
    assert state(system, ident) == "sent"


@pytest.mark.parametrize(
    "fields",
    [
        {"idempotencyKey": "another"}, {"websiteReference": "another"}, {"reference": "OTHER"},
        {"amount": 8.99}, {"amount": 9.001}, {"amount": "NaN"}, {"currency": "USD"}, {"currency": "DOGE"}, {"currency": 5},
        {"partnerName": "Somebody Else"},
    ],
)  # fmt: skip
def test_what_does_not_agree_moves_nothing_and_asks_a_person(tmp_path: Any, fields: dict[str, Any]) -> None:
    system = make_system(f"sqlite:///{tmp_path / 'x.db'}", STABLE_MINT_PARTNER_NAME="Demo")
    ident = sent_out(system)
    deliver(system, news(system, ident, "sent", **fields))
    assert fates(system)[-1][0] == "quarantined"
    assert (state(system, ident), system.cases()) == ("sending", ["event_quarantined"])
    system.close()


def test_identifiers_of_two_refunds_are_a_contradiction(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    one, other = approved(system, settled.payment_id, "1.00"), approved(system, settled.payment_id, "1.00")
    deliver(system, news(system, one, "sent", reference=row(system, other).reference))
    assert fates(system)[-1] == ("quarantined", "its identifiers name different withdrawals")
    assert (state(system, one), state(system, other)) == ("sending", "sending")


def test_half_of_our_identifiers_names_nobody(sqlite_system: System) -> None:
    ident = sent_out(sqlite_system)
    deliver(sqlite_system, news(sqlite_system, ident, "sent", reference=..., idempotencyKey=...))
    assert fates(sqlite_system)[-1] == ("ignored", "known; moves nothing")
    assert state(sqlite_system, ident) == "sending"


def test_an_event_need_not_state_money(sqlite_system: System) -> None:
    ident = sent_out(sqlite_system)
    hear(sqlite_system, ident, "sent", amount=..., currency=..., partnerName=...)
    assert state(sqlite_system, ident) == "sent"


def test_the_same_news_twice_is_news_once(sqlite_system: System) -> None:
    system = sqlite_system
    ident = sent_out(system)
    hear(system, ident, "accepted", "accepted", "requested")
    assert [one for one in fates(system) if one == ("ignored", "nothing new")] == [("ignored", "nothing new")] * 2
    assert system.told(ident) == ["refund.requested", "refund.sending", "refund.accepted"]


def test_somebody_elses_withdrawal_waits_and_then_asks_a_person(sqlite_system: System) -> None:
    system = sqlite_system
    body = {"eventId": "e-1", "data": {"eventType": "partner.customer.withdrawal.sent", "reference": "NOT-OURS"}}
    deliver(system, json.dumps(body).encode())
    assert fates(system) == [("unmatched", "names no refund of ours yet")]
    for _ in range(20):
        system.clock.advance(hours=1)
        system.work()
    assert system.cases() == ["event_unmatched"]


def test_news_of_a_withdrawal_that_was_never_sent_stops_its_approval(sqlite_system: System) -> None:
    """Void by a pause before its first byte, and the provider tells of it all the same: never send it unseen."""
    system = sqlite_system
    ident = ask(system, paid(system).payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    with system.database.write() as unit:
        refunds.update_refund(unit, ident, website_reference="web-1", due_at=None)
        refunds.insert_withdrawal(unit, "att_1", ident, "key-1", at=system.clock())
        refunds.update_attempt(unit, "att_1", state="dead")
    deliver(system, news(system, ident, "accepted", reference="GHOST"))
    found = row(system, ident)
    assert (found.state, found.approved_by, system.cases()) == ("requested", None, ["refund_contradiction"])


def test_a_failure_heard_after_a_person_called_it_failed_changes_nothing(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    with answering(system, httpx.Response(500)):
        ident = approved(system, settled.payment_id)
    later(system)
    system.services.refund_resolving.resolve(ident, Resolution.FAILED, evidence="they say so", who="ann")
    hear(system, ident, "failed", reference="W1")
    assert (state(system, ident), system.cases()) == ("failed", [])
    hear(system, ident, "accepted", reference="W1")
    assert state(system, ident) == "failed"


def test_the_trace_shows_the_refund_from_its_id_and_its_reference(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    with answering(system, taken("W-TRACE")):
        ident = approved(system, settled.payment_id, "4.00")
    hear(system, ident, "sent")
    for name in (ident, "W-TRACE"):
        (line,) = system.services.report.trace(name)["payments"]
        (shown,) = line["refunds"]
        assert (line["id"], shown["id"], shown["state"]) == (settled.payment_id, ident, "sent")
        assert [(one["credit"], one["debit"], one["amount"]) for one in shown["postings"]] == [
            ("stable_mint_settled", "refunds_payable", "4.00"),
            ("refunds_payable", "shopper_receivable", "4.00"),
        ]
