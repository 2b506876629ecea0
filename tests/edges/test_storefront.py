"""Notifications reach public addresses only in live mode, at the very address that was looked at; they end in time, follow
nothing, and keep of an answer only what may be shown.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from checkout.providers.storefront import (
    EXCERPT_CHARS_MAX,
    READ_BYTES_MAX,
    Answer,
    Storefront,
    client,
    printable,
    public,
)

INVALID = "the certificate is not valid for the host"
URL = "https://shop.example/hooks"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def send(
    http: httpx.Client, url: str = URL, *, sandbox: bool = True, deadline_s: float = 5, signature: str = ""
) -> Answer:
    with http:
        headers = {"webhook-signature": signature}
        return Storefront(http, sandbox=sandbox).send(url, b"{}", headers, deadline_s=deadline_s)


def answering(response: httpx.Response | Exception) -> httpx.Client:
    def answer(_request: httpx.Request) -> httpx.Response:
        if isinstance(response, Exception):
            raise response
        return response

    return client(sandbox=True, transport=httpx.MockTransport(answer))


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback that hands every connection to ``serve``; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def loop() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    if tls is None:
                        serve(connection)
                        continue
                    with tls.wrap_socket(connection, server_side=True) as secured:
                        serve(secured)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def hear(connection: socket.socket) -> None:
    """Read the whole request; what is left unread when a connection ends takes the answer with it."""
    heard = b""
    while not heard.endswith(b"{}"):
        heard += connection.recv(65_536)


def saying(raw: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(raw)

    return serve


# --- where it goes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "[::1]", "[::ffff:10.0.0.7]", "[64:ff9b::a00:7]"]
)
def test_in_live_mode_an_address_inside_our_network_is_refused(host: str) -> None:
    answer = send(client(sandbox=False), f"https://{host}:9/hooks", sandbox=False)
    assert (answer.status, answer.problem) == (None, "refused: the host has an address that is not public")


@pytest.mark.parametrize("found", [["93.184.216.34", "10.0.0.7"], ["::ffff:93.184.216.34"], ["fe80::1%eth0"]])
def test_a_name_with_any_address_that_is_not_public_is_refused_whole(found: list[str]) -> None:
    with pytest.raises(httpcore.ConnectError):
        public(lambda _host, _port: found)("shop.example", 443)


def test_a_name_whose_addresses_are_all_public_is_resolved_to_them() -> None:
    found = ["93.184.216.34", "2606:4700::1111"]
    assert public(lambda _host, _port: found)("shop.example", 443) == found


@pytest.mark.parametrize("url", ["http://shop.example/hooks", "HTTP://shop.example/", "ftp://shop.example/"])
def test_in_live_mode_only_https_is_spoken(url: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    found = send(client(sandbox=False, transport=httpx.MockTransport(answer)), url, sandbox=False)
    assert (found.status, found.problem, asked) == (None, "only https is used in live mode", [])


def test_the_sandbox_permits_loopback() -> None:
    with serving(saying(OK)) as port:
        assert send(client(sandbox=True), f"http://127.0.0.1:{port}/").accepted


class Names:
    """A name server that a stranger controls: its first answer is public, every later one leads inside."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return [self.answers[min(self.asked, len(self.answers)) - 1]]


def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    """The name is asked for once; what it would say the next time (rebinding) is never heard."""
    names = Names("203.0.113.1", "127.0.0.1")
    reached: list[str] = []

    def serve(connection: socket.socket) -> None:
        reached.append(str(connection.getpeername()))

    with serving(serve) as port:
        found = send(
            client(sandbox=False, resolve=names), f"https://shop.example:{port}/", sandbox=False, deadline_s=0.5
        )
        assert (found.problem, names.asked, reached) == ("refused: the host has an address that is not public", 1, [])
        names = Names("127.0.0.1", "203.0.113.1")
        send(client(sandbox=True, resolve=names), f"http://shop.example:{port}/", deadline_s=2)
    assert names.asked == 1
    assert len(reached) == 1


