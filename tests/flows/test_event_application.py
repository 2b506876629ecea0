"""Applying stored deliveries: bound to a session of ours or not applied, exact or not applied, and never dropped."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from checkout.inbox import Receipt
from checkout.store import payments
from checkout.store.records import SessionRow
from tests.deliveries import cases_about, fates, last, money_of
from tests.system import System, make_system


def opened(system: System) -> SessionRow:
    """The session of a fresh payment."""
    return system.sessions(system.pay().payment.id)[0]


def hear_raw(system: System, body: bytes) -> tuple[str, str]:
    """Deliver, apply, and say what became of it."""
    assert system.deliver(body) is Receipt.STORED
    system.clock.advance(milliseconds=1)
    system.work()
    row = last(system)
    return row.state, row.note


def nameless(session: SessionRow, **named: Any) -> dict[str, Any]:
    """Fields of an event that carries no identifiers but those given."""
    absent = dict.fromkeys(("reference", "sessionId", "websiteReference", "idempotencyKey"), ...)
    return {**absent, **named}


# --- bound -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reference", "session id", "both of ours"])
def test_each_correlation_alone_is_enough(system: System, name: str) -> None:
    session = opened(system)
    system.hear(session, "created")  # teaches the session's id
    named: dict[str, dict[str, Any]] = {
        "reference": {"reference": session.reference},
        "session id": {"sessionId": f"sid-{session.id}"},
        "both of ours": {"websiteReference": session.website_reference, "idempotencyKey": session.provider_key},
    }
    assert hear_raw(system, system.event(session, "completed", **nameless(session, **named[name]))) == ("applied", "")
    assert system.payment(session.payment_id).status == "settled"


@pytest.mark.parametrize("missing", ["websiteReference", "idempotencyKey"])
def test_one_of_our_two_identifiers_alone_proves_nothing(sqlite_system: System, missing: str) -> None:
    session = opened(sqlite_system)
    fields: dict[str, Any] = {"reference": ..., "sessionId": ..., missing: ...}
    state, note = hear_raw(sqlite_system, sqlite_system.event(session, "completed", **fields))
    assert (state, note) == ("unmatched", "names no session of ours yet")
    assert sqlite_system.balances() == {}


def test_an_event_about_somebody_elses_order_moves_nothing_of_ours(system: System) -> None:
    session = opened(system)
    theirs = nameless(session, reference="THEIRS", sessionId="theirs", websiteReference="a", idempotencyKey="b")
    assert hear_raw(system, system.event(session, "completed", **theirs))[0] == "unmatched"
    assert system.payment(session.payment_id).status == "open"
    assert system.balances() == {}


@pytest.mark.parametrize(
    "contradiction",
    [
        {"websiteReference": "00000000-0000-4000-8000-000000000000"},
        {"idempotencyKey": "00000000-0000-4000-8000-000000000000"},
        {"sessionId": "another"},
    ],
)
def test_identifiers_that_do_not_agree_are_a_contradiction(system: System, contradiction: dict[str, str]) -> None:
    session = opened(system)
    system.hear(session, "created")
    state, note = hear_raw(system, system.event(session, "completed", **contradiction))
    assert (state, note) == ("quarantined", "its identifiers name different sessions")
    assert system.payment(session.payment_id).status == "open"
    assert system.cases() == ["event_quarantined"]


def test_identifiers_of_two_sessions_are_a_contradiction_whoever_they_name(system: System) -> None:
    one, other = opened(system), opened(system)
    system.hear(one, "created", reference="ONE-2")  # a deposit whose reference is not its session's
    for reference in (other.reference, "ONE-2"):
        mixed = system.event(one if reference == other.reference else other, "completed", reference=reference)
        assert hear_raw(system, mixed)[0] == "quarantined"
    assert system.balances() == {}


@pytest.mark.parametrize(("name", "ours"), [("partnerName", "Demo"), ("partnerId", "p-1")])
def test_an_event_that_names_another_partner_is_not_for_us(tmp_path_factory: Any, name: str, ours: str) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('partner') / 'checkout.db'}"
    system = make_system(url, STABLE_MINT_PARTNER_NAME="Demo", STABLE_MINT_PARTNER_ID="p-1")
    session = opened(system)
    state, note = hear_raw(system, system.event(session, "completed", **{name: "somebody else"}))
    assert (state, note) == ("quarantined", f"{name} is not ours")
    assert hear_raw(system, system.event(session, "completed", **{name: ours})) == ("applied", "")
    system.close()


def test_a_partner_that_is_not_stated_is_no_contradiction(sqlite_system: System) -> None:
    session = opened(sqlite_system)
    assert hear_raw(sqlite_system, sqlite_system.event(session, "completed", partnerName=...)) == ("applied", "")


# --- unmatched, and matched later --------------------------------------------------------------------------------


def test_news_that_outruns_the_sessions_answer_waits_for_it(system: System) -> None:
    system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    session = opened(system)
    answer = system.mint.opened()
    reference = json.loads(answer.content)["reference"]
    event = system.event(session, "completed", **nameless(session, reference=reference))
    assert hear_raw(system, event)[0] == "unmatched"
    system.mint.next_answers.append(answer)
    system.clock.advance(seconds=5)
    system.work()
    assert fates(system) == [("applied", "")]
    assert system.payment(session.payment_id).status == "settled"


def test_news_by_session_id_waits_until_an_event_has_named_it(system: System) -> None:
    session = opened(system)
    event = system.event(session, "completed", **nameless(session, sessionId=f"sid-{session.id}"))
    assert hear_raw(system, event)[0] == "unmatched"
    assert hear_raw(system, system.event(session, "created"))[0] == "applied"
    assert [state for state, _ in fates(system)] == ["applied", "applied"]
    assert system.payment(session.payment_id).status == "settled"


def test_news_by_a_new_reference_is_applied_as_soon_as_another_event_has_named_it(system: System) -> None:
    session = opened(system)
    event = system.event(session, "completed", **nameless(session, reference="NEW"))
    assert hear_raw(system, event)[0] == "unmatched"
    ours = {"websiteReference": session.website_reference, "idempotencyKey": session.provider_key}
    assert (
        hear_raw(system, system.event(session, "created", **nameless(session, reference="NEW", **ours)))[0] == "applied"
    )
    assert [state for state, _ in fates(system)] == ["applied", "applied"]  # at once, not by backoff


def test_news_without_a_reference_waits_while_its_session_has_none(system: System) -> None:
    system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    session = opened(system)
    ours = {"websiteReference": session.website_reference, "idempotencyKey": session.provider_key}
    state, note = hear_raw(system, system.event(session, "completed", **nameless(session, **ours)))
    assert (state, note) == ("unmatched", "names no reference, and its session has none yet")
    system.clock.advance(seconds=5)
    system.work()
    assert fates(system) == [("applied", "")]


def test_news_without_a_reference_is_about_the_sessions_only_deposit(sqlite_system: System) -> None:
    system = sqlite_system
    session = opened(system)
    system.hear(session, "created", reference="OTHER")
    system.hear(session, "completed", reference=...)
    with system.database.read() as unit:
        assert [(one.reference, one.stage) for one in payments.deposits_of(unit, session.payment_id)] == [
            ("OTHER", "settled")
        ]


def test_what_matches_nothing_is_tried_again_by_itself_then_shown_to_a_person_then_left(system: System) -> None:
    session = opened(system)
    event = system.event(session, "completed", **nameless(session, reference="NOBODY"))
    hear_raw(system, event)
    for _ in range(4):
        system.clock.advance(minutes=31)
        system.work()
    assert last(system).attempts == 5
    assert system.cases() == []
    system.clock.advance(hours=3)
    system.work()
    assert system.cases() == ["event_unmatched"]
    system.clock.advance(days=14)
    system.work()
    tries = last(system).attempts
    system.clock.advance(days=14)
    system.work()
    assert last(system).attempts == tries
    # even then a session that gains the reference wakes it, and the case closes itself
    ours = {"websiteReference": session.website_reference, "idempotencyKey": session.provider_key}
    system.hear(session, "created", **nameless(session, reference="NOBODY", **ours))
    assert sorted(fates(system)) == [("applied", ""), ("applied", "")]
    assert "event_unmatched" not in system.cases()
    assert "event_unmatched" in system.cases(include_closed=True)


# --- exact or parked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["accepted", "completed"])
@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [
        ("9.001", "EUR", "after the point"),
        ("1e-3", "EUR", "after the point"),
        ("1000000000000000", "EUR", "15 digits"),
        ("1e15", "EUR", "15 digits"),
        ("1e999999", "EUR", "15 digits"),
        ("-9", "EUR", "zero or more"),
        ("-0", "EUR", "zero or more"),
        ("0", "EUR", "the amount is zero"),
        ("0.00", "EUR", "the amount is zero"),
        ("true", "EUR", "not a number"),
        ("null", "EUR", "not a number"),
        ('"nine"', "EUR", "not a number"),
        ('"NaN"', "EUR", "zero or more"),
        ('["9"]', "EUR", "not a number"),
        ("9.5", "JPY", "after the point"),
        ("9", "XXX", "not a currency"),
        ("9", "USDC", "not a currency a payment may have"),
        ("9", "", "not a currency"),
        ("9", "EUROS" * 100, "not a currency"),
    ],
)
def test_an_amount_that_cannot_be_is_quarantined_and_never_rounded(
    shared_system: System, word: str, amount: str, currency: str, why: str
) -> None:
    system = shared_system
    session = opened(system)
    body = system.event(session, word, amount="AMOUNT", currency=currency).replace(b'"AMOUNT"', amount.encode())
    state, note = hear_raw(system, body)
    assert state == "quarantined"
    assert why in note
    assert money_of(system, session.payment_id) == {}
    assert system.payment(session.payment_id).status == "open"
    assert cases_about(system, last(system).id) == ["event_quarantined"]


@pytest.mark.parametrize("currency", [None, 978, ["EUR"], ...])
def test_money_without_a_currency_is_quarantined(shared_system: System, currency: Any) -> None:
    session = opened(shared_system)
    state, note = hear_raw(shared_system, shared_system.event(session, "completed", currency=currency))
    assert (state, note) == ("quarantined", "the event names no currency")


@pytest.mark.parametrize("amount", ["9", "9.00", "0.9e1", '"9.0"', "900e-2"])
def test_one_amount_in_any_spelling_pays_the_order(shared_system: System, amount: str) -> None:
    system = shared_system
    session = opened(system)
    body = system.event(session, "completed", amount="AMOUNT", currency="eur").replace(b'"AMOUNT"', amount.encode())
    assert hear_raw(system, body) == ("applied", "")
    assert money_of(system, session.payment_id) == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}


def test_the_largest_possible_amount_is_posted(system: System) -> None:
    session = opened(system)
    system.hear(session, "completed", amount=999_999_999_999_999)
    assert system.balances()["unallocated/EUR"] == 99_999_999_999_999_900 - 900


def test_amounts_before_money_arrives_are_nobodys_business(sqlite_system: System) -> None:
    session = opened(sqlite_system)
    sqlite_system.hear(session, "created", amount="garbage", currency=None)
    sqlite_system.hear(session, "failed", amount=-1)
    assert [state for state, _ in fates(sqlite_system)] == ["applied", "applied"]


def test_a_second_amount_for_the_same_deposit_is_quarantined(system: System) -> None:
    session = opened(system)
    system.hear(session, "accepted")
    state, note = hear_raw(system, system.event(session, "completed", amount=8))
    assert (state, note) == ("quarantined", "states EUR 8.00, an earlier event stated EUR 9.00")
    assert system.payment(session.payment_id).status == "accepted"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    "kind",
    [
        "partner.customer.withdrawal.requested", "partner.customer.withdrawal.failed",
        "customer.token.transfer.in.initiated", "transaction.status.changed",
    ],
)  # fmt: skip
def test_what_is_known_and_moves_nothing_is_ignored(shared_system: System, kind: str, version: str) -> None:
    body = {"notificationType": kind} if version == "v1" else {"eventId": kind, "data": {"eventType": kind}}
    assert hear_raw(shared_system, json.dumps(body).encode()) == ("ignored", "known; moves nothing")
    assert cases_about(shared_system, last(shared_system).id) == []


@pytest.mark.parametrize(("meaning", "status"), [("settled", "settled"), ("accepted", "accepted")])
def test_what_v1_accepted_means_is_a_setting(tmp_path_factory: Any, meaning: str, status: str) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('v1') / 'checkout.db'}"
    system = make_system(url, STABLE_MINT_V1_ACCEPTED_IS=meaning)
    session = opened(system)
    system.hear(session, "accepted", version="v1")
    assert system.payment(session.payment_id).status == status
    system.close()


# --- foreign destinations ----------------------------------------------------------------------------------------

OURS, THEIRS = "0x52908400098527886e0f7030069857d2e4169ee7", "0x8617e340b3d01fa5f11f306f4090fd50e238070d"


@pytest.mark.parametrize(
    ("fields", "foreign"),
    [
        ({}, False),
        ({"blockchainDestinationType": "Partner"}, False),
        ({"blockchainDestinationType": "Customer"}, True),
        ({"blockchainDestinationType": "Customer", "blockchainDestinationAddress": OURS}, True),
        ({"blockchainDestinationType": "Partner", "blockchainDestinationAddress": OURS}, False),
        ({"blockchainDestinationAddress": OURS.upper().replace("X", "x")}, False),
        ({"blockchainDestinationType": "Partner", "blockchainDestinationAddress": THEIRS}, True),
        ({"blockchainDestinationType": 7, "blockchainDestinationAddress": None}, False),
    ],
)
def test_money_that_went_elsewhere_pays_the_order_and_is_not_treasury(
    shared_system: System, fields: dict[str, Any], foreign: bool
) -> None:
    system = shared_system
    system.services.stores.set(system.store.id, {"destination_address": OURS}, who="ann")
    session = opened(system)
    system.hear(session, "created", version="v1", **fields)
    system.hear(session, "accepted", version="v1")
    payment = system.payment(session.payment_id)
    assert (payment.status, payment.anomalies) == ("settled", "foreign_destination" if foreign else "")
    book = "unallocated" if foreign else "stable_mint_settled"
    assert money_of(system, session.payment_id) == {"shopper_receivable/EUR": -900, f"{book}/EUR": 900}
    assert cases_about(system, session.payment_id) == (["foreign_destination"] if foreign else [])


def test_where_the_store_names_no_address_any_partner_address_is_as_good(sqlite_system: System) -> None:
    session = opened(sqlite_system)
    sqlite_system.hear(session, "created", version="v1", blockchainDestinationAddress=THEIRS)
    assert sqlite_system.payment(session.payment_id).anomalies == ""


def test_news_of_a_foreign_destination_that_comes_last_takes_the_money_out_again(system: System) -> None:
    session = opened(system)
    system.hear(session, "accepted", version="v1")
    system.hear(session, "created", version="v1", blockchainDestinationType="Customer")
    assert system.balances() == {"shopper_receivable/EUR": -900, "unallocated/EUR": 900}
    assert system.payment(session.payment_id).status == "settled"
