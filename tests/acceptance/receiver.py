"""A shop's endpoint in a process of its own that can be killed: it writes down each delivery, then answers 204.

Standard library alone, so that it is back a moment after it was killed. What it has written outlives it: a line is handed to
the kernel in one piece before the answer leaves.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    book: int

    def do_POST(self) -> None:
        wanted = int(self.headers["content-length"])
        body = self.rfile.read(wanted).decode()
        if len(body.encode()) < wanted:  # whoever sent it died over it
            self.close_connection = True
            return
        named = {name.lower(): value for name, value in self.headers.items() if name.lower().startswith("webhook-")}
        os.write(self.book, json.dumps({"headers": named, "body": body}).encode() + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A worker that was killed in the middle of its request is no error of ours."""

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


if __name__ == "__main__":
    Endpoint.book = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    Server(("127.0.0.1", int(sys.argv[1])), Endpoint).serve_forever()
