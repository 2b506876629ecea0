"""What an operator changes of a store: origins, while something still returns there; pauses; each with its act."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from checkout.errors import RequestRefused
from checkout.paying.links import NewLink
from checkout.rules.money import parse_amount
from checkout.store import moves
from tests.system import System

SHOP, OTHER = "https://shop.example", "https://other.example"


def change(system: System, *origins: str, **urls: str) -> None:
    system.services.stores.set("Shop", urls, who="ann", origins=origins)


def origins(system: System) -> list[str]:
    found: list[str] = json.loads(system.services.stores.find("Shop").origins)
    return found


def refusal(system: System, *allowed: str, **urls: str) -> dict[str, list[str]]:
    before = origins(system)
    with pytest.raises(RequestRefused) as refused:
        change(system, *allowed, **urls)
    assert origins(system) == before
    return refused.value.fields


def link(system: System, **changes: Any) -> str:
    wanted: dict[str, Any] = {
        "flow": "hosted", "amount": parse_amount("9.00", "EUR"), "currency": "EUR", "country": "DE", "order": "1",
        "idempotency_key": "k", "title": None, "customer_id": None, "language": None, "metadata": {},
        "single_use": False, "expires_at": None, "urls": {"success_url": f"{SHOP}/thanks"},
    }  # fmt: skip
    answer, _ = system.services.links.create(system.services.stores.find("Shop"), NewLink(**{**wanted, **changes}))
    return answer.link.id


def test_origins_are_replaced_by_those_given_each_once(system: System) -> None:
    change(system, OTHER, f"{SHOP}/", OTHER.upper().replace("HTTPS", "https"))
    assert origins(system) == [OTHER, SHOP]
    with system.database.read() as unit:
        done = moves.acts_on(unit, system.store.id)[-1]
    assert (done["who"], done["action"]) == ("ann", "store changed")
    assert json.loads(done["detail"]) == {"origins": [OTHER, SHOP]}


@pytest.mark.parametrize("wrong", ["shop.example", "https://shop.example/path", "http://shop.example", ""])
def test_what_is_no_origin_is_refused(sqlite_system: System, wrong: str) -> None:
    assert set(refusal(sqlite_system, SHOP, wrong)) == {"origin"}


def test_an_origin_that_a_return_url_needs_stays_until_the_url_is_changed(sqlite_system: System) -> None:
    change(sqlite_system, SHOP, OTHER, success_url=f"{SHOP}/thanks", exit_url=f"{OTHER}/left")
    said = refusal(sqlite_system, OTHER)
    assert set(said) == {"success_url"}
    assert f"{SHOP}/thanks" in said["success_url"][0]
    assert "--success-url" in said["success_url"][0]
    change(sqlite_system, OTHER, success_url=f"{OTHER}/thanks")
    assert origins(sqlite_system) == [OTHER]


def test_a_url_given_beside_origins_must_fit_them(sqlite_system: System) -> None:
    assert set(refusal(sqlite_system, SHOP, success_url=f"{OTHER}/thanks")) == {"success_url"}
    change(sqlite_system, SHOP, OTHER, success_url=f"{OTHER}/thanks")


def test_an_origin_that_an_active_link_needs_stays_until_it_is_deactivated(sqlite_system: System) -> None:
    ident = link(sqlite_system)
    said = refusal(sqlite_system, OTHER)
    assert set(said) == {"origin"}
    assert ident in said["origin"][0]
    sqlite_system.services.links.deactivate(sqlite_system.store.id, ident, who="ann")
    change(sqlite_system, OTHER)


def test_a_link_that_is_over_or_returns_elsewhere_needs_nothing(sqlite_system: System) -> None:
    link(sqlite_system, expires_at=sqlite_system.clock.now + timedelta(hours=1))
    link(sqlite_system, idempotency_key="plain", urls={})
    sqlite_system.clock.advance(hours=1)
    change(sqlite_system, OTHER)
    assert origins(sqlite_system) == [OTHER]


def test_a_payment_sends_nobody_to_an_origin_that_was_taken_away(sqlite_system: System) -> None:
    change(sqlite_system, SHOP, OTHER, exit_url=f"{OTHER}/left")
    store = sqlite_system.services.stores.find("Shop")
    payment, _ = sqlite_system.services.payments.open(store, sqlite_system.wanted(urls={"exit_url": f"{SHOP}/mine"}))
    pay = sqlite_system.services.shopper.pay
    assert str(pay(payment.pay_token).exit_url).startswith(f"{SHOP}/mine?")
    change(sqlite_system, OTHER)
    assert str(pay(payment.pay_token).exit_url).startswith(f"{OTHER}/left?")


def test_a_pause_and_its_end_are_acts(sqlite_system: System) -> None:
    sqlite_system.services.stores.pause("Shop", reason="audit", who="ann")
    sqlite_system.services.stores.resume("Shop", who="ben")
    with sqlite_system.database.read() as unit:
        done = [(one["who"], one["action"]) for one in moves.acts_on(unit, sqlite_system.store.id)]
    assert done[-2:] == [("ann", "paused"), ("ben", "resumed")]
