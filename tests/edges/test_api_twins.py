"""Equal requests at once: a twin waits a moment for the one that is being stored, anybody else is told at once."""

from __future__ import annotations

import pytest

from checkout.errors import ProviderCallsBusy
from checkout.web.twins import WAITS_S, Twins

NAME = ("sto_1", "key-1")


class Verb:
    """Busy so many times, then answers."""

    def __init__(self, busy: int) -> None:
        self.busy = busy
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.busy:
            raise ProviderCallsBusy(2)
        return "the payment"


def test_a_request_without_a_twin_is_told_at_once_that_we_are_busy() -> None:
    waits: list[float] = []
    verb = Verb(busy=1)
    with pytest.raises(ProviderCallsBusy):
        Twins(sleep=waits.append).ask(NAME, verb)
    assert (verb.calls, waits) == (1, [])


def test_a_twin_asks_again_until_the_payment_is_there() -> None:
    waits: list[float] = []
    twins, inner = Twins(sleep=waits.append), Verb(busy=2)
    assert twins.ask(NAME, lambda: twins.ask(NAME, inner)) == "the payment"
    assert (inner.calls, waits) == (3, list(WAITS_S[:2]))


def test_another_key_or_store_is_no_twin() -> None:
    twins = Twins(sleep=lambda _: pytest.fail("it waited"))
    for other in (("sto_1", "key-2"), ("sto_2", "key-1")):
        with pytest.raises(ProviderCallsBusy):
            twins.ask(NAME, lambda other=other: twins.ask(other, Verb(busy=1)))  # type: ignore[misc]


def test_patience_has_an_end() -> None:
    waits: list[float] = []
    twins, inner = Twins(sleep=waits.append), Verb(busy=1000)
    with pytest.raises(ProviderCallsBusy):
        twins.ask(NAME, lambda: twins.ask(NAME, inner))
    assert inner.calls == len(WAITS_S) + 1
    assert sum(waits) < 0.5


def test_a_request_that_is_over_is_nobodys_twin() -> None:
    twins = Twins(sleep=lambda _: pytest.fail("it waited"))
    assert twins.ask(NAME, Verb(busy=0)) == "the payment"
    with pytest.raises(ProviderCallsBusy):
        twins.ask(NAME, Verb(busy=1))
