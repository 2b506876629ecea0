"""Payout accounts over their life: pending in live mode, replaced and retired with everything approved for them void."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.store import moves, payouts
from tests.account_samples import CUSTOMER, account
from tests.offramp import Offramp, offramp
from tests.system import System, make_system

LIVE = {
    "CHECKOUT_MODE": "live", "CHECKOUT_PUBLIC_URL": "https://pay.example", "STABLE_MINT_API_URL": "https://mint.example",
    "STABLE_MINT_PAGE_DOMAINS": "mint.example", "STABLES_API_URL": "https://stables.example",
    "STABLES_API_KEY": "sti_live_0123456789", "STABLE_MINT_FLOWS": "hosted",
}  # fmt: skip
IBAN = "DE89370400440532013000"
OTHER = "AT611904300234573201"


class Examiner:
    """Stables' check of bank details, played: keeps what it was asked, answers as told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: httpx.Response | Exception = httpx.Response(200, json={"valid": True, "errors": []})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/payment-methods/validate"
        self.asked.append(json.loads(request.content))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@contextmanager
def examined(database_url: str, **settings: str) -> Iterator[tuple[System, Examiner]]:
    examiner = Examiner()
    system = make_system(database_url, stables=httpx.MockTransport(examiner), settings=settings)
    try:
        yield system, examiner
    finally:
        system.close()


@pytest.fixture
def live(database_url: str) -> Iterator[System]:
    with examined(database_url, **LIVE) as (system, _):
        yield system


def add(system: System, content: object = None, who: str = "ann") -> dict[str, Any]:
    return system.services.payout_accounts.add(system.store.id, account() if content is None else content, who=who)


def state(system: System, ident: str) -> str:
    return str(system.services.payout_accounts.show(ident)["state"])


# --- pending -----------------------------------------------------------------------------------------------------------


def test_a_new_account_is_pending_in_live_mode_until_a_second_person_confirms_it(live: System) -> None:
    accounts = live.services.payout_accounts
    ident = add(live)["id"]
    assert state(live, ident) == "pending"
    with pytest.raises(NotPossible, match="second person"):
        accounts.confirm(ident, who="ann")
    accounts.confirm(ident, who="ben")
    assert state(live, ident) == "usable"
    with pytest.raises(NotPossible, match="confirmed by ben"):
        accounts.confirm(ident, who="cay")


def test_a_pending_account_becomes_usable_by_itself_after_a_day(live: System) -> None:
    ident = add(live)["id"]
    live.clock.advance(hours=23, minutes=59)
    assert state(live, ident) == "pending"
    live.clock.advance(minutes=1)
    assert state(live, ident) == "usable"


def test_a_changed_account_is_pending_again_in_live_mode(live: System) -> None:
    ident = add(live)["id"]
    live.services.payout_accounts.confirm(ident, who="ben")
    changed = live.services.payout_accounts.replace(ident, _austrian(), who="ann")
    assert (changed["state"], changed["replaces"]) == ("pending", ident)
    assert state(live, ident) == "retired"


def test_live_mode_refuses_an_account_without_the_recipients_extras_and_the_sandbox_only_warns(
    live: System, sqlite_system: System
) -> None:
    bare = account("EUR", "bank", recipient_type=..., address=...)
    with pytest.raises(RequestRefused) as caught:
        add(live, bare)
    assert set(caught.value.fields) == {"bank.recipient_type", "bank.address"}
    warnings = add(sqlite_system, bare)["warnings"]
    assert [one.split(":")[0] for one in warnings][:2] == ["bank.address", "bank.recipient_type"]


# --- the same, another, none -------------------------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing(database_url: str) -> None:
    with examined(database_url) as (system, examiner):
        first = add(system)
        again = add(system, who="ben")
        assert again["id"] == first["id"]
        assert len(examiner.asked) == 1
        with pytest.raises(NotPossible, match="nothing differs"):
            system.services.payout_accounts.replace(first["id"], account(), who="ben")