def _pem(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """A throwaway certificate for these hosts, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a shop of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(one) for one in hosts if not one[0].isdigit()]
    addresses = [x509.IPAddress(ipaddress.ip_address(one)) for one in hosts if one[0].isdigit()]
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = folder / "certificate.pem", folder / "private.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


@pytest.mark.parametrize(
    ("certified", "expected"), [("shop.example", ""), ("127.0.0.1", INVALID), ("other.example", INVALID)]
)
def test_the_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, certified: str, expected: str
) -> None:
    certificate, private = _pem(tmp_path, certified)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, private)
    asked_for: list[str] = []
    server.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with serving(saying(OK), tls=server) as port:
        http = client(sandbox=True, resolve=lambda _host, _port: ["127.0.0.1"], tls=trusting)
        found = send(http, f"https://shop.example:{port}/hooks")
    assert (found.accepted, found.problem) == (not expected, expected)
    assert asked_for == ["shop.example"]


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certificate, private = _pem(tmp_path, "shop.example")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, private)
    with serving(saying(OK), tls=server) as port:
        http = client(sandbox=True, resolve=lambda _host, _port: ["127.0.0.1"])
        assert send(http, f"https://shop.example:{port}/").problem == INVALID


# --- how long, how much ------------------------------------------------------------------------------------------


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"location": "https://elsewhere.example/"})

    found = send(client(sandbox=True, transport=httpx.MockTransport(answer)))
    assert (found.status, found.accepted, asked) == (302, False, [URL])


def test_a_shop_that_never_answers_is_no_answer_in_time() -> None:
    over = threading.Event()

    def hang(_connection: socket.socket) -> None:
        over.wait(10)

    with serving(hang) as port:
        found = send(client(sandbox=True), f"http://127.0.0.1:{port}/", deadline_s=0.3)
        over.set()
    assert (found.status, found.problem) == (None, "no answer in time")
    assert found.duration_ms >= 250


def test_a_shop_that_drips_its_answer_does_not_get_more_time_for_it() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            connection.sendall(b"x: y\r\n")

    with serving(drip) as port:
        found = send(client(sandbox=True), f"http://127.0.0.1:{port}/", deadline_s=0.4)
        over.set()
    assert (found.status, found.problem) == (None, "no answer in time")


def test_a_body_without_end_is_not_read_to_its_end() -> None:
    sent: list[int] = []

    def pour(connection: socket.socket) -> None:
        hear(connection)
        connection.sendall(b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n")
        while len(sent) < 20_000:
            connection.sendall(b"1000\r\n" + b"z" * 4096 + b"\r\n")
            sent.append(4096)

    with serving(pour) as port:
        found = send(client(sandbox=True), f"http://127.0.0.1:{port}/")
    assert (found.status, found.excerpt) == (500, "z" * EXCERPT_CHARS_MAX)
    assert sum(sent) < 20_000 * 4096


def test_a_status_counts_also_when_its_body_never_comes_whole() -> None:
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    with serving(saying(raw)) as port:
        found = send(client(sandbox=True), f"http://127.0.0.1:{port}/")
    assert (found.accepted, found.excerpt) == (True, "half")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (httpx.ConnectTimeout("x"), "could not connect in time"),
        (httpx.ConnectError("x"), "could not connect"),
        (httpx.RemoteProtocolError("secret of the peer"), "the answer is not HTTP, or ended within its headers"),
        (httpx.UnsupportedProtocol("x"), "the exchange failed"),
    ],
)
def test_what_went_wrong_is_said_in_our_own_words(error: Exception, problem: str) -> None:
    found = send(answering(error))
    assert (found.status, found.problem) == (None, problem)


def test_nothing_from_one_answer_goes_along_with_the_next_request() -> None:
    cookies: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "session=1; Path=/"})

    with client(sandbox=True, transport=httpx.MockTransport(answer)) as http:
        storefront = Storefront(http, sandbox=True)
        for _ in range(2):
            storefront.send(URL, b"{}", {}, deadline_s=1)
    assert cookies == [None, None]


# --- what is kept of an answer -----------------------------------------------------------------------------------


def test_an_excerpt_is_one_printable_line_without_secrets() -> None:
    body = (
        "Oops\x1b[2J\x00\r\nat \u202eline\u2028 1: whsec_"
        + "A" * 44
        + " sk_live_abc-DEF_1 Bearer sti_test_xyz v1,c2lnbmVk= end"
    )
    found = send(answering(httpx.Response(500, text=body)), signature="v1,c2lnbmVk= v1,b2xk")
    assert found.excerpt == "Oops [2J at line 1: [redacted] [redacted] [redacted] [redacted] end"
    assert repr(found) == "Answer(status=500, problem='', duration_ms=" + f"{found.duration_ms})"


def test_an_excerpt_is_bounded_and_survives_any_bytes() -> None:
    assert printable(b"\xff\xfe\x80" * READ_BYTES_MAX).strip("\N{REPLACEMENT CHARACTER}") == ""
    assert len(printable(b"a" * 10_000)) == EXCERPT_CHARS_MAX
    assert printable(b"-----BEGIN PRIVATE KEY-----\nabc") == "[redacted]"


def test_a_compressed_answer_is_not_unpacked() -> None:
    found = send(answering(httpx.Response(503, content=b"\x1f\x8b bomb", headers={"content-encoding": "br"})))
    assert (found.status, found.excerpt) == (503, "")
