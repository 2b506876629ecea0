"""Every UNKNOWN that touches money, every plausible answer to it: the flows end the same.

The table maps each to its switch values; a value that the simulator takes and the table lacks fails here.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from checkout.simulator.stable_mint.switches import StableMintSwitches
from checkout.simulator.stables.switches import Switches
from tests.world import World, world


@dataclass(frozen=True)
class Unknown:
    """One open question: whose, what, the switch that answers it, and every value it can take."""

    provider: str
    question: str
    switch: str
    values: tuple[Any, ...]
    beside: tuple[tuple[str, Any], ...] = ()  #: other switches that make the question matter
    flow: str = "hosted"


UNKNOWNS = (
    Unknown(
        "mint", "what a replayed session call gets", "session_replay", ("same", "error", "no_url"),
        (("session_outcome", "error_500_after_work"), ("session_outcome_times", 1)),
    ),
    Unknown(
        "mint", "what else a session call may do", "session_outcome",
        ("ok", "rate_limited", "error_500_before_work", "error_500_after_work", "hang", "foreign_url", "no_url",
         "unparseable"),
        (("session_outcome_times", 1), ("hang_s", 3.0)),
    ),
    Unknown("mint", "the form of error bodies", "error_body", ("json", "html", "empty"),
            (("session_outcome", "error_500_before_work"), ("session_outcome_times", 1))),
    Unknown("mint", "what the embedded answer has of the hosted one", "embedded_extras",
            ("both", "reference", "expires_at", "none"), flow="embedded"),
    Unknown("mint", "the shape of savedBanks", "saved_banks", ("list", "object", "text"), flow="embedded"),
    Unknown("mint", "whether the embedded answer has its sessionId", "embedded_session_id", ("present",),
            flow="embedded"),
    Unknown("mint", "the unit of expiresAt", "expires_at", ("seconds", "milliseconds")),
    Unknown("mint", "whether a deposit has the session's reference", "deposit_reference", ("same", "new")),
    Unknown("mint", "whether sessionId is in the URL", "session_id", ("same", "other")),
    Unknown("mint", "V1 or V2", "webhook_version", ("v2", "v1", "mixed")),
    Unknown("mint", "how amounts are written", "amount_form", ("plain", "fixed", "exponent")),
    Unknown("mint", "what later events carry", "later_events", ("everything", "reference", "session", "identifiers")),
    Unknown("mint", "the form of timestamps", "webhook_timestamp",
            ("seconds", "milliseconds", "seven_digits", "no_zone", "offset")),
    Unknown("mint", "whether retries are signed anew", "retry_timestamp", ("new", "old"), (("webhook_duplicates", 2),)),
    Unknown("mint", "the order of webhooks", "webhook_order", ("normal", "reversed", "shuffled")),
    Unknown("stables", "how answers are cased", "answer_case", ("lower", "upper")),
    Unknown("stables", "how amounts are written", "amount_form", ("shortest", "as_sent", "padded")),
    Unknown("stables", "the success code of a transfer", "transfer_answer", (200, 201)),
    Unknown("stables", "whether metadata comes back", "metadata_echo", ("same", "absent")),
    Unknown("stables", "the currency of fees", "fee_currency", ("usd", "destination")),
    Unknown("stables", "whether actual_payout is told", "actual_payout", ("absent", "as_quoted", "one_cent_less")),
    Unknown("stables", "the form of sandbox addresses", "address_form", ("sandbox", "onchain")),
    Unknown("stables", "when instructions come", "null_instructions_reads", (0, 4)),
    Unknown("stables", "whether transitions are told", "transition_webhooks", (True, False)),
    Unknown("stables", "the spelling of event statuses", "status_prefix", ("", "PAYMENT_STATUS_", "TRANSFER_STATUS_")),
    Unknown("stables", "whether answers are sparse", "sparse_answers", (True, False)),
    Unknown("stables", "the order of webhooks", "webhook_order", ("normal", "swapped")),
)  # fmt: skip

#: Values that end otherwise than in the bank, and where each is proven instead.
ELSEWHERE = {
    ("mint", "session_outcome", "declined"): "test_sessions: a declined session fails the payment",
    ("mint", "embedded_session_id", "missing"): "test_embedded_payments: a session without an id is lost",
    ("stables", "metadata_echo", "other"): "test_payout_troubles: an answer that is not what was approved",
    ("stables", "address_form", "bad_checksum"): "test_payout_troubles: an answer that is not what was approved",
}

#: Switches that set a number, a loss or a fault rather than answer an open question about money.
NOT_QUESTIONS = {
    "mint": {
        "timestamp_tolerance_s", "flows", "session_outcome_times", "hang_s", "session_life_s", "session_floor_s",
        "allowed_payment_methods", "embedded_payment_method", "late_money", "widget", "manual_transfer_s",
        "wrong_amount", "currency", "destination_type", "destination_address", "webhook_loss",
        "webhook_loss_nth", "webhook_duplicates", "seed", "webhook_delay_s", "hold_webhooks", "delivered_ratio",
        # asked of refunds, in test_refund_unknowns
        "withdrawal_replay", "withdrawal_outcome", "withdrawal_outcome_times", "withdrawal_end", "withdrawal_events",
    },
}  # fmt: skip

EMBEDDED: dict[str, Any] = {"flow": "embedded", "customer": {"id": "c-1", "email": "ann@shop.example"}}

RUNS = [(one, value) for one in UNKNOWNS for value in one.values]


@pytest.fixture(
    scope="module", params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world per database for the whole table."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('unknowns') / 'checkout.db'}"
    else:
        url = request.getfixturevalue("postgresql_server")()
    changes = {"STABLE_MINT_WIDGET_URL": "http://127.0.0.1:1/widget.js", "STABLES_FUNDING_WINDOW": "30000"}
    with world(url, speed=500.0, changes=changes) as made:
        yield made


@pytest.fixture
def running(shared: World) -> Iterator[World]:
    """The world with a new store, and every switch back in its place afterwards.

    Quotes live long enough for a busy machine: at this speed their 30 s would be 60 ms, and that is not what is asked here.
    """
    shared.new_store()
    shared.stables("switches", {"quote_life_s": 9_000.0, "funding_window_s": 30_000.0})
    yield shared
    for control in (shared.mint, shared.stables):
        control("switches", {name: one["default"] for name, one in control("switches").items()})


@pytest.mark.parametrize(("unknown", "value"), RUNS, ids=lambda one: getattr(one, "switch", str(one)))
def test_whatever_the_answer_the_money_reaches_the_bank(running: World, unknown: Unknown, value: Any) -> None:
    positions = {**dict(unknown.beside), unknown.switch: value}
    (running.mint if unknown.provider == "mint" else running.stables)("switches", positions)
    known_requests = len(running.stables("requests"))
    known = len(running.stables("transfers"))
    payment = running.open(**EMBEDDED if unknown.flow == "embedded" else {})
    running.until(lambda: running.read(payment["id"])["status"] == "open", saying=lambda: running.read(payment["id"]))
    running.paid(running.mint("sessions")[-1]["reference"])  # an embedded answer may not have told us
    running.until_status(payment["id"], "settled")
    trace = running.system.services.report.trace(payment["id"])
    (deposit,) = trace["payments"][0]["deposits"]
    running.payout([deposit["id"]])
    transfers = running.stables("transfers")[known:]
    assert [one["deposits"]["count"] for one in transfers] == [1]
    assert running.system.services.report.balance()["balanced"]
    running.check_contract(known_requests)


def _values(kind: type[Any], name: str) -> set[Any]:
    hint = typing.get_type_hints(kind)[name]
    found: set[Any] = set()
    for part in [hint, *typing.get_args(hint)]:
        if typing.get_origin(part) is typing.Literal:
            found |= set(typing.get_args(part))
    return found


@pytest.mark.parametrize("unknown", UNKNOWNS, ids=lambda one: f"{one.provider}-{one.switch}")
def test_the_table_holds_every_value_the_simulator_takes(unknown: Unknown) -> None:
    kind: type[Any] = StableMintSwitches if unknown.provider == "mint" else Switches
    taken = _values(kind, unknown.switch)
    elsewhere = {
        value for provider, switch, value in ELSEWHERE if (provider, switch) == (unknown.provider, unknown.switch)
    }
    assert taken <= {*unknown.values, *elsewhere}, "a value of the simulator never runs"


def test_every_switch_of_stable_mint_is_a_question_in_the_table_or_said_not_to_be_one() -> None:
    asked = {one.switch for one in UNKNOWNS if one.provider == "mint"}
    assert set(typing.get_type_hints(StableMintSwitches)) == asked | NOT_QUESTIONS["mint"]
