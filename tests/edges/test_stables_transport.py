"""The wire over real loopback sockets: one deadline, bounded answers, and every failure an Unknown."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from checkout.providers.deadline import CORE_ERRORS, DeadlineTransport, time_is_up, within
from checkout.providers.outcome import Unknown
from checkout.providers.transport import ANSWER_BYTES_MAX, RawAnswer, Wire, build_client

SHORT = timedelta(seconds=0.4)
Talk = Callable[[socket.socket], None]


@contextlib.contextmanager
def peer(talk: Talk, *, greet: bool = True) -> Iterator[str]:
    """A server on loopback that reads one request per connection (unless ``greet`` is off), then does as told."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                if greet:
                    connection.recv(65_536)
                talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join(timeout=5)
        listener.close()


@contextlib.contextmanager
def wire_to(url: str, timeout: timedelta = SHORT) -> Iterator[Wire]:
    wire = Wire(build_client(url, timeout=timeout), timeout=timeout)
    try:
        yield wire
    finally:
        wire.close()


def ask(talk: Talk, timeout: timedelta = SHORT) -> tuple[RawAnswer | Unknown, float]:
    with peer(talk) as url, wire_to(url, timeout) as wire:
        began = time.monotonic()
        return wire.send("POST", "/x", content=b"{}"), time.monotonic() - began


def mocked(handler: Callable[[httpx.Request], httpx.Response]) -> Wire:
    client = build_client("https://api.test", timeout=SHORT, transport=httpx.MockTransport(handler))
    return Wire(client, timeout=SHORT)


def test_a_complete_answer_is_given_whatever_its_status() -> None:
    answer, _ = ask(lambda peer: peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"))
    assert isinstance(answer, RawAnswer)
    assert (answer.status, answer.body) == (404, b"{}")


def test_a_slow_drip_of_the_body_ends_at_the_deadline() -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(60):
            peer.sendall(b" ")
            time.sleep(0.05)

    answer, took = ask(drip)
    assert isinstance(answer, Unknown)
    assert answer.reason.startswith("ReadTimeout")
    assert answer.status == 200
    assert took < 1.5


def test_a_slow_drip_of_the_headers_ends_at_the_deadline_too() -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(60):
            peer.sendall(f"X-{number}: 1\r\n".encode())
            time.sleep(0.05)

    answer, took = ask(drip)
    assert answer == Unknown("ReadTimeout: no complete answer in time")
    assert took < 1.5


def test_silence_is_unknown() -> None:
    answer, took = ask(lambda _: time.sleep(0.8))
    assert answer == Unknown("ReadTimeout: no complete answer in time")
    assert took < 0.8


def test_a_connection_dropped_before_the_answer_is_unknown() -> None:
    answer, _ = ask(lambda _: None)
    assert isinstance(answer, Unknown)
    assert answer.reason.startswith(("RemoteProtocolError", "ReadError"))


def test_a_connection_dropped_inside_the_answer_is_unknown_even_after_a_200() -> None:
    answer, _ = ask(lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    assert isinstance(answer, Unknown)
    assert answer.status == 200


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    def flood(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(100):
            peer.sendall(b"x" * 1_000_000)

    answer, _ = ask(flood, timedelta(seconds=5))
    assert answer == Unknown(f"the answer is larger than {ANSWER_BYTES_MAX} bytes", status=200)


def test_what_is_not_http_is_unknown_and_its_words_are_not_repeated() -> None:
    answer, _ = ask(lambda peer: peer.sendall(b"my secret is 12345\r\n\r\n"))
    assert isinstance(answer, Unknown)
    assert "12345" not in answer.reason


def test_nobody_listening_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with wire_to(f"http://127.0.0.1:{port}") as wire:
        assert wire.send("GET", "/") == Unknown("ConnectError: could not connect")


def test_a_host_that_does_not_resolve_is_unknown() -> None:
    with wire_to("http://nobody.invalid", timedelta(seconds=5)) as wire:
        assert wire.send("GET", "/") == Unknown("ConnectError: could not connect")


def test_no_redirect_is_followed() -> None:
    answer, _ = ask(
        lambda peer: peer.sendall(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )
    )
    assert isinstance(answer, RawAnswer)
    assert answer.status == 307


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    answer, _ = ask(lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    assert isinstance(answer, RawAnswer)


def test_connections_are_kept_and_used_again() -> None:
    connections = 0

    def two_answers(peer: socket.socket) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            peer.recv(65_536)

    with peer(two_answers) as url, wire_to(url) as wire:
        assert isinstance(wire.send("GET", "/"), RawAnswer)
        assert isinstance(wire.send("GET", "/"), RawAnswer)
    assert connections == 1


def test_cookies_are_not_kept() -> None:
    heard: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        heard.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "session=1; Path=/"}, json={})

    wire = mocked(handler)
    wire.send("GET", "/")
    wire.send("GET", "/")
    assert heard == [None, None]


def test_answers_are_asked_for_uncompressed_and_a_compressed_one_is_unknown() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        stream = httpx.ByteStream(b"\x1f\x8b bomb")
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=_Unread(stream))

    answer = mocked(handler).send("GET", "/")
    assert answer == Unknown("the answer is compressed, which was not asked for", status=200)


class _Unread(httpx.SyncByteStream):
    """A stream that httpx does not read while building the response."""

    def __init__(self, inner: httpx.ByteStream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        yield from self._inner


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectTimeout, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout, httpx.ConnectError,
        httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError,
        httpx.LocalProtocolError, httpx.ProxyError, httpx.UnsupportedProtocol,
        httpx.DecodingError, httpx.TooManyRedirects,
    ],
)  # fmt: skip
def test_every_error_of_httpx_is_unknown(error: type[httpx.RequestError]) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise error("what the peer said", request=request)

    answer = mocked(broken).send("GET", "/")
    assert isinstance(answer, Unknown)
    assert answer.reason.startswith(error.__name__)
    assert "what the peer said" not in answer.reason


