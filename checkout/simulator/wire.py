"""A small threaded HTTP/1.1 server with keep-alive that runs a WSGI application.

Werkzeug's own server closes every connection after one answer, which no provider does and which would hide
mistakes in the service's pooled clients. This one keeps connections, sends each answer in one piece, records
the exchange and asks the kill switch at its four moments.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from checkout.simulator.callers import Address
from checkout.simulator.moments import Kills, Moment, Rule
from checkout.simulator.recorder import Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

#: Larger request bodies are refused unread.
BODY_MAX: Final = 1_048_576
#: Seconds an idle connection is kept.
IDLE_S: Final = 75
CONTROL: Final = "/_control/"


@dataclass(slots=True)
class Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])


class HttpServer(ThreadingHTTPServer):
    """Bound when made; give it an ``application`` before :meth:`start`. Recorder and kills are optional."""

    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True

    def __init__(self, place: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        super().__init__(place, Handler)
        self.application: WSGIApplication | None = None
        self.recorder: Recorder | None = None
        self.kills: Kills | None = None
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Origin for a client on this machine."""
        host = str(self.server_address[0])
        if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
            host = "127.0.0.1"
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def server_bind(self) -> None:
        # HTTPServer would ask the resolver for this machine's name, which can take seconds.
        TCPServer.server_bind(self)

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, name=f"http-{self.port}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and close every connection; handlers that still work lose theirs."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a connection that went away is no news
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection: request after request until either side closes it."""

    server: HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_S

    def serve(self) -> None:
        """One request: read it whole, run the application, send the answer in one piece."""
        body = self._body()
        if body is None:
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        path, _, query = self.path.partition("?")
        control = path.startswith(CONTROL)
        recorder = None if control else self.server.recorder
        exchange = recorder and recorder.request(self.command, path, query, self.headers.items(), body)
        kills = None if control else self.server.kills
        rule = kills.meet(self.command, path) if kills else None
        if kills is not None and rule is not None:
            here = Address(*self.connection.getsockname()[:2])
            kills.look(rule, Address(*self.client_address[:2]), here)
        if self._strike(rule, Moment.RECEIVED):
            return
        answer = self._run(self._environ(path, query, body))
        if exchange:
            Recorder.answer(exchange, answer.code, answer.headers, answer.body)
        if self._strike(rule, Moment.BEFORE_ANSWER):
            return
        head = self._head(answer)
        if rule is not None and rule.moment is Moment.WHILE_ANSWERING:
            self.wfile.write(head + answer.body[: len(answer.body) // 2])
            if self._strike(rule, Moment.WHILE_ANSWERING):
                return
            self.wfile.write(answer.body[len(answer.body) // 2 :])
            return
        self.wfile.write(head if self.command == "HEAD" else head + answer.body)
        self._strike(rule, Moment.AFTER_ANSWER)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = serve

    def _strike(self, rule: Rule | None, moment: Moment) -> bool:
        if rule is None or rule.moment is not moment or self.server.kills is None:
            return False
        closed = self.server.kills.strike(rule)
        if closed:
            self.close_connection = True
        return closed

    def _body(self) -> bytes | None:
        """The whole request body; None for one that is too large."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self._chunks()
        text = self.headers.get("Content-Length") or "0"
        length = int(text) if text.isascii() and text.isdigit() else 0
        return None if length > BODY_MAX else self.rfile.read(length)

    def _chunks(self) -> bytes | None:
        body = b""
        while size := int(self.rfile.readline(64).split(b";")[0].strip() or b"0", 16):
            if len(body) + size > BODY_MAX:
                return None
            body += self.rfile.read(size)
            self.rfile.readline(8)
        while self.rfile.readline(BODY_MAX).strip():
            pass
        return body

    def _environ(self, path: str, query: str, body: bytes) -> WSGIEnvironment:
        host, port = self.connection.getsockname()[:2]
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "iso-8859-1"),
            "QUERY_STRING": query,
            "REQUEST_URI": self.path,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": self.client_address[0],
            "REMOTE_PORT": str(self.client_address[1]),
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    def _run(self, environ: WSGIEnvironment) -> Answer:
        answer = Answer("500 Internal Server Error", [], b"")

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None, /
        ) -> Callable[[bytes], object]:
            answer.status, answer.headers = status, headers
            return written.append

        written: list[bytes] = []
        if self.server.application is None:
            return answer
        chunks = self.server.application(environ, start_response)
        try:
            written.extend(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        answer.body = b"".join(written)
        return answer

    def _head(self, answer: Answer) -> bytes:
        lines = [f"HTTP/1.1 {answer.status}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in answer.headers if name.lower() != "content-length"]
        if answer.code not in (204, 304):
            lines.append(f"Content-Length: {len(answer.body)}")
        lines.append(f"Connection: {'close' if self.close_connection else 'keep-alive'}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("iso-8859-1")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the recorder knows more."""
