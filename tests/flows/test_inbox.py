"""Receiving: what is verified is stored and acknowledged, what is not is kept apart, and nothing is dropped or doubled."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from checkout.errors import NotFound, NotPossible, StoreUnavailable
from checkout.inbox import (
    STABLE_MINT,
    STABLES,
    UNVERIFIED_BURST,
    UNVERIFIED_PER_MINUTE,
    Receipt,
)
from checkout.store import events, moves
from tests.deliveries import beside, fates, kept, last, open_cases, stables_event, svix_headers
from tests.system import System, public_pem, sign_event


def signed(system: System, body: bytes, key: str = "mint") -> dict[str, str]:
    stamp = system.clock.now.isoformat()
    return {"stablemint-timestamp": stamp, "stablemint-signature": sign_event(body, stamp, key)}


def body_for(system: System, kind: str = "completed", **fields: Any) -> bytes:
    """An event about a fresh payment's session."""
    return system.event(system.sessions(system.pay().payment.id)[0], kind, **fields)


# --- accepted ----------------------------------------------------------------------------------------------------


def test_a_delivery_is_stored_once_however_often_and_whenever_it_comes(system: System) -> None:
    body = body_for(system)
    headers = signed(system, body)
    inbox = system.services.inbox
    assert inbox.receive(STABLE_MINT, headers, body) is Receipt.STORED
    assert inbox.receive(STABLE_MINT, headers, body) is Receipt.KNOWN
    system.clock.advance(hours=3, minutes=59)
    assert inbox.receive(STABLE_MINT, headers, body) is Receipt.KNOWN  # the sender's first timestamp, repeated
    assert inbox.receive(STABLE_MINT, signed(system, body), body) is Receipt.KNOWN  # a fresh one
    system.work()
    assert inbox.receive(STABLE_MINT, signed(system, body), body) is Receipt.KNOWN
    assert fates(system) == [("applied", "")]


def test_what_is_stored_is_sealed_and_its_headers_are_few(sqlite_system: System) -> None:
    body = body_for(sqlite_system, customerEmail="ann@example.com")
    headers = {**signed(sqlite_system, body), "cookie": "secret", "x-forwarded-for": "192.0.2.1"}
    sqlite_system.services.inbox.receive(STABLE_MINT, headers, body)
    row = last(sqlite_system)
    assert b"ann@example.com" not in row.body_sealed
    assert sqlite_system.services.context.sealer.open(row.body_sealed) == body
    assert set(json.loads(row.headers)) == {"stablemint-timestamp", "stablemint-signature"}


