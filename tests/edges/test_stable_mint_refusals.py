"""The Stable Mint client: what is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from checkout.errors import RequestRefused
from checkout.rules.money import Money
from tests.edges.stable_mint_provider import (
    Provider,
    a_partner_request,
    a_request,
    an_embedded_request,
    client,
    refused,
)


def test_every_bad_field_is_named_at_once_by_its_public_name() -> None:
    request = a_partner_request(
        flow="hosted_partner",
        amount=Money(0, "EUR"),
        country="de",
        success_url=None,
        exit_url="http://shop.example/",
        error_url="https://user@shop.example/",
        support_url="javascript:alert(1)",
        user_id=" ",
        user_email="jo",
        payment_method="OpenBanking",
        custom_fields={"order": 5},
        kyc={
            "date_of_birth": "2990-01-01",
            "citizenship_country_code": "Germany",
            "gender": "",
            "shoe_size": "44",
        },
    )
    assert set(refused(request)) == {
        "amount", "country", "success_url", "exit_url", "error_url", "support_url", "customer.id",
        "customer.email", "payment_method",
        "metadata", "customer.kyc.date_of_birth", "customer.kyc.citizenship_country_code",
        "customer.kyc.gender", "customer.kyc.shoe_size",
    }  # fmt: skip


def test_a_refused_request_is_never_sent() -> None:
    provider = Provider()
    with pytest.raises(RequestRefused):
        client(provider).open_session(a_request(country="XX"))
    assert provider.requests == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"flow": "hosting"}, "flow"),
        ({"flow": []}, "flow"),
        ({"currency": "USDC"}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "USD"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": 10}, "amount"),
        ({"amount": 10.0}, "amount"),
        ({"amount": Money(-5, "EUR")}, "amount"),
        ({"country": 5}, "country"),
        ({"country": "ZZ"}, "country"),
        ({"success_url": "https://a.example/\nx"}, "success_url"),
        ({"success_url": 5}, "success_url"),
        ({"payment_method": "Card"}, "payment_method"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"website_reference": "6ac1f6f0-6f0e-4f63-9d59-0d3c3a9f2a11"}, "website_reference"),
        ({"destination_address": "0x\x00"}, "destination_address"),
        ({"custom_fields": {"order": "\ud800"}}, "metadata"),
        ({"custom_fields": {"": "x"}}, "metadata"),
        ({"custom_fields": {str(n): "x" for n in range(51)}}, "metadata"),
        ({"custom_fields": ["x"]}, "metadata"),
        ({"kyc": "x"}, "customer.kyc"),
        ({"kyc": {"full_name": "x" * 501}}, "customer.kyc.full_name"),
        ({"kyc": {"full_name": None}}, "customer.kyc.full_name"),
        ({"kyc": {"full_name": ["x"]}}, "customer.kyc.full_name"),
        ({"kyc": {"date_of_birth": "19900131"}}, "customer.kyc.date_of_birth"),
        ({"kyc": {"date_of_birth": "1990-02-30"}}, "customer.kyc.date_of_birth"),
        ({"kyc": {"mobile_phone": "call me"}}, "customer.kyc.mobile_phone"),
        ({"kyc": {"jo@shop.example": "x"}}, "customer.kyc"),
        ({"user_email": "a b@shop.example"}, "customer.email"),
        ({"user_email": "x@" + "y" * 260 + ".example"}, "customer.email"),
        ({"user_email": 5}, "customer.email"),
        ({"user_id": 5}, "customer.id"),
    ],
)
def test_a_bad_field_is_refused_alone(changes: dict[str, Any], field: str) -> None:
    assert set(refused(a_request(**changes))) == {field}


def test_partner_flows_need_their_customer() -> None:
    for request in (
        a_partner_request(user_id=None, user_email=None),
        an_embedded_request(user_id=None, user_email=None),
    ):
        assert set(refused(request)) == {"customer.id", "customer.email"}


def test_a_flow_the_account_is_not_onboarded_for_is_refused() -> None:
    assert set(refused(a_partner_request(), flows=frozenset({"hosted"}))) == {"flow"}


@pytest.mark.parametrize("minor", [9, 1001])
def test_the_sandbox_has_limits_and_live_has_none(minor: int) -> None:
    request = a_request(amount=Money(minor, "EUR"))
    assert set(refused(request)) == {"amount"}
    client(Provider(), sandbox=False).validate(request)


@pytest.mark.parametrize("minor", [10, 1000])
def test_the_limits_themselves_are_allowed(minor: int) -> None:
    client(Provider()).validate(a_request(amount=Money(minor, "EUR")))


def test_plain_http_is_for_loopback_in_the_sandbox() -> None:
    request = a_request(success_url="http://127.0.0.1:8000/return/t/success")
    client(Provider()).validate(request)
    assert set(refused(request, sandbox=False)) == {"success_url"}


def test_refusals_and_reprs_never_show_a_persons_data() -> None:
    request = a_partner_request(user_email="secret person", kyc={"date_of_birth": "secret day"})
    with pytest.raises(RequestRefused) as caught:
        client(Provider()).validate(request)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(request)
