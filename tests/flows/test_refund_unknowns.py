"""Every UNKNOWN about withdrawals, every plausible answer to it, against the running simulator: one refund, one withdrawal.

The table maps each switch to its values; a value that the simulator takes and the table lacks fails here.
"""

from __future__ import annotations

import typing
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from checkout.errors import NotPossible
from checkout.refunding.refund_resolving import Resolution
from checkout.refunding.refunds import NewRefund
from checkout.rules.money import Money
from checkout.simulator.stable_mint.switches import StableMintSwitches
from tests.flows.refund_days import DETAILS
from tests.world import World, world

#: Switch, value, and the states the refund may end in by itself.
ENDS: tuple[tuple[str, Any, frozenset[str]], ...] = (
    ("withdrawal_replay", "again", frozenset({"sent"})),
    ("withdrawal_replay", "same", frozenset({"sent"})),
    ("withdrawal_replay", "error", frozenset({"sent"})),
    ("withdrawal_outcome", "ok", frozenset({"sent"})),
    ("withdrawal_outcome", "declined", frozenset({"failed"})),
    ("withdrawal_outcome", "rate_limited", frozenset({"unknown"})),
    ("withdrawal_outcome", "error_500_before_work", frozenset({"unknown"})),
    ("withdrawal_outcome", "error_500_after_work", frozenset({"sent"})),
    ("withdrawal_outcome", "hang", frozenset({"sent"})),
    ("withdrawal_outcome", "no_reference", frozenset({"sent"})),
    ("withdrawal_outcome", "unparseable", frozenset({"sent"})),
    ("withdrawal_end", "sent", frozenset({"sent"})),
    ("withdrawal_end", "failed", frozenset({"failed"})),
    ("withdrawal_end", "failed_after_accepted", frozenset({"failed"})),
    ("withdrawal_end", "failed_after_sent", frozenset({"sent"})),
    ("withdrawal_end", "silent", frozenset({"sending"})),
    ("withdrawal_events", "everything", frozenset({"sent"})),
    ("withdrawal_events", "reference", frozenset({"sent"})),
    ("withdrawal_events", "identifiers", frozenset({"sent"})),
    ("webhook_version", "v1", frozenset({"sent"})),
    ("webhook_version", "mixed", frozenset({"sent"})),
    ("webhook_order", "reversed", frozenset({"sent"})),
    ("webhook_order", "shuffled", frozenset({"sent"})),
    ("amount_form", "exponent", frozenset({"sent"})),
    ("webhook_duplicates", 3, frozenset({"sent"})),
    ("error_body", "html", frozenset({"sent"})),
)
#: Outcomes of which no withdrawal comes at the simulator.
NOTHING_DONE = {"declined", "rate_limited", "error_500_before_work"}


