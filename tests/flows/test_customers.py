"""Returning customers: stored once, sent each time, forgotten when asked; and buying again in one call."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from checkout.errors import IdempotencyReused, NotFound, NotPossible, RequestRefused
from checkout.paying.customers import Person
from checkout.paying.links import NewLink
from checkout.paying.payments import PaymentAnswer
from checkout.rules.money import Money
from checkout.store import stores
from checkout.store.records import CustomerRow
from checkout.store.resealing import reseal, sealed_columns
from tests.system import System, make_system

KYC = {
    "full_name": "Ann Example", "citizenship_country_code": "DE", "residence_address": "Example Street 1, Berlin",
    "date_of_birth": "1990-01-31", "place_of_birth": "Berlin", "gender": "female", "mobile_phone": "+4915112345678",
    "personal_identification_number": "12345678",
}  # fmt: skip
ANN = Person("c-1", "ann@shop.example", "DE", KYC)


def again(system: System, external_id: str = "c-1") -> PaymentAnswer:
    """One call that names nothing but the customer, the order and the amount."""
    wanted = replace(system.wanted(flow="hosted_partner", customer=Person(external_id)), country=None)
    answer, _ = system.services.payments.open(system.store, wanted)
    return answer


def row(system: System, external_id: str = "c-1") -> CustomerRow:
    with system.database.read() as unit:
        found = stores.customer_by_external_id(unit, system.store.id, external_id)
    assert found is not None
    return found


def test_a_stored_customer_buys_with_nothing_but_a_name(system: System) -> None:
    stored, new = system.services.customers.put(system.store, ANN)
    assert new
    bought = again(system)
    sent = system.mint.requests[0]
    assert (sent["userId"], sent["userEmail"], sent["userCountryCode"]) == (
        stored.provider_user_id, "ann@shop.example", "DE",
    )  # fmt: skip
    assert sent["userKyc"] == {
        "fullName": "Ann Example", "citizenshipCountryCode": "DE", "residenceAddress": "Example Street 1, Berlin",
        "dateOfBirth": "1990-01-31", "placeOfBirth": "Berlin", "gender": "female", "mobilePhone": "+4915112345678",
        "personalIdentificationNumber": "12345678",
    }  # fmt: skip
    assert (bought.payment.country, bought.payment.status) == ("DE", "open")
    assert again(system).payment.customer_id == bought.payment.customer_id
    assert len({sent["userId"] for sent in system.mint.requests}) == 1


def test_what_is_stored_is_sealed_and_only_the_names_of_facts_are_told(tmp_path: Path) -> None:
    system = make_system(f"sqlite:///{tmp_path / 'sealed.db'}")
    stored, _ = system.services.customers.put(system.store, ANN)
    assert system.services.customers.kyc_fields(stored) == sorted(KYC)
    system.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("*.db*"))
    assert b"c-1" in raw
    assert not [text for text in ("ann@shop.example", *KYC.values()) if len(text) > 6 and text.encode() in raw]


def test_putting_replaces_and_paying_adds(sqlite_system: System) -> None:
    system = sqlite_system
    first, _ = system.services.customers.put(system.store, ANN)
    second, new = system.services.customers.put(system.store, Person("c-1", "new@shop.example", "FR"))
    assert (new, second.provider_user_id) == (False, first.provider_user_id)
    assert system.services.customers.kyc_fields(second) == []
    wanted = system.wanted(flow="hosted_partner", customer=Person("c-1", None, "AT", {"full_name": "Ann"}))
    system.services.payments.open(system.store, wanted)
    sent = system.mint.requests[0]
    assert (sent["userEmail"], sent["userKyc"], sent["userCountryCode"]) == (
        "new@shop.example",
        {"fullName": "Ann"},
        "DE",
    )
    assert system.services.customers.kyc_fields(row(system)) == ["full_name"]


@pytest.mark.parametrize(
    ("person", "fields"),
    [
        (Person("c", None, None), {"email", "country"}),
        (Person("c", "nobody", "de"), {"email", "country"}),
        (Person("c", "a@b.example", "DE", {"date_of_birth": "31.1.1990", "shoe_size": "44"}),
         {"kyc.date_of_birth", "kyc.shoe_size"}),
        (Person("c", "a@b.example", "DE", {"mobile_phone": "call me", "citizenship_country_code": "Germany"}),
         {"kyc.mobile_phone", "kyc.citizenship_country_code"}),
        (Person("c", "a@b.example", "DE", {"full_name": " "}), {"kyc.full_name"}),
    ],
)  # fmt: skip
def test_every_bad_field_is_named_and_nothing_is_stored(
    sqlite_system: System, person: Person, fields: set[str]
) -> None:
    with pytest.raises(RequestRefused) as refused:
        sqlite_system.services.customers.put(sqlite_system.store, person)
    assert set(refused.value.fields) == fields
    with pytest.raises(NotFound):
        sqlite_system.services.customers.get(sqlite_system.store.id, "c")


def test_an_unknown_customer_must_be_told_of_first(sqlite_system: System) -> None:
    with pytest.raises(RequestRefused) as refused:
        again(sqlite_system, "nobody")
    assert set(refused.value.fields) == {"customer.email", "country"}
    assert not sqlite_system.mint.requests


def test_an_erased_customer_is_forgotten_and_the_payments_stay(system: System) -> None:
    system.services.customers.put(system.store, ANN)
    bought = again(system)
    system.hear(system.sessions(bought.payment.id)[0], "completed")
    before = system.balances()
    system.services.customers.erase(system.store.id, "c-1", who="ann")
    system.services.customers.erase(system.store.id, "c-1", who="ann")
    erased = row(system)
    assert (erased.email_sealed, erased.kyc_sealed, erased.country) == (None, None, None)
    assert (system.payment(bought.payment.id).status, system.balances()) == ("settled", before)
    with pytest.raises(NotFound):
        system.services.customers.get(system.store.id, "c-1")
    with pytest.raises(RequestRefused):
        again(system)
    with pytest.raises(NotFound):
        system.services.customers.erase(system.store.id, "nobody", who="ann")


def test_nothing_stays_that_an_erased_persons_facts_could_be_compared_with(sqlite_system: System) -> None:
    system = sqlite_system
    asked = system.wanted(flow="hosted_partner", customer=ANN)
    opened, _ = system.services.payments.open(system.store, asked)
    repeated, new = system.services.payments.open(system.store, asked)
    assert (repeated.payment.id, new) == (opened.payment.id, False)
    system.services.customers.erase(system.store.id, "c-1", who="ann")
    assert system.payment(opened.payment.id).request_hash == ""
    with pytest.raises(IdempotencyReused):
        system.services.payments.open(system.store, asked)
    assert len(system.mint.requests) == 1


def test_who_comes_back_after_erasure_is_another_person_to_the_provider(sqlite_system: System) -> None:
    system = sqlite_system
    first, _ = system.services.customers.put(system.store, ANN)
    system.services.customers.erase(system.store.id, "c-1", who="ann")
    second, new = system.services.customers.put(system.store, ANN)
    assert new
    assert second.provider_user_id != first.provider_user_id
    assert second.erased_at is None
    system.services.customers.erase(system.store.id, "c-1", who="ann")
    system.services.payments.open(system.store, system.wanted(flow="hosted_partner", customer=ANN))
    assert system.mint.requests[0]["userId"] == row(system).provider_user_id
    assert row(system).provider_user_id not in (first.provider_user_id, second.provider_user_id)


def test_one_uuid_for_many_first_payments_at_once(system: System) -> None:
    wanted = [system.wanted(flow="hosted_partner", customer=ANN) for _ in range(4)]
    threads = [threading.Thread(target=system.services.payments.open, args=(system.store, one)) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {sent["userId"] for sent in system.mint.requests} == {row(system).provider_user_id}


def test_another_stores_customer_of_the_same_name_is_another_person(sqlite_system: System) -> None:
    system = sqlite_system
    other = system.services.stores.create("Other", ["https://other.example"], who="ann")
    mine, _ = system.services.customers.put(system.store, ANN)
    theirs, _ = system.services.customers.put(system.services.stores.find(other.id), ANN)
    assert mine.provider_user_id != theirs.provider_user_id
    with pytest.raises(NotFound):
        system.services.customers.get(other.id, "nobody")


def test_after_a_data_key_changed_everything_is_sealed_again_and_the_old_key_can_go(tmp_path: Path) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    system = make_system(url, settings={"CHECKOUT_DATA_KEY": old})
    system.services.customers.put(system.store, ANN)
    paid = again(system)
    for _ in range(230):  # more than one batch
        system.deliver(system.event(system.sessions(paid.payment.id)[0], "created"))
    system.close()
    system = make_system(url, settings={"CHECKOUT_DATA_KEY": f"{new},{old}"}, store="Second")
    store = _first_store(system)
    assert system.services.customers.kyc_fields(system.services.customers.get(store, "c-1")) == sorted(KYC)
    sealer = system.services.context.sealer
    done = {
        f"{table.name}.{column.name}": reseal(system.database, table, column, lambda one: sealer.seal(sealer.open(one)))
        for table, column in sealed_columns()
    }
    assert done["event.body_sealed"] == 230
    assert done["customer.kyc_sealed"] == 1
    system.close()
    system = make_system(url, settings={"CHECKOUT_DATA_KEY": new}, store="Third")
    assert system.services.customers.kyc_fields(system.services.customers.get(store, "c-1")) == sorted(KYC)
    assert system.services.payments.get(store, paid.payment.id).pay_token == paid.pay_token
    system.work()
    system.close()


def _first_store(system: System) -> str:
    return next(one.id for one in system.services.stores.all() if one.name == "Shop")


def test_hosted_payments_know_no_customer(sqlite_system: System) -> None:
    opened = sqlite_system.pay(customer=Person("c-9", "x@shop.example", "DE"))
    assert opened.payment.customer_id is None
    with pytest.raises(NotFound):
        sqlite_system.services.customers.get(sqlite_system.store.id, "c-9")


def test_a_payment_link_of_an_erased_customer_does_not_work(sqlite_system: System) -> None:
    system = sqlite_system
    system.services.customers.put(system.store, ANN)
    link = NewLink("hosted_partner", Money(900, "EUR"), "EUR", "DE", "o-1", "k", customer_id="c-1")
    made, _ = system.services.links.create(system.store, link)
    system.services.customers.erase(system.store.id, "c-1", who="ann")
    with pytest.raises(NotPossible, match="does not work"):
        system.services.links.start(made.token, "n" * 22)