def test_every_error_of_httpcore_has_a_counterpart_in_httpx() -> None:
    for name in dir(httpcore):
        error = getattr(httpcore, name)
        if isinstance(error, type) and issubclass(error, Exception) and name != "ConnectionNotAvailable":
            assert issubclass(error, CORE_ERRORS), name
            assert issubclass(getattr(httpx, name), httpx.TransportError), name


def test_nested_deadlines_end_at_the_earlier_one() -> None:
    with within(timedelta(seconds=-1)):
        assert time_is_up()
        with within(timedelta(seconds=60)):
            assert time_is_up()
    assert not time_is_up()


def test_a_call_after_the_outer_deadline_sends_nothing() -> None:
    with peer(lambda _: None) as url, wire_to(url) as wire, within(timedelta(0)):
        answer = wire.send("POST", "/", content=b"{}")
    assert answer == Unknown("ConnectTimeout: could not connect in time")


def test_a_second_address_is_tried_when_the_first_refuses() -> None:
    with peer(lambda peer: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as url:
        two = DeadlineTransport(connections=1, resolve=lambda *_: ["127.0.0.2", "127.0.0.1"])
        with build_client(url, timeout=SHORT, transport=two) as client:
            assert isinstance(Wire(client, timeout=SHORT).send("GET", "/"), RawAnswer)


def test_a_long_body_to_a_peer_that_does_not_read_ends_at_the_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)  # never accepts, never reads
    try:
        client = build_client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=timedelta(seconds=5))
        began = time.monotonic()
        answer = Wire(client, timeout=SHORT).send("POST", "/", content=b"x" * 30_000_000)
        took = time.monotonic() - began
        client.close()
    finally:
        listener.close()
    assert answer == Unknown("WriteTimeout: could not send the request in time")
    assert took < 1.5


def a_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


def over_tls(certificate: Path, talk: Talk) -> Talk:
    """Do as told over TLS; the request is read inside it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def secured(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            inner.recv(65_536)
            talk(inner)

    return secured


def test_tls_works_inside_the_deadline_and_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path)

    def answer(inner: socket.socket) -> None:
        inner.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        inner.recv(65_536)

    trusting = DeadlineTransport(connections=1, tls=ssl.create_default_context(cafile=str(certificate)))
    with peer(over_tls(certificate, answer), greet=False) as url:
        url = url.replace("http:", "https:")
        with build_client(url, timeout=SHORT, transport=trusting) as client:
            assert isinstance(Wire(client, timeout=SHORT).send("GET", "/"), RawAnswer)
        with wire_to(url) as wire:
            assert wire.send("GET", "/") == Unknown("ConnectError: could not connect")


def test_a_tls_handshake_that_never_ends_does_end() -> None:
    with peer(lambda _: time.sleep(0.8), greet=False) as url, wire_to(url.replace("http:", "https:")) as wire:
        assert wire.send("GET", "/") == Unknown("ConnectTimeout: could not connect in time")