def test_an_account_of_the_same_name_takes_the_others_place(database_url: str) -> None:
    with examined(database_url) as (system, _):
        first, second = add(system), add(system, _austrian())
        assert [one["id"] for one in system.services.payout_accounts.list(system.store.id)] == [second["id"]]
        both = system.services.payout_accounts.list("Shop", include_retired=True)
        assert {one["id"]: one["state"] for one in both} == {first["id"]: "retired", second["id"]: "usable"}
        shown = system.services.payout_accounts.show(first["id"])
        assert [one["action"] for one in shown["acts"]] == ["payout account added", "payout account replaced"]


def test_an_account_keeps_its_name_when_the_new_file_has_none_and_cannot_take_anothers(system: System) -> None:
    first = add(system)
    add(system, {**account(), "name": "Second"})
    nameless = _austrian()
    del nameless["name"]
    replaced = system.services.payout_accounts.replace(first["id"], nameless, who="ann")
    assert replaced["name"] == "Main"
    with pytest.raises(NotPossible, match="already"):
        system.services.payout_accounts.replace(replaced["id"], {**account(), "name": "Second"}, who="ann")
    assert state(system, replaced["id"]) == "usable"


def test_what_is_out_of_use_can_be_neither_confirmed_nor_replaced_nor_retired_nor_checked(system: System) -> None:
    accounts = system.services.payout_accounts
    ident = add(system)["id"]
    accounts.retire(ident, who="ann")
    assert state(system, ident) == "retired"
    for act in (
        lambda: accounts.retire(ident, who="ann"),
        lambda: accounts.confirm(ident, who="ben"),
        lambda: accounts.replace(ident, account(), who="ann"),
        lambda: accounts.check(ident, who="ann"),
        lambda: accounts.show("acc_nowhere"),
        lambda: accounts.list("nowhere"),
        lambda: accounts.add("nowhere", account(), who="ann"),
    ):
        with pytest.raises(NotFound):
            act()


def test_of_two_who_retire_an_account_one_is_told_that_it_is_gone(system: System) -> None:
    ident = add(system)["id"]
    with system.database.write() as unit:
        assert payouts.retire_payout_account(unit, ident, at=system.clock())
        assert not payouts.retire_payout_account(unit, ident, at=system.clock())


# --- Stables' opinion --------------------------------------------------------------------------------------------------


def test_stables_is_asked_before_anything_is_stored_and_its_no_names_the_field_without_the_number(
    database_url: str,
) -> None:
    with examined(database_url) as (system, examiner):
        examiner.answer = httpx.Response(
            200,
            json={
                "valid": False,
                "errors": [
                    {
                        "field": "iban",
                        "message": f"{IBAN} is closed, says Lighthouse Savings",
                        "code": "INVALID_FIELDS",
                    },
                    {"message": "EUR is off", "code": "UNSUPPORTED_CURRENCY"},
                ],
            },
        )
        with pytest.raises(RequestRefused) as caught:
            add(system)
        said = str(caught.value)
        assert set(caught.value.fields) == {"bank.iban", "destination.currency"}
        assert IBAN not in said
        assert "Lighthouse" not in said
        assert system.services.payout_accounts.list(system.store.id) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(503), "no usable answer"),
        (httpx.ReadTimeout("late"), "no usable answer"),
        (httpx.Response(403, json={"statusCode": 403, "error": "Forbidden", "message": "no"}), "allowlist"),
        (httpx.Response(404, json={"statusCode": 404, "error": "Not Found", "message": "Route not found"}), "404"),
    ],
)
def test_when_stables_cannot_say_the_account_is_stored_and_the_doubt_with_it(
    answer: httpx.Response | Exception, words: str, database_url: str
) -> None:
    with examined(database_url) as (system, examiner):
        examiner.answer = answer
        added = add(system)
        assert added["provider_check"] == "unknown"
        assert words in added["warnings"][-1]
        examiner.answer = httpx.Response(200, json={"valid": True})
        checked = system.services.payout_accounts.check(added["id"], who="ann")
        assert checked["provider_check"] == "valid"
        assert system.services.payout_accounts.show(added["id"])["provider_check"] == "valid"


