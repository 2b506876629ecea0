"""Stables' webhooks are thin: they wake a payout that then reads its transfer, or a person; they never move anything."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkout.inbox import STABLES, Receipt
from checkout.store import payouts
from checkout.store.moves import close_case
from tests.deliveries import fates, hear_stables, kept, last, open_cases, stables_event, svix_headers
from tests.offramp import Offramp, offramp
from tests.system import System, make_system

MOVED = "transfer.updated.status_transitioned"


def test_a_transfer_of_nobody_is_unmatched(system: System) -> None:
    row = hear_stables(system, stables_event(MOVED, event_id="e1", event_object_id="tr_unknown"), "msg_1")
    assert (row.state, row.note) == ("unmatched", "names no transfer of ours yet")
    row = hear_stables(system, stables_event("transfer.created", event_id="e2"), "msg_2")
    assert (row.state, row.note) == ("unmatched", "names no transfer of ours yet")


@pytest.mark.parametrize(
    "kind", ["customer.created", "customer.updated", "kyc_link.updated.status_transitioned", "quote.created",
             "quote.updated.status_transitioned", "virtual_account.created", "rfi.resolved"],
)  # fmt: skip
def test_what_is_known_and_moves_nothing_is_ignored(sqlite_system: System, kind: str) -> None:
    assert hear_stables(sqlite_system, stables_event(kind, event_id="e1"), "msg_1").state == "ignored"
    assert sqlite_system.cases() == []


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        ("travel_rule.wallet_verification_required", "travel_rule"),
        ("rfi.created", "rfi"),
        ("rfi.updated", "rfi"),
    ],
)
def test_what_the_provider_wants_to_know_waits_for_a_person(system: System, kind: str, case: str) -> None:
    row = hear_stables(system, stables_event(kind, event_object={"transfer_id": "tr_1"}, event_object_id="x"), "msg_1")
    assert row.state == "applied"
    (opened,) = open_cases(system)
    assert (opened["kind"], opened["subject"]) == (case, "tr_1")
    with system.database.write() as unit:
        close_case(unit, opened["id"], who="ann", note="answered", at=system.clock())
    hear_stables(system, stables_event(kind, event_object_id="tr_1", event_id="e2"), "msg_2")
    assert system.cases() == [case]  # asked anew


def test_a_question_about_nothing_in_particular_is_about_its_event(sqlite_system: System) -> None:
    row = hear_stables(sqlite_system, stables_event("rfi.created"), "msg_1")
    assert open_cases(sqlite_system)[0]["subject"] == row.id


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (stables_event("payout.exploded"), "unknown event type"),
        (b"{}", "names no event type"),
        (b'{"type": 4}', "names no event type"),
        (b"[]", "not a JSON object"),
        (b"{", "not JSON"),
    ],
)
def test_what_nobody_knows_is_acknowledged_and_waits_for_a_person(sqlite_system: System, body: bytes, why: str) -> None:
    row = hear_stables(sqlite_system, body, "msg_1")
    assert row.state == "quarantined"
    assert why in row.note
    assert sqlite_system.cases() == ["event_quarantined"]


def test_both_envelopes_name_the_event_and_its_subject(sqlite_system: System) -> None:
    hear_stables(sqlite_system, stables_event(MOVED, event_object_id="tr_1", event_object=7), "msg_1")
    assert last(sqlite_system).reference == "tr_1"
    hear_stables(
        sqlite_system, b'{"type": "transfer.created", "eventId": "e9", "event_object": {"transfer_id": 7}}', "msg_2"
    )
    assert (last(sqlite_system).event_type, last(sqlite_system).reference) == ("transfer.created", None)


def test_the_delivery_id_of_the_header_tells_repeats(sqlite_system: System) -> None:
    body = stables_event("customer.updated", event_id="e1")
    hear_stables(sqlite_system, body, "msg_1")
    inbox = sqlite_system.services.inbox
    sqlite_system.clock.advance(minutes=1)
    assert inbox.receive(STABLES, svix_headers(sqlite_system, body, "msg_1"), body) is Receipt.KNOWN
    assert inbox.receive(STABLES, svix_headers(sqlite_system, body, "msg_2"), body) is Receipt.STORED


@pytest.mark.parametrize("spoilt", ["key", "id", "body", "scheme"])
def test_what_stables_did_not_sign_is_refused(sqlite_system: System, spoilt: str) -> None:
    system = sqlite_system
    body = stables_event("customer.updated")
    headers = svix_headers(system, body, "msg_1", key=b"x" * 32 if spoilt == "key" else b"k" * 32)
    if spoilt == "id":
        headers["svix-id"] = "msg_2"
    if spoilt == "body":
        body += b" "
    if spoilt == "scheme":  # the scheme is configured, never guessed from a header
        headers = {"x-webhook-signature": hmac.digest(b"k" * 32, body, hashlib.sha256).hex()}
    assert system.services.inbox.receive(STABLES, headers, body) is Receipt.REFUSED
    assert [state for state, _ in fates(system)] == ["unverified"]


@pytest.fixture
def hmac_system(tmp_path: Path) -> Iterator[System]:
    made = make_system(
        f"sqlite:///{tmp_path / 'hmac.db'}", STABLES_WEBHOOK_SCHEME="hmac", STABLES_WEBHOOK_SECRET="older,newer"
    )
    yield made
    made.close()


@pytest.mark.parametrize("secret", ["older", "newer", "other"])
def test_under_the_hmac_scheme_any_configured_secret_signs(hmac_system: System, secret: str) -> None:
    body = stables_event("customer.updated")
    headers = {
        "x-webhook-signature": hmac.digest(secret.encode(), body, hashlib.sha256).hex(),
        "x-webhook-event-id": "e1",
    }
    inbox = hmac_system.services.inbox
    refused = secret == "other"
    assert inbox.receive(STABLES, headers, body) is (Receipt.REFUSED if refused else Receipt.STORED)
    assert inbox.receive(STABLES, headers, body) is (Receipt.REFUSED if refused else Receipt.KNOWN)
    if refused:  # this scheme has no time: accepting a stale one changes nothing
        assert inbox.reverify(last(hmac_system).id, who="ann", accept_stale=True) is Receipt.REFUSED


@pytest.fixture
def ramp(tmp_path: Path) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{tmp_path / 'ramp.db'}") as made:
        yield made


def test_news_of_a_transfer_wakes_its_payout_and_moves_nothing_itself(ramp: Offramp) -> None:
    system = ramp.system
    ramp.settled()
    ramp.account()
    out = system.services.payouts.propose(system.store.id, account_id=None, who="ann")
    ramp.until(out, "quoted")
    system.services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    with system.database.read() as unit:
        transfer = payouts.transfer_of(unit, out)
    assert transfer is not None
    body = stables_event(MOVED, event_object_id=transfer.provider_transfer_id, event_object={"status": "completed"})
    headers: dict[str, Any] = svix_headers(system, body, "msg_1")
    assert system.services.inbox.receive(STABLES, headers, body) is Receipt.STORED
    system.work()
    (row,) = [one for one in kept(system) if one.provider == STABLES]
    assert (row.state, row.subject, row.note) == ("applied", out, "the payout looks at its transfer")
    assert ramp.state(out) == "awaiting_funding"  # whatever the event said
