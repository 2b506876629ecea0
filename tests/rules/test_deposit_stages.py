"""Deposits go forward only, over the whole grid; the providers' words are written out once more by hand."""

from __future__ import annotations

import itertools

import pytest

from checkout.rules.deposits import (
    KNOWN_WITHOUT_EFFECT,
    MONEY_STAGES,
    RANK,
    V1_STAGES,
    V2_STAGES,
    Stage,
    advance,
    is_known,
    stage_of,
)

DEPOSIT = "partner.customer.deposit."
#: design.md section 4, column by column; absent: the version has no such event.
V2 = {
    "created": "open", "initiated": "initiated", "submitted": "submitted", "accepted": "accepted",
    "completed": "settled", "failed": "failed",
}  # fmt: skip
V1 = {"created": "open", "submitted": "submitted", "reconciled": "accepted", "failed": "failed"}
WITHOUT_EFFECT = {
    "partner.customer.withdrawal.requested", "partner.customer.withdrawal.accepted",
    "partner.customer.withdrawal.sent", "partner.customer.withdrawal.failed",
    "customer.token.transfer.in.initiated", "transaction.status.changed",
}  # fmt: skip
WORDS = ["created", "initiated", "submitted", "reconciled", "accepted", "completed", "failed", "refunded", ""]


def test_the_tables_are_those_written_by_hand() -> None:
    assert {name.removeprefix(DEPOSIT): stage for name, stage in V2_STAGES.items()} == V2
    assert {name.removeprefix(DEPOSIT): stage for name, stage in V1_STAGES.items()} == V1
    assert WITHOUT_EFFECT == KNOWN_WITHOUT_EFFECT
    assert [stage.value for stage in sorted(Stage, key=RANK.__getitem__)] == [
        "open", "initiated", "submitted", "accepted", "settled",
    ]  # fmt: skip
    assert {"accepted", "settled"} == MONEY_STAGES


@pytest.mark.parametrize("meaning", ["settled", "accepted"])
@pytest.mark.parametrize("word", WORDS)
def test_every_word_states_what_its_version_says(word: str, meaning: str) -> None:
    name = DEPOSIT + word
    assert stage_of(name, "v2", meaning) == V2.get(word)
    assert stage_of(name, "v1", meaning) == (meaning if word == "accepted" else V1.get(word))


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_known_only_in_the_version_that_has_it(word: str, version: str) -> None:
    known = V2 if version == "v2" else {**V1, "accepted": "settled"}
    assert is_known(DEPOSIT + word, version) == (word in known)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_withdrawals_and_transfers_are_known_and_move_no_deposit(name: str, version: str) -> None:
    assert is_known(name, version)
    assert stage_of(name, version, "settled") is None


#: Written out by hand: rows are the stage before, columns what is stated, in the order of the stages.
GRID = {
    None: ["open", "initiated", "submitted", "accepted", "settled"],
    "open": ["open", "initiated", "submitted", "accepted", "settled"],
    "initiated": ["initiated", "initiated", "submitted", "accepted", "settled"],
    "submitted": ["submitted", "submitted", "submitted", "accepted", "settled"],
    "accepted": ["accepted", "accepted", "accepted", "accepted", "settled"],
    "settled": ["settled", "settled", "settled", "settled", "settled"],
}
STAGES = ["open", "initiated", "submitted", "accepted", "settled"]


@pytest.mark.parametrize(("before", "stated"), list(itertools.product(GRID, STAGES)))
def test_every_pair_goes_forward_or_stays(before: str | None, stated: str) -> None:
    after = advance(None if before is None else Stage(before), Stage(stated))
    assert after.value == GRID[before][STAGES.index(stated)]
