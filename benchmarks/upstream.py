"""A stand-in for both providers: keep-alive, answers made from nothing but the request, an optional delay. Its own process.

``python -m benchmarks.upstream DELAY_MS`` prints its port and serves until it is ended. Service and floor both call
it, so what it costs is nobody's. What it answers as Stables is in :mod:`benchmarks.stables`.
"""

from __future__ import annotations

import json
import socketserver
import sys
import time
import uuid
from typing import Final

from benchmarks.stables import Stables

#: How long the session it promises lives.
SESSION_LIFE_S: Final = 1800


class Connection(socketserver.StreamRequestHandler):
    """One kept connection: request after request until the caller closes it."""

    disable_nagle_algorithm = True
    delay_s = 0.0
    stables = Stables()

    def handle(self) -> None:
        while (asked := self._request()) is not None:
            if self.delay_s:
                time.sleep(self.delay_s)
            method, path, content = asked
            answer = self.stables.answer(method, path, content) if path.startswith("/api/v1/") else self._session()
            body = json.dumps(answer).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

    def _session(self) -> dict[str, object]:
        """Stable Mint's answer to every session."""
        ident = str(uuid.uuid4())
        host, port = self.request.getsockname()[:2]
        return {
            "url": f"http://{host}:{port}/sessions/{ident}",
            "expiresAt": int(time.time()) + SESSION_LIFE_S,
            "reference": ident[:13],
        }

    def _request(self) -> tuple[str, str, bytes] | None:
        """Read one request: method, path and body; None when the connection has ended."""
        line = self.rfile.readline()
        if not line:
            return None
        method, path = line.decode("latin-1").split(" ")[:2]
        length = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return method, path, self.rfile.read(length)


class Upstream(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def main() -> None:
    Connection.delay_s = float(sys.argv[1]) / 1000
    with Upstream(("127.0.0.1", 0), Connection) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
