"""Public addresses are those that no registry keeps for something else; whatever hides another address is not public."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.public_addresses import is_public

INSIDE = (
    "0.0.0.1", "0.1.2.3", "10.0.0.7", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.9.9.9",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.7", "::ffff:93.184.216.34", "::ffff:0:10.0.0.7",
    "64:ff9b::7f00:1", "64:ff9b::a00:7", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:53aa:64c::1", "2001:2::1", "2001:10::1",
    "2001:db8::1", "2002:7f00:1::", "2002:a00:7::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456:789a::1", "fe80::1",
    "fe80::1%eth0", "2606:4700::1111%eth0", "fec0::1", "ff02::1", "ff0e::1",
)  # fmt: skip
OUTSIDE = (
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e", "2003::1",
)  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_kept_for_something_else_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "text", ["", "shop.example", "1.2.3", "1.2.3.4.5", "0x7f000001", "017700000001", "2130706433", "::g"]
)
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_knows_to_be_inside(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    inside = (
        address.is_private or address.is_loopback or address.is_link_local or address.is_multicast or address.is_reserved
        or address.is_unspecified or not address.is_global
    )  # fmt: skip
    assert not (inside and is_public(str(address)))


@given(st.ip_addresses(v=4))
def test_no_way_of_writing_an_ipv4_address_into_an_ipv6_one_makes_it_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    disguises = (
        number, 0xFFFF << 32 | number, 0xFFFF << 48 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80,
        0x20010000 << 96 | (number ^ 0xFFFFFFFF), 0xFE80 << 112 | 0x5EFE << 32 | number,
    )  # fmt: skip
    assert not any(is_public(str(ipaddress.IPv6Address(one))) for one in disguises)
