"""Notifications reach public addresses only in live mode, end in time, and follow nothing."""

from __future__ import annotations

import socket
import threading

import httpcore
import httpx
import pytest

from checkout.providers.storefront import Storefront, outward, public_addresses_of


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "::1", "100.64.0.1", "0.0.0.0"],  # noqa: S104 - a target
)
def test_an_address_inside_our_network_is_refused(host: str) -> None:
    with pytest.raises(httpcore.ConnectError):
        public_addresses_of(host, 443)


def test_a_public_address_is_accepted() -> None:
    assert public_addresses_of("93.184.216.34", 443) == ["93.184.216.34"]


def test_a_live_sender_does_not_reach_loopback() -> None:
    with httpx.Client(transport=outward(sandbox=False)) as http:
        assert Storefront(http).send("http://127.0.0.1:9/", b"{}", {}, deadline_s=1) is None


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"location": "https://elsewhere.example/"})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        assert Storefront(http).send("https://shop.example/hooks", b"{}", {}, deadline_s=1) == 302
    assert asked == ["https://shop.example/hooks"]


def test_a_shop_that_never_answers_is_no_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        held: list[socket.socket] = []
        threading.Thread(target=lambda: held.append(server.accept()[0]), daemon=True).start()
        with httpx.Client(transport=outward(sandbox=True)) as http:
            assert Storefront(http).send(f"http://127.0.0.1:{port}/", b"{}", {}, deadline_s=0.3) is None
        for one in held:
            one.close()
