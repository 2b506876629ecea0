"""Refunds after a backup was put back: whatever was not sent then may have been since, and a person says which, once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from checkout.errors import NotPossible, RequestRefused
from checkout.refunding.refund_resolving import Resolution
from checkout.store import moves, refunds
from tests.deliveries import fates, last
from tests.desk import Desk
from tests.flows.refund_days import (
    DETAILS,
    allow,
    answering,
    approved,
    ask,
    deliver,
    deposit,
    hear,
    later,
    news,
    paid,
    row,
    state,
    taken,
    withdrawals,
)
from tests.flows.test_open_counts import scrape
from tests.flows.test_restoring import backup, restored
from tests.offramp import Offramp, offramp
from tests.system import System

SEEN = "Stable Mint's dashboard, 12 May"


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    """Against the simulated Stables, whose transfers a restored database is compared with."""
    with offramp(database_url) as made:
        yield made
        made.system.close()  # another than at first, where the database was put back


def put_back(system: System) -> None:
    """The database becomes a backup put back, compared with Stables and confirmed."""
    system.services.restoring.mark(note="backup of yesterday", who="ann")
    system.services.restoring.confirm(evidence="nothing was paid since", who="ann")


def in_doubt(system: System, amount: str = "9.00") -> str:
    """A refund that was approved when the backup was made."""
    ident = ask(system, paid(system).payment_id, amount).row.id
    system.services.refunds.approve(ident, who="ann")
    put_back(system)
    return ident


def was_sent(system: System, ident: str, withdrawal: str | None = None, *, who: str = "ben") -> None:
    system.services.refund_resolving.resolve(ident, Resolution.SENT, evidence=SEEN, withdrawal=withdrawal, who=who)


def unremembered(word: str, *, reference: str = "W-1", amount: float = 9.0, version: str = "v2") -> bytes:
    """News of a withdrawal that was made after the backup: our identifiers of it are nowhere in this database."""
    content = {
        "reference": reference, "amount": amount, "currency": "EUR", "idempotencyKey": str(uuid.uuid4()),
        "websiteReference": str(uuid.uuid4()), "partnerName": "Demo",
    }  # fmt: skip
    name = f"partner.customer.withdrawal.{word}"
    if version == "v1":
        return json.dumps({"notificationType": name, **content}).encode()
    return json.dumps({"eventId": str(uuid.uuid4()), "data": {"eventType": name, **content}}).encode()


# --- said to be sent ---------------------------------------------------------------------------------------------


def test_what_a_person_finds_sent_is_as_if_it_had_been_sent_from_here(desk: Desk) -> None:
    system = desk.system
    ordinary = approved(system, paid(system).payment_id, "4.00")
    hear(system, ordinary, "sent")
    ident = in_doubt(system, "4.00")
    assert system.cases() == ["refund_needs_approval"]
    was_sent(system, ident)
    found, like = row(system, ident), row(system, ordinary)
    assert (
        (found.state, found.reserved, found.due_at) == (like.state, like.reserved, like.due_at) == ("sent", False, None)
    )
    assert (system.cases(), scrape(system).refunds) == ([], {})
    assert (system.told(ident)[-1], system.told(ordinary)[-1]) == ("refund.sent", "refund.sent")
    assert not deposit(system, found.payment_id).refund_live
    assert system.balances() == {"shopper_receivable/EUR": -1000, "stable_mint_settled/EUR": 1000}
    assert system.services.report.balance()["balanced"]
    with system.database.read() as unit:
        move, act = moves.moves_of(unit, ident)[-1], moves.acts_on(unit, ident)[-1]
    assert (move["before"], move["after"], move["who"]) == ("requested", "sent", "ben")
    assert SEEN in move["cause"]
    assert (act["who"], act["action"]) == ("ben", "refund resolved sent")
    system.clock.advance(days=4)
    system.work()
    assert len(withdrawals(system)) == 1, "the ordinary one"


def test_it_can_be_said_while_the_database_is_still_marked(desk: Desk) -> None:
    system = desk.system
    ident = ask(system, paid(system).payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    system.services.restoring.mark(note="", who="ann")
    was_sent(system, ident)
    assert (state(system, ident), system.balances()) == ("sent", {})


def test_closing_its_case_decides_nothing(desk: Desk) -> None:
    system = desk.system
    known, waiting = in_doubt(system), ask(system, paid(system).payment_id).row.id
    with system.database.write() as unit:
        (case,) = moves.cases_on(unit, known)
        moves.close_case(unit, case["id"], who="ann", note="seen", at=system.clock())
        moves.open_case(
            unit, "case_wrong", kind="refund_needs_approval", subject=waiting, detail="by mistake", at=system.clock()
        )
    was_sent(system, known)
    assert state(system, known) == "sent"
    with pytest.raises(NotPossible, match="nobody has to say"):
        was_sent(system, waiting)


def test_what_was_waiting_for_approval_may_have_been_approved_and_sent_too(desk: Desk) -> None:
    system = desk.system
    waiting = ask(system, paid(system).payment_id).row.id
    without_details = ask(system, paid(system).payment_id, details={}).row.id
    put_back(system)
    assert system.cases() == ["refund_needs_approval", "refund_needs_approval"]
    was_sent(system, waiting)
    assert state(system, waiting) == "sent"
    with pytest.raises(NotPossible, match="give what is missing first, with `checkout refunds details"):
        was_sent(system, without_details)
    system.services.refunds.give_details(without_details, DETAILS, who="ann")
    was_sent(system, without_details)
    assert (system.cases(), system.balances()) == ([], {})


def test_what_needed_funding_is_first_said_to_be_funded(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    settled = paid(system)
    system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[settled.id],
        evidence="advice", who="ann",
    )  # fmt: skip
    ident = ask(system, settled.payment_id).row.id
    put_back(system)
    with pytest.raises(NotPossible, match=f"checkout refunds resolve {ident} funded"):
        was_sent(system, ident)
    system.services.refund_resolving.resolve(ident, Resolution.FUNDED, evidence="advice 4", who="ann")
    was_sent(system, ident)
    assert (state(system, ident), system.cases()) == ("sent", [])
    assert "refunds_payable/EUR" not in system.balances()
    assert system.services.report.balance()["balanced"]


# --- what cannot be said -------------------------------------------------------------------------------------------


def test_a_refund_that_no_restore_put_in_doubt_cannot_be_said_to_be_sent(desk: Desk) -> None:
    system = desk.system
    put_back(system)
    ident = ask(system, paid(system).payment_id).row.id
    with pytest.raises(NotPossible, match=f"was not sent; .*`checkout refunds resolve {ident} stopped"):
        was_sent(system, ident)
    system.services.refunds.approve(ident, who="ann")
    with pytest.raises(NotPossible, match="waits for a worker to send it"):
        was_sent(system, ident)
    system.work()
    assert (state(system, ident), len(withdrawals(system))) == ("sending", 1)


def test_once_approved_anew_it_is_no_longer_in_doubt(desk: Desk) -> None:
    system = desk.system
    ident = in_doubt(system)
    system.services.refunds.approve(ident, who="ben")
    with pytest.raises(NotPossible, match="waits for a worker"):
        was_sent(system, ident)
    system.work()
    assert (state(system, ident), len(withdrawals(system)), system.cases()) == ("sending", 1, [])
    put_back(system)
    assert (state(system, ident), system.cases()) == ("sending", []), "what is under way has news of its own"


def test_another_restore_puts_it_in_doubt_again(desk: Desk) -> None:
    system = desk.system
    ident = in_doubt(system)
    system.services.refunds.approve(ident, who="ben")
    put_back(system)
    assert (row(system, ident).approved_by, system.cases()) == (None, ["refund_needs_approval"])
    was_sent(system, ident)
    assert (state(system, ident), withdrawals(system)) == ("sent", [])


def test_it_is_said_once_and_an_ended_one_stays_ended(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    ident, stopped = in_doubt(system), ask(system, paid(system).payment_id).row.id
    put_back(system)
    was_sent(system, ident)
    system.services.refund_resolving.resolve(stopped, Resolution.STOPPED, evidence="the shopper kept it", who="ann")
    for one in (ident, stopped):
        with pytest.raises(NotPossible, match="nobody has to say"):
            was_sent(system, one)
        with pytest.raises(NotPossible):
            system.services.refunds.approve(one, who="ann")
    assert (state(system, stopped), system.cases()) == ("failed", [])


def test_a_refund_in_doubt_has_not_failed_it_is_approved_or_given_up(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    ident = in_doubt(system)
    with pytest.raises(NotPossible, match=f"checkout refunds approve {ident}`, or give it up"):
        system.services.refund_resolving.resolve(ident, Resolution.FAILED, evidence="none there", who="ann")
    assert state(system, ident) == "requested"


def test_a_limit_never_approves_what_is_in_doubt(desk: Desk) -> None:
    system = desk.system
    allow(system, "100")
    orders = [paid(system).payment_id for _ in range(2)]
    by_limit = ask(system, orders[0], store=system.store).row.id
    incomplete = ask(system, orders[1], store=system.store, details={}).row.id
    assert row(system, by_limit).approved_by == "limit"
    put_back(system)
    for one in (by_limit, incomplete):
        system.services.refunds.give_details(one, DETAILS, who="store Shop", store=system.store)
        system.work()
        assert (row(system, one).state, row(system, one).approved_by) == ("requested", None)
    assert withdrawals(system) == []
    fresh = ask(system, paid(system).payment_id, store=system.store).row.id
    assert row(system, fresh).approved_by == "limit"


def test_what_a_shop_asked_for_after_the_backup_and_repeats_is_left_to_a_person(desk: Desk) -> None:
    """Its request and the withdrawal of it are no rows in the backup: nothing here knows that the money has gone."""
    system = desk.system
    allow(system, "100")
    payment = paid(system).payment_id
    system.clock.advance(hours=1)
    put_back(system)
    system.clock.advance(minutes=10)
    repeated = ask(system, payment, store=system.store).row
    system.work()
    assert (row(system, repeated.id).approved_by, withdrawals(system)) == (None, [])
    assert "may have forgotten a refund of it" in row(system, repeated.id).note
    services = system.services
    services.refunds.approve(repeated.id, who="ben")
    system.work()
    assert len(withdrawals(system)) == 1
    assert ask(system, paid(system).payment_id, store=system.store).row.approved_by == "limit"


# --- its news ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_news_that_came_before_and_after_finds_it_by_the_withdrawals_reference_and_moves_nothing(
    desk: Desk, version: str
) -> None:
    system = desk.system
    ident = in_doubt(system)
    for word in ("requested", "sent"):
        deliver(system, unremembered(word, version=version))
        assert fates(system)[-1] == ("unmatched", "names no refund of ours yet")
    system.clock.advance(days=1)
    system.work()
    assert system.cases() == ["event_unmatched", "event_unmatched", "refund_needs_approval"]
    was_sent(system, ident, "W-1")
    system.work()
    for word in ("accepted", "sent"):
        deliver(system, unremembered(word, version=version))
    assert fates(system)[-4:] == [("ignored", "nothing new")] * 4
    assert (last(system).subject, system.cases()) == (ident, [])
    assert (state(system, ident), system.balances()) == ("sent", {})
    assert system.told(ident).count("refund.sent") == 1


def test_news_that_it_failed_after_all_moves_nothing_and_asks_a_person(desk: Desk) -> None:
    system = desk.system
    ident = in_doubt(system)
    deliver(system, unremembered("failed"))
    was_sent(system, ident, "W-1")
    system.work()
    assert (state(system, ident), system.balances(), system.cases()) == ("sent", {}, ["refund_contradiction"])


def test_news_of_another_amount_is_not_believed(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    deliver(system, unremembered("sent", amount=4.0))
    ident = in_doubt(system)
    was_sent(system, ident, "W-1")
    system.work()
    assert fates(system)[0] == ("quarantined", "states EUR 4.00, the refund is EUR 9.00")
    assert (state(system, ident), system.cases()) == ("sent", ["event_quarantined"])


def test_without_its_reference_its_news_waits_for_a_person_and_moves_nothing(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    ident = in_doubt(system)
    was_sent(system, ident)
    deliver(system, unremembered("sent"))
    system.clock.advance(days=1)
    system.work()
    assert (state(system, ident), system.balances(), system.cases()) == ("sent", {}, ["event_unmatched"])


def test_an_attempt_that_never_left_is_not_taken_for_the_withdrawal_that_was_made(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    ident = ask(system, paid(system).payment_id).row.id
    with system.database.write() as unit:  # paused between its commit and its first byte, before the backup
        refunds.update_refund(unit, ident, website_reference="web-0")
        refunds.insert_withdrawal(unit, "att_0", ident, "key-0", at=system.clock())
        refunds.update_attempt(unit, "att_0", state="dead", evidence="paused before its first byte")
    put_back(system)
    was_sent(system, ident, "W-1")
    deliver(system, unremembered("sent"))
    assert fates(system)[-1] == ("ignored", "nothing new")
    with system.database.read() as unit:
        attempt = refunds.withdrawal_of(unit, ident)
    assert attempt is not None
    assert (attempt.state, attempt.evidence) == ("dead", "paused before its first byte")


def test_the_reference_must_be_one_that_can_be_its_own(desk: Desk) -> None:
    system = desk.system
    settled = paid(system)
    with answering(system, taken("W-OTHER")):
        other = approved(system, settled.payment_id, "4.00")
    ident = in_doubt(system)
    session = system.sessions(system.pay().payment.id)[0].reference
    for given, why in (
        (settled.reference, "is the reference of a deposit"), (session, "is the reference of a deposit"),
        ("W-OTHER", "`checkout trace W-OTHER`"),
    ):  # fmt: skip
        with pytest.raises(NotPossible, match=why):
            was_sent(system, ident, given)
    for bad in (" ", "x" * 201, "W\n1"):
        with pytest.raises(RequestRefused, match="printable characters"):
            was_sent(system, ident, bad)
    for resolution in (Resolution.STOPPED, Resolution.FAILED, Resolution.FUNDED):
        with pytest.raises(RequestRefused, match="only a refund that was sent has one"):
            system.services.refund_resolving.resolve(ident, resolution, evidence="x", withdrawal="W-1", who="ann")
    assert (state(system, ident), state(system, other)) == ("requested", "sending")
    was_sent(system, ident, " W-1 ")
    assert row(system, ident).reference == "W-1"
    with system.database.read() as unit:
        assert json.loads(moves.acts_on(unit, ident)[-1]["detail"])["withdrawal"] == "W-1"
    (line,) = system.services.report.trace("W-1")["payments"]
    assert [one["id"] for one in line["refunds"]] == [ident]


def test_an_unknown_one_can_be_named_as_well_and_never_otherwise_than_by_its_news(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    settled = paid(system)
    with answering(system, httpx.ReadTimeout("no answer")):
        ident = approved(system, settled.payment_id)
    later(system)
    hear(system, ident, "accepted", reference="W-7")
    with pytest.raises(NotPossible, match="W-7; ask them about both"):
        was_sent(system, ident, "W-8")
    assert (state(system, ident), row(system, ident).reference) == ("accepted", "W-7")
    was_sent(system, ident, "W-7")
    assert (state(system, ident), system.balances()) == ("sent", {})


# --- a backup that is really put back ------------------------------------------------------------------------------


def test_sent_after_the_backup_said_to_be_sent_and_told_of_again_it_is_sent_once(ramp: Offramp, tmp_path: Path) -> None:
    system = ramp.system
    ident = ask(system, paid(system).payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    copy = backup(ramp, tmp_path)
    with answering(system, taken("W-1")):
        system.work()
    told = [news(system, ident, word) for word in ("requested", "accepted", "sent")]
    for body in told:
        deliver(system, body)
    assert (state(system, ident), system.balances(), len(withdrawals(system))) == ("sent", {}, 1)
    restored(ramp, copy)
    system = ramp.system
    system.services.restoring.mark(note="of yesterday", who="ann")
    assert (state(system, ident), system.balances()) == (
        "requested",
        {"shopper_receivable/EUR": -900, "refunds_payable/EUR": 900},
    )
    deliver(system, told[0])
    system.services.restoring.confirm(evidence="nothing was paid since", who="ann")
    was_sent(system, ident, "W-1")
    for body in told[1:]:
        deliver(system, body)
    assert [fate for fate, _ in fates(system)[-3:]] == ["ignored"] * 3
    assert (state(system, ident), system.balances(), system.cases()) == ("sent", {}, [])
    assert withdrawals(system) == []
    assert system.services.report.balance()["balanced"]
