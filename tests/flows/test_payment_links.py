"""Payment links: an address that opens payments, by itself, bounded and once where it says once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from checkout.errors import IdempotencyReused, NotFound, NotPossible, RequestRefused
from checkout.paying.customers import Person
from checkout.paying.links import STARTS_PER_HOUR, LinkAnswer, NewLink, link_as_shown
from checkout.paying.payments import PaymentAnswer
from checkout.rules.money import Money
from checkout.store.pages import Page
from tests.system import System


def wanted(**changes: Any) -> NewLink:
    values: dict[str, Any] = {
        "flow": "hosted", "amount": Money(900, "EUR"), "currency": "EUR", "country": "DE", "order": "INV-1",
        "idempotency_key": "link-1", "metadata": {"a": "b"}, "title": "Invoice 1",
    }  # fmt: skip
    return NewLink(**{**values, **changes})


def make(system: System, **changes: Any) -> LinkAnswer:
    answer, new = system.services.links.create(system.store, wanted(**changes))
    assert new
    return answer


def nonce(number: int = 0) -> str:
    return f"drawn-page-number-{number:04}"


def start(system: System, link: LinkAnswer, number: int = 0) -> PaymentAnswer:
    """The payment that going on from the link's page leads to."""
    token = system.services.links.start(link.token, nonce(number))
    ident = system.services.shopper.pay(token).payment_id
    return system.services.payments.get(system.store.id, ident)


def test_looking_changes_nothing_and_going_on_opens_a_payment_of_the_links_order(system: System) -> None:
    link = make(system, language="de", urls={"success_url": "https://shop.example/thanks"})
    view = system.services.links.view(link.token)
    assert (view.order, view.title, view.amount, view.usable) == ("INV-1", "Invoice 1", Money(900, "EUR"), True)
    assert not system.mint.requests
    opened = start(system, link)
    assert (opened.payment.order_ref, opened.payment.asked) == ("INV-1", Money(900, "EUR"))
    assert (opened.payment.language, opened.payment.link_id, opened.payment.status) == ("de", link.link.id, "open")
    assert opened.payment.success_url == "https://shop.example/thanks"
    assert link_as_shown(link, base="https://pay.example")["url"] == f"https://pay.example/link/{link.token}"


def test_a_double_click_is_one_payment_and_another_visitor_is_another(system: System) -> None:
    link = make(system)
    first, again, other = start(system, link, 1), start(system, link, 1), start(system, link, 2)
    assert first.payment.id == again.payment.id != other.payment.id


def test_a_link_of_single_use_is_one_payment_for_everybody_and_used_up_once_paid(system: System) -> None:
    link = make(system, single_use=True)
    opened, again = start(system, link, 1), start(system, link, 2)
    assert opened.payment.id == again.payment.id
    system.hear(system.sessions(opened.payment.id)[0], "initiated")
    assert system.services.links.view(link.token).why == "used"
    system.hear(system.sessions(opened.payment.id)[0], "failed")
    assert system.services.links.view(link.token).usable
    system.hear(system.sessions(opened.payment.id)[0], "completed")
    with pytest.raises(NotPossible, match="used"):
        system.services.links.start(link.token, nonce())


def test_two_visitors_at_once_share_the_payment_of_a_single_use_link(system: System) -> None:
    link = make(system, single_use=True)
    tokens: list[str] = []

    def visit(number: int) -> None:
        tokens.append(system.services.links.start(link.token, nonce(number)))

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(3)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert len(tokens) == 3
    assert len(set(tokens)) == 1


def test_an_expired_link_opens_nothing_and_its_payment_goes_on(system: System) -> None:
    link = make(system, expires_at=system.clock.now + timedelta(hours=1))
    opened = start(system, link)
    system.clock.advance(hours=2)
    assert system.services.links.view(link.token).why == "expired"
    with pytest.raises(NotPossible, match="expired"):
        system.services.links.start(link.token, nonce(1))
    system.hear(system.sessions(opened.payment.id)[0], "completed")
    assert system.payment(opened.payment.id).status == "settled"


def test_deactivating_twice_is_once_and_ends_it(sqlite_system: System) -> None:
    system = sqlite_system
    link = make(system)
    for _ in range(2):
        answer = system.services.links.deactivate(system.store.id, link.link.id, who="ann")
        assert answer.why == "deactivated"
    with pytest.raises(NotPossible, match="deactivated"):
        system.services.links.start(link.token, nonce())


