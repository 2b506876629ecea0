"""A stand-in for Stable Mint's session call: keep-alive, a fixed answer, an optional delay. Its own process.

``python -m benchmarks.upstream DELAY_MS`` prints its port and serves until it is ended. Service and floor both call
it, so what it costs is nobody's.
"""

from __future__ import annotations

import json
import socketserver
import sys
import time
import uuid
from typing import Final

#: How long the session it promises lives.
SESSION_LIFE_S: Final = 1800


class Connection(socketserver.StreamRequestHandler):
    """One kept connection: request after request until the caller closes it."""

    disable_nagle_algorithm = True
    delay_s = 0.0

    def handle(self) -> None:
        while self._request():
            if self.delay_s:
                time.sleep(self.delay_s)
            ident = str(uuid.uuid4())
            host, port = self.request.getsockname()[:2]
            answer = {
                "url": f"http://{host}:{port}/sessions/{ident}",
                "expiresAt": int(time.time()) + SESSION_LIFE_S,
                "reference": ident[:13],
            }
            body = json.dumps(answer).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

    def _request(self) -> bool:
        """Read one request and forget it; False when the connection has ended."""
        length = 0
        line = self.rfile.readline()
        if not line:
            return False
        while line not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            line = self.rfile.readline()
        self.rfile.read(length)
        return True


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
