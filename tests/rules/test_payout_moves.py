"""Every move of a payout, written out once by hand and compared; every provider word over every state."""

from __future__ import annotations

import itertools

import pytest

from checkout.errors import ForbiddenMove
from checkout.rules.payouts import DEAD, FINAL, MOVES, PROVIDER_STATES, PayoutState, check_move, follow

FORWARD = ["transfer_created", "awaiting_funding", "funded", "submitted", "processed"]
#: From each state, where it may go.
BY_HAND = {
    "proposed": "quoted on_hold cancelled",
    "quoted": "approved proposed on_hold cancelled",
    "approved": "quoted transfer_created on_hold needs_decision cancelled",
    "transfer_created": (
        "awaiting_funding funded submitted processed completed failed expired cancelled on_hold needs_decision"
    ),
    "awaiting_funding": "funded submitted processed completed failed expired cancelled on_hold needs_decision",
    "funded": "submitted processed completed on_hold needs_decision",
    "submitted": "processed completed on_hold needs_decision",
    "processed": "completed on_hold needs_decision",
    "on_hold": (
        "proposed cancelled needs_decision failed expired completed "
        "transfer_created awaiting_funding funded submitted processed"
    ),
    "needs_decision": (
        "returned completed cancelled failed transfer_created awaiting_funding funded submitted processed"
    ),
    "completed": "returned",
    "failed": "",
    "expired": "",
    "cancelled": "",
    "returned": "",
}
#: Stables' words (money.md section 7).
WORDS = {
    "created": "transfer_created",
    "awaiting_funds_collection": "awaiting_funding",
    "funds_collected": "funded",
    "payment_submitted": "submitted",
    "payment_processed": "processed",
    "completed": "completed",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
    "compliance_hold": "on_hold",
}
UNKNOWN_WORDS = ["unknown", "in_progress", "on_hold", "funded", "COMPLETED", "", "refunded"]


def test_the_table_is_the_one_written_by_hand() -> None:
    assert {before.value: set(after) for before, after in MOVES.items()} == {
        before: set(after.split()) for before, after in BY_HAND.items()
    }
    assert {state.value for state in FINAL} == {"completed", "failed", "expired", "cancelled", "returned"}
    assert {state.value for state in DEAD} == {"failed", "expired", "cancelled"}
    assert {word: state.value for word, state in PROVIDER_STATES.items()} == WORDS


@pytest.mark.parametrize(("before", "after"), list(itertools.product(PayoutState, PayoutState)))
def test_every_pair_is_either_permitted_or_refused(before: PayoutState, after: PayoutState) -> None:
    if after.value in BY_HAND[before.value].split():
        check_move(before, after)
        return
    with pytest.raises(ForbiddenMove) as refused:
        check_move(before, after)
    assert (refused.value.subject, refused.value.before, refused.value.after) == ("payout", before, after)


#: Where each word of the provider leads while nobody can have paid; states and words that are absent do not move.
HIDDEN = {
    "proposed": {"cancelled": "cancelled", "compliance_hold": "on_hold"},
    "quoted": {"cancelled": "cancelled", "compliance_hold": "on_hold"},
    "approved": {"created": "transfer_created", "cancelled": "cancelled", "compliance_hold": "on_hold"},
    "transfer_created": {word: state for word, state in WORDS.items() if word != "created"},
    "awaiting_funding": {
        word: state for word, state in WORDS.items() if word not in ("created", "awaiting_funds_collection")
    },
    "funded": {
        "payment_submitted": "submitted", "payment_processed": "processed", "completed": "completed",
        "compliance_hold": "on_hold",
    },
    "submitted": {"payment_processed": "processed", "completed": "completed", "compliance_hold": "on_hold"},
    "processed": {"completed": "completed", "compliance_hold": "on_hold"},
    "on_hold": {word: state for word, state in WORDS.items() if word != "compliance_hold"},
}  # fmt: skip
BAD_ENDS = {"failed": "needs_decision", "expired": "needs_decision", "cancelled": "needs_decision"}
#: The same once the address was revealed or funds were collected: a bad end waits for a person.
EXPOSED = {
    state: {word: after for word, after in leads.items() if word not in BAD_ENDS}
    | (BAD_ENDS if "needs_decision" in BY_HAND[state].split() else {})
    for state, leads in HIDDEN.items()
}


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize(("before", "word"), list(itertools.product(PayoutState, [*WORDS, *UNKNOWN_WORDS])))
def test_every_word_in_every_state_moves_as_written_or_not_at_all(
    before: PayoutState, word: str, exposed: bool
) -> None:
    after = follow(before, word, exposed=exposed)
    assert after == (EXPOSED if exposed else HIDDEN).get(before.value, {}).get(word)
    if after is not None:
        check_move(before, after)


@pytest.mark.parametrize("before", PayoutState)
@pytest.mark.parametrize("word", WORDS)
def test_once_exposed_nothing_is_released_by_the_provider_alone(before: PayoutState, word: str) -> None:
    assert follow(before, word, exposed=True) not in DEAD


@pytest.mark.parametrize(("before", "word"), list(itertools.product(FORWARD, WORDS)))
def test_news_that_comes_late_never_takes_a_transfer_back(before: str, word: str) -> None:
    after = follow(PayoutState(before), word, exposed=False)
    if after is not None and after.value in FORWARD:
        assert FORWARD.index(after.value) > FORWARD.index(before)