def test_equal_requests_under_one_key_are_one_link_and_other_content_is_refused(system: System) -> None:
    link = make(system)
    same, new = system.services.links.create(system.store, wanted())
    assert (same.link.id, same.token, new) == (link.link.id, link.token, False)
    with pytest.raises(IdempotencyReused):
        system.services.links.create(system.store, wanted(order="INV-2"))


def test_equal_requests_at_once_are_one_link(system: System) -> None:
    made: list[str] = []

    def create() -> None:
        made.append(system.services.links.create(system.store, wanted())[0].link.id)

    requests = [threading.Thread(target=create) for _ in range(4)]
    for request in requests:
        request.start()
    for request in requests:
        request.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_a_public_link_opens_only_so_many_payments_in_an_hour(sqlite_system: System) -> None:
    system = sqlite_system
    link = make(system)
    for number in range(STARTS_PER_HOUR):
        start(system, link, number)
    with pytest.raises(NotPossible, match="very often"):
        system.services.links.start(link.token, nonce(STARTS_PER_HOUR))
    system.clock.advance(hours=1, minutes=1)
    start(system, link, STARTS_PER_HOUR)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"amount": None}, {"amount"}),
        ({"flow": "embedded", "customer_id": "nobody"}, {"flow", "customer"}),
        ({"flow": "hosted_partner"}, {"customer"}),
        ({"customer_id": "c-1"}, {"customer"}),
        ({"urls": {"success_url": "https://evil.example/"}}, {"success_url"}),
    ],
)
def test_every_bad_field_of_a_link_is_named(sqlite_system: System, changes: dict[str, Any], fields: set[str]) -> None:
    with pytest.raises(RequestRefused) as refused:
        sqlite_system.services.links.create(sqlite_system.store, wanted(**changes))
    assert set(refused.value.fields) == fields


@pytest.mark.parametrize("away", [timedelta(0), timedelta(hours=-1), timedelta(days=401)])
def test_a_link_ends_in_the_future_and_not_too_far_away(sqlite_system: System, away: timedelta) -> None:
    with pytest.raises(RequestRefused, match="expires_at"):
        sqlite_system.services.links.create(sqlite_system.store, wanted(expires_at=sqlite_system.clock.now + away))


def test_a_link_for_a_known_customer_sends_what_is_stored(sqlite_system: System) -> None:
    system = sqlite_system
    system.services.customers.put(system.store, Person("c-1", "ann@shop.example", "AT"))
    link = make(system, flow="hosted_partner", customer_id="c-1")
    opened = start(system, link)
    assert system.mint.requests[0]["userEmail"] == "ann@shop.example"
    assert opened.payment.customer_id is not None


@pytest.mark.parametrize("text", ["", "short", "x" * 65, "with space in the nonce", "ключ-ключ-ключ-ключ"])
def test_a_page_that_we_did_not_draw_starts_nothing(sqlite_system: System, text: str) -> None:
    link = make(sqlite_system)
    with pytest.raises(NotPossible):
        sqlite_system.services.links.start(link.token, text)
    assert not sqlite_system.mint.requests


def test_links_are_listed_newest_first_by_pages_and_only_the_stores_own(sqlite_system: System) -> None:
    system = sqlite_system
    made = [make(system, idempotency_key=f"k-{number}").link.id for number in range(5)]
    page, more = system.services.links.page(system.store.id, Page(limit=2))
    assert ([one.link.id for one in page], more) == ([made[4], made[3]], True)
    page, more = system.services.links.page(system.store.id, Page(limit=5, after=made[3]))
    assert ([one.link.id for one in page], more) == ([made[2], made[1], made[0]], False)
    other = system.services.stores.create("Other", ["https://other.example"], who="ann")
    assert system.services.links.page(other.id, Page(limit=5)) == ([], False)
    for verb in (lambda: system.services.links.get(other.id, made[0]),
                 lambda: system.services.links.deactivate(other.id, made[0], who="ann"),
                 lambda: system.services.links.view("x" * 22)):  # fmt: skip
        with pytest.raises(NotFound):
            verb()