def test_v1_has_no_id_so_its_bytes_tell_one_event_from_another(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    first, other = (system.event(session, "accepted", version="v1", amount=amount) for amount in (9, 9.0))
    assert first != other
    assert system.deliver(first) is Receipt.STORED
    assert system.deliver(first) is Receipt.KNOWN
    assert system.deliver(other) is Receipt.STORED
    system.work()
    assert fates(system) == [("applied", ""), ("ignored", "nothing new")]


def test_one_event_under_two_ids_is_applied_once(sqlite_system: System) -> None:
    session = sqlite_system.sessions(sqlite_system.pay().payment.id)[0]
    sqlite_system.hear(session, "completed", "completed")
    assert [state for state, _ in fates(sqlite_system)] == ["applied", "ignored"]


def test_an_event_id_over_other_content_is_kept_beside_the_first_for_a_person(system: System) -> None:
    body = body_for(system)
    other = body.replace(b"9.0", b"8.0")
    third = body.replace(b"9.0", b"7.0")
    for one, answer in ((body, "stored"), (other, "stored"), (other, "known"), (third, "stored")):
        assert system.deliver(one) == answer
        system.clock.advance(milliseconds=1)
    system.work()
    assert [state for state, _ in fates(system)] == ["applied", "quarantined", "quarantined"]
    assert system.cases() == ["event_quarantined", "event_quarantined"]
    system.services.events.replay(kept(system)[1].id, who="ann")
    system.work()
    assert kept(system)[1].state == "quarantined"
    assert f"event id of {kept(system)[0].id}" in kept(system)[1].note


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"eventId": "x", "data": {"eventType": "partner', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 5_000, "not JSON"),
        (b"[[" + b"[" * 60_000, "not JSON"),
        (b'{"amount": NaN}', "not JSON"),
        (b'{"amount": -Infinity}', "not JSON"),
        (b'{"amount": 1e99999999999999999999}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"12", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "names no event type"),
        (b'{"notificationType": 7}', "names no event type"),
        (b'{"notificationType": ""}', "names no event type"),
        (b'{"data": {}}', "names no event type"),
        (b'{"data": []}', "names no event type"),
        (b'{"data": {"eventType": null}, "notificationType": "partner.customer.deposit.created"}', "names no event type"),
        (b'{"notificationType": "InwardPaymentReconciled"}', "unknown event type in v1"),
        (b'{"notificationType": "partner.customer.deposit.completed"}', "unknown event type in v1"),
        (b'{"data": {"eventType": "partner.customer.deposit.reconciled"}}', "unknown event type in v2"),
        (b'{"data": {"eventType": "partner.customer.deposit.created", "reference": "\\u0000"}}', "no database can hold"),
        (b'{"notificationType": "\\ud800"}', "no database can hold"),
        (b'{"eventId": "\\udfff", "data": {"x": ["\\ud800"]}}', "no database can hold"),
        (b'{"\\u0000": 1}', "no database can hold"),
    ],
)  # fmt: skip
def test_signed_bytes_that_cannot_be_read_are_acknowledged_and_parked(system: System, body: bytes, why: str) -> None:
    assert system.deliver(body) is Receipt.STORED
    assert system.deliver(body) is Receipt.KNOWN
    system.work()
    ((state, note),) = fates(system)
    assert state == "quarantined"
    assert why in note
    assert system.cases() == ["event_quarantined"]


@pytest.mark.parametrize("value", [7, 1.5, True, None, [], {}, ""])
@pytest.mark.parametrize("name", ["reference", "sessionId", "websiteReference", "idempotencyKey"])
def test_an_identifier_of_the_wrong_type_names_nothing(shared_system: System, name: str, value: Any) -> None:
    system = shared_system
    system.clock.advance(seconds=1)
    session = system.sessions(system.pay().payment.id)[0]
    assert system.deliver(system.event(session, "initiated", **{name: value})) is Receipt.STORED
    system.work()
    assert last(system).state == "applied"  # the others still name the session
    assert system.payment(session.payment_id).status == "initiated"


@pytest.mark.parametrize("ident", [7, None, "", {}, "x" * 5_000])
def test_an_event_id_of_any_form_is_stored(system: System, ident: object) -> None:
    body = json.loads(body_for(system))
    body["eventId"] = ident
    assert system.deliver(json.dumps(body).encode()) is Receipt.STORED
    assert system.deliver(json.dumps(body).encode()) is Receipt.KNOWN


def test_names_far_too_long_for_their_columns_are_stored_all_the_same(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    long = "r" * 20_000
    for kind, names in (("x" * 20_000, {}), ("created", {"reference": long}), ("created", {"sessionId": long})):
        assert system.deliver(system.event(session, kind, **names)) is Receipt.STORED
    system.work()
    assert {row.state for row in kept(system)} == {"quarantined"}


def test_while_the_database_is_gone_nothing_is_acknowledged(sqlite_system: System) -> None:
    body = body_for(sqlite_system)
    gone = beside(sqlite_system, CHECKOUT_DATABASE_URL="sqlite:////nowhere/at/all/checkout.db")
    for headers in (signed(sqlite_system, body), {}):
        with pytest.raises(StoreUnavailable):
            gone.services.inbox.receive(STABLE_MINT, headers, body)
    gone.close()
    assert kept(sqlite_system) == []


# --- refused -----------------------------------------------------------------------------------------------------

Spoil = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
SPOILT: dict[str, Spoil] = {
    "unsigned": lambda headers, body: ({}, body),
    "without its timestamp": lambda headers, body: (
        {"stablemint-signature": headers["stablemint-signature"]}, body,
    ),
    "tampered": lambda headers, body: (headers, body.replace(b"9.0", b"0.9")),
    "truncated": lambda headers, body: (headers, body[:-1]),
    "padded": lambda headers, body: (headers, body + b" "),
    "moved in time": lambda headers, body: ({**headers, "stablemint-timestamp": "2026-11-21T12:00:01+00:00"}, body),
    "signed with nonsense": lambda headers, body: ({**headers, "stablemint-signature": "x" * 3_000}, body),
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_stable_mint_did_not_sign_is_refused_kept_apart_and_changes_nothing(system: System, spoil: Spoil) -> None:
    body = body_for(system)
    headers, sent = spoil(signed(system, body), body)
    assert system.services.inbox.receive(STABLE_MINT, headers, sent) is Receipt.REFUSED
    system.work()
    assert fates(system) == [("unverified", "signature not accepted")]
    assert system.balances() == {}
    with pytest.raises(NotPossible, match="reverify"):
        system.services.events.replay(last(system).id, who="ann")


def test_another_signers_delivery_is_refused(sqlite_system: System) -> None:
    assert sqlite_system.deliver(body_for(sqlite_system), key="somebody else") is Receipt.REFUSED


def test_a_delivery_from_outside_the_tolerance_is_refused_in_both_directions(sqlite_system: System) -> None:
    system = sqlite_system
    for distance in (timedelta(hours=-4, seconds=-1), timedelta(hours=4, seconds=1)):
        assert system.deliver(body_for(system), at=system.clock.now + distance) is Receipt.REFUSED


def test_a_refused_delivery_can_still_come_properly(sqlite_system: System) -> None:
    body = body_for(sqlite_system)
    assert sqlite_system.deliver(body, key="somebody else") is Receipt.REFUSED
    assert sqlite_system.deliver(body) is Receipt.STORED


def test_a_burst_of_refusals_opens_one_case_and_only_so_many_are_kept_in_a_minute(system: System) -> None:
    body = body_for(system)

    def refuse() -> Receipt:
        return system.services.inbox.receive(STABLE_MINT, {}, body)

    for _ in range(UNVERIFIED_BURST):
        refuse()
    assert system.cases() == []
    for _ in range(UNVERIFIED_PER_MINUTE - UNVERIFIED_BURST + 5):
        assert refuse() is Receipt.REFUSED
    assert len(kept(system, "unverified")) == UNVERIFIED_PER_MINUTE
    (case,) = open_cases(system)
    assert (case["kind"], case["subject"]) == ("unverified_burst", STABLE_MINT)
    system.clock.advance(seconds=61)
    refuse()
    assert len(kept(system, "unverified")) == UNVERIFIED_PER_MINUTE + 1


def test_what_could_not_be_verified_is_bounded_by_number_size_and_age_and_the_newest_stay(system: System) -> None:
    body = body_for(system, customFields={"padding": "x" * 700})
    system.deliver(body)
    for _ in range(6):
        system.clock.advance(minutes=2)
        system.services.inbox.receive(STABLE_MINT, {}, body)
    oldest_first = [row.id for row in kept(system, "unverified")]
    far = system.clock.now - timedelta(days=1)

    def trim(*, count: int = 100, size: int = 10**6, before: timedelta = timedelta(days=1)) -> list[str]:
        with system.database.write() as unit:
            events.trim_unverified(unit, count=count, size=size, before=system.clock.now - before)
        return [row.id for row in kept(system, "unverified")]

    assert far < kept(system)[0].received_at
    assert trim() == oldest_first
    assert trim(count=5) == oldest_first[1:]
    assert trim(size=4 * len(body)) == oldest_first[2:]
    assert trim(before=timedelta(minutes=3)) == oldest_first[4:]
    assert trim(count=0) == []
    assert [row.state for row in kept(system)] == ["received"]  # what was verified is never trimmed


def test_old_refusals_go_when_new_ones_come(sqlite_system: System) -> None:
    system = sqlite_system
    system.services.inbox.receive(STABLE_MINT, {}, b"old")
    system.clock.advance(days=14, minutes=1)
    system.services.inbox.receive(STABLE_MINT, {}, b"new")
    assert [row.size for row in kept(system)] == [3]


# --- looked at again ---------------------------------------------------------------------------------------------


def test_after_a_key_change_what_was_refused_is_verified_and_applied(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    assert system.deliver(system.event(session, "completed"), key="next") is Receipt.REFUSED
    refused = last(system)
    assert system.services.inbox.reverify(refused.id, who="ann", accept_stale=False) is Receipt.REFUSED
    system.clock.advance(days=3)  # measured against the time of receipt, not of today
    rotated = beside(system, STABLE_MINT_WEBHOOK_PUBLIC_KEY=public_pem("mint") + public_pem("next"))
    assert rotated.services.inbox.reverify(refused.id, who="ann", accept_stale=False) is Receipt.STORED
    rotated.work()
    rotated.close()
    assert last(system).state == "applied"
    assert system.payment(session.payment_id).status == "settled"
    with system.database.read() as unit:
        assert [(one["who"], one["action"]) for one in moves.acts_on(unit, refused.id)] == [("ann", "event reverified")]
    with pytest.raises(NotPossible, match="only an unverified one"):
        system.services.inbox.reverify(refused.id, who="ann", accept_stale=False)


def test_one_that_was_stale_when_it_came_needs_a_person_to_say_so(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    assert (
        system.deliver(system.event(session, "completed"), at=system.clock.now - timedelta(hours=5)) is Receipt.REFUSED
    )
    inbox, ident = system.services.inbox, last(system).id
    assert inbox.reverify(ident, who="ann", accept_stale=False) is Receipt.REFUSED
    assert inbox.reverify(ident, who="ann", accept_stale=True) is Receipt.STORED
    system.work()
    assert system.payment(session.payment_id).status == "settled"


def test_a_stale_delivery_of_another_signer_stays_refused(sqlite_system: System) -> None:
    system = sqlite_system
    system.deliver(body_for(system), key="somebody else", at=system.clock.now - timedelta(hours=5))
    assert system.services.inbox.reverify(last(system).id, who="ann", accept_stale=True) is Receipt.REFUSED


@pytest.mark.parametrize("stamp", ["late", "none", "words"])
def test_a_stale_delivery_of_stables_is_verified_against_its_own_time(sqlite_system: System, stamp: str) -> None:
    system = sqlite_system
    body = stables_event("customer.updated", event_id="e1")
    headers = svix_headers(system, body, "msg_1")
    system.clock.advance(hours=1)
    if stamp != "late":
        headers["svix-timestamp"] = {"none": "", "words": "yesterday"}[stamp]
    inbox = system.services.inbox
    assert inbox.receive(STABLES, headers, body) is Receipt.REFUSED
    assert inbox.reverify(last(system).id, who="ann", accept_stale=False) is Receipt.REFUSED
    outcome = inbox.reverify(last(system).id, who="ann", accept_stale=True)
    assert outcome is (Receipt.STORED if stamp == "late" else Receipt.REFUSED)


def test_one_that_came_properly_meanwhile_is_not_applied_again(system: System) -> None:
    body = body_for(system)
    late = system.clock.now - timedelta(hours=5)
    assert system.deliver(body, at=late) is Receipt.REFUSED
    refused = last(system).id
    assert system.deliver(body) is Receipt.STORED
    system.work()
    assert system.services.inbox.reverify(refused, who="ann", accept_stale=True) is Receipt.KNOWN
    assert sorted(fates(system)) == [("applied", ""), ("ignored", "re-verified; already known")]


def test_one_with_a_known_id_over_other_content_waits_for_a_person(system: System) -> None:
    body = body_for(system)
    other = body.replace(b"9.0", b"8.0")
    late = system.clock.now - timedelta(hours=5)
    system.deliver(other, at=late)
    system.clock.advance(minutes=1)
    system.deliver(other, at=late)
    first, second = (row.id for row in kept(system))
    assert system.deliver(body) is Receipt.STORED
    system.work()
    assert system.services.inbox.reverify(first, who="ann", accept_stale=True) is Receipt.STORED
    assert system.services.inbox.reverify(second, who="ann", accept_stale=True) is Receipt.KNOWN
    system.work()
    assert sorted(state for state, _ in fates(system)) == ["applied", "ignored", "quarantined"]
    assert system.cases() == ["event_quarantined"]


def test_what_is_not_there_cannot_be_looked_at_again(sqlite_system: System) -> None:
    with pytest.raises(NotFound):
        sqlite_system.services.inbox.reverify("evt_none", who="ann", accept_stale=False)
    with pytest.raises(NotFound):
        sqlite_system.services.events.replay("evt_none", who="ann")