@pytest.fixture(
    scope="module", params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world per database for the whole table."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('refunds') / 'checkout.db'}"
    else:
        url = request.getfixturevalue("postgresql_server")()
    with world(url, speed=500.0, changes={"CHECKOUT_LEASE": "4"}) as made:
        yield made


@pytest.fixture
def running(shared: World) -> Iterator[World]:
    shared.new_store()
    yield shared
    shared.mint("switches", {name: one["default"] for name, one in shared.mint("switches").items()})


def settled(running: World, **fields: Any) -> str:
    """A settled payment of a customer the shop manages; its id."""
    customer = {"id": uuid.uuid4().hex, "email": "ada@shop.example"}
    payment = running.open(**{"flow": "hosted_partner", "customer": customer, **fields})
    running.until(lambda: running.read(payment["id"])["status"] == "open", saying=lambda: running.read(payment["id"]))
    running.paid(running.read(payment["id"])["provider"]["reference"])
    running.until_status(payment["id"], "settled")
    return str(payment["id"])


def refunded(running: World, payment: str, amount: int = 400, details: dict[str, str] | None = None) -> str:
    services = running.system.services
    wanted = NewRefund(
        amount=Money(amount, "EUR"), idempotency_key=uuid.uuid4().hex, details=DETAILS if details is None else details
    )
    answer, _ = services.refunds.request(payment, wanted, who="ann")
    services.refunds.approve(answer.row.id, who="ann")
    return answer.row.id


def state(running: World, ident: str) -> str:
    return running.system.services.refunds.get(ident).row.state


def of(running: World, ident: str) -> list[dict[str, Any]]:
    """Withdrawals that the simulator has carried out for a refund."""
    return [one for one in running.mint("withdrawals") if one["custom_fields"].get("refund") == ident]


def cases_of(running: World, ident: str) -> list[str]:
    (payment,) = running.system.services.report.trace(ident)["payments"]
    return [one["kind"] for refund in payment["refunds"] if refund["id"] == ident for one in refund["cases"]]


@pytest.mark.parametrize(
    ("switch", "value", "ends"), ENDS, ids=lambda one: str(one) if isinstance(one, str | int) else ""
)
def test_whatever_the_answer_a_refund_is_one_withdrawal(
    running: World, switch: str, value: Any, ends: frozenset[str]
) -> None:
    payment = settled(running)
    positions = {switch: value}
    if switch == "withdrawal_outcome":
        positions |= {"withdrawal_outcome_times": 1, "hang_s": 3.0}
    if switch == "error_body":
        positions |= {"withdrawal_outcome": "error_500_after_work", "withdrawal_outcome_times": 1}
    running.mint("switches", positions)
    ident = refunded(running, payment)
    running.until(lambda: state(running, ident) in ends, 20, lambda: running.system.services.report.trace(ident))
    if value == "failed_after_sent":
        running.until(lambda: cases_of(running, ident) == ["refund_contradiction"], 10)
    expected = 0 if value in NOTHING_DONE else 1
    running.until(lambda: len(of(running, ident)) >= expected, 10)  # it is sending before the first byte has arrived
    done = of(running, ident)
    assert len(done) == expected
    assert all((one["amount"], one["reason"]) == ("4", "Refund") for one in done)
    balance = running.system.services.report.balance()
    assert balance["balanced"], balance["problems"]


def test_an_unknown_that_no_news_resolves_is_a_persons_to_say(running: World) -> None:
    payment = settled(running)
    running.mint("switches", {"withdrawal_outcome": "hang", "hang_s": 3.0, "withdrawal_end": "silent"})
    ident = refunded(running, payment)
    running.until(lambda: state(running, ident) == "unknown", 20)
    resolving = running.system.services.refund_resolving
    running.until(lambda: _said(resolving, ident), 20)
    assert state(running, ident) == "sent"
    assert len(of(running, ident)) == 1


def _said(resolving: Any, ident: str) -> bool:
    try:
        resolving.resolve(ident, Resolution.SENT, evidence="the dashboard shows it", who="ann")
    except NotPossible:  # lease and deadline are not over
        return False
    return True


def test_a_connection_cut_at_any_moment_is_one_withdrawal_at_most(running: World) -> None:
    payment = settled(running)
    for moment, done in (("received", 0), ("before_answer", 1), ("while_answering", 1)):
        running.mint("kill", {"path": "/withdrawal/", "method": "POST", "moment": moment, "act": "cut"})
        ident = refunded(running, payment, 100)
        running.until(lambda ident=ident: state(running, ident) in ("unknown", "sent", "accepted"), 20)  # type: ignore[misc]
        assert len(of(running, ident)) == done
        if done:
            running.until(lambda ident=ident: state(running, ident) == "sent", 20)  # type: ignore[misc]
        else:
            assert state(running, ident) == "unknown"
    assert running.system.services.report.balance()["balanced"]


def test_the_hosted_call_is_taken_where_it_is_configured(running: World) -> None:
    payment = settled(running, flow="hosted", customer=None)
    running.system.services.refund_resolving.rule(
        running.store, currency="EUR", limit=None, hosted_withdrawal=True, who="ann"
    )
    ident = refunded(running, payment, details={})
    running.until(lambda: state(running, ident) == "sent", 20, lambda: running.system.services.report.trace(ident))
    (done,) = of(running, ident)
    assert done["call"] == "withdrawal_hosted"
    url = running.system.services.refunds.get(ident).shopper_url
    assert url is not None
    assert url.startswith(running.servers.stable_mint_url + "/withdrawals/")


def test_the_table_holds_every_value_the_simulator_takes() -> None:
    hints = typing.get_type_hints(StableMintSwitches)
    switches = {name for name in hints if name.startswith("withdrawal_")} - {"withdrawal_outcome_times"}
    for name in switches:
        assert {value for switch, value, _ in ENDS if switch == name} == set(typing.get_args(hints[name])), name