def test_without_the_extras_stables_is_not_asked(database_url: str) -> None:
    with examined(database_url, STABLES_EXTRAS="off") as (system, examiner):
        added = add(system)
        assert (added["provider_check"], added["warnings"], examiner.asked) == (None, [], [])
        with pytest.raises(NotPossible, match="STABLES_EXTRAS"):
            system.services.payout_accounts.check(added["id"], who="ann")


def test_a_stored_account_that_stables_refuses_later_says_so(database_url: str) -> None:
    with examined(database_url) as (system, examiner):
        ident = add(system)["id"]
        examiner.answer = httpx.Response(200, json={"valid": False, "errors": []})
        checked = system.services.payout_accounts.check(ident, who="ann")
        assert (checked["provider_check"], checked["fields"]) == ("refused", {"bank": "Stables refuses it"})


# --- nothing of the bank leaks -----------------------------------------------------------------------------------------


def test_no_answer_act_or_listing_has_a_bank_detail(system: System, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    accounts = system.services.payout_accounts
    said = [add(system)]
    ident = said[0]["id"]
    said += [accounts.show(ident), *accounts.list(system.store.id), accounts.check(ident, who="ann")]
    with system.database.read() as unit:
        said += moves.acts_on(unit, ident)
        row = payouts.payout_account_by_id(unit, ident)
    assert row is not None
    assert IBAN.encode() not in row.bank_sealed
    text = repr(said) + caplog.text
    assert [word for word in (IBAN, "370400", "Quayside", "Lighthouse", "Harbour 1") if word in text] == []
    assert "…3000" in text


# --- the story ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url) as made:
        yield made


@pytest.mark.parametrize("change", ["replaced", "retired"])
def test_the_bank_account_was_changed_after_approval_and_no_money_goes_to_the_old_one(
    ramp: Offramp, change: str
) -> None:
    system = ramp.system
    ramp.settled()
    old = add(system)["id"]
    payout = system.services.payouts.propose(system.store.id, account_id=None, who="ann")
    ramp.until(payout, "quoted")
    system.services.payouts.approve(payout, min_credit="1.00", who="ann")
    if change == "replaced":
        system.services.payout_accounts.replace(old, _austrian(), who="ben")
    else:
        system.services.payout_accounts.retire(old, who="ben")
    with system.database.read() as unit:
        assert payouts.live_mandate(unit, payout) is None
        (mandate,) = payouts.mandates_of(unit, payout)
    assert mandate["voided_because"] == f"the payout account was {change}"
    ramp.until(payout, "quoted", "on_hold")
    assert ramp.transfers() == []
    with pytest.raises((NotPossible, NotFound)):
        system.services.payouts.approve(payout, min_credit="1.00", who="ann")


def test_the_provider_simulated_finds_the_fault_in_bank_details_and_quotes_nothing(ramp: Offramp) -> None:
    ramp.switch(validate_refuses="iban", beneficiary_extras_required=True)
    with pytest.raises(RequestRefused) as caught:
        add(ramp.system, account("EUR", "bank", recipient_type=...))
    assert set(caught.value.fields) == {"bank.iban", "bank.recipient_type"}
    assert IBAN not in str(caught.value)
    ramp.switch(validate_refuses="")
    assert add(ramp.system)["provider_check"] == "valid"


def _austrian() -> dict[str, Any]:
    content = account("EUR", "bank", iban=OTHER, bank_country="AT")
    content["destination"]["country"] = "AT"
    assert content["stables_customer_id"] == CUSTOMER
    return content
