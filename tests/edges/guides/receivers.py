"""The code of a guide that hears notifications, in any language: it believes what was sent, and nothing else."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from checkout.commands.place import free_port
from tests.edges.guides.page import Snippet
from tests.edges.guides.surroundings import Surroundings

LONG_AGO = 1_700_000_000


class Receivers:
    """Servers in a file of their own; ``tool`` finds ``node``, ``node_modules`` and ``php``."""

    def __init__(self, around: Surroundings, tool: Callable[[str], Any]) -> None:
        self._around = around
        self._tool = tool

    def write(self, snippet: Snippet) -> None:
        Path(snippet.marks["data-name"]).write_text(self._around.filled(snippet.text), encoding="utf-8")

    def run_node(self, snippet: Snippet) -> None:
        self.write(snippet)
        Path("node_modules").symlink_to(self._tool("node_modules") / "node_modules")
        self._run([self._tool("node"), snippet.marks["data-name"]])

    def run_php(self, snippet: Snippet) -> None:
        self.write(snippet)
        self._run([self._tool("php"), "-S", "127.0.0.1:PORT", snippet.marks["data-name"]])

    def _run(self, command: list[str]) -> None:
        """It hears notifications as they were really sent."""
        world, port = self._around.world, str(free_port())
        url = f"http://127.0.0.1:{port}/hooks"
        with Path("heard.log").open("w+") as log:
            server = subprocess.Popen(
                [word.replace("PORT", port) for word in command],
                env={**os.environ, "PORT": port},
                stdout=log,
                stderr=log,
            )
            try:
                world.until(lambda: server.poll() is not None or _listens(port))
                order = believed(
                    self._around,
                    lambda body, headers: world.http.post(url, content=body, headers=headers).status_code,
                )
            finally:
                server.terminate()
                server.wait(10)
        heard = Path("heard.log").read_text(encoding="utf-8")
        assert heard.count("payment.") == heard.count(f"payment.settled {order}") == 1, heard


def believed(around: Surroundings, post: Callable[[bytes, Mapping[str, str]], int]) -> str:
    """It takes a notification as it was really sent, and refuses those that nobody has sent; the order's number."""
    body, headers, order = around.sent()
    named = {name: headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    assert post(body.replace(b'"9.00"', b'"0.01"'), named) == 400
    assert post(body, {}) == 400
    for name, wrong in (("id", "msg_other"), ("timestamp", str(LONG_AGO)), ("timestamp", "now"), ("signature", "v1,AAAA"),
                        ("signature", "v1"), ("signature", "")):  # fmt: skip
        assert post(body, {**named, f"webhook-{name}": wrong}) == 400, name
    stale = {**named, "webhook-timestamp": str(LONG_AGO)}
    secret = Webhook(os.environ["CHECKOUT_HOOK_SECRET"])
    stale["webhook-signature"] = secret.sign(stale["webhook-id"], datetime.fromtimestamp(LONG_AGO, UTC), body.decode())
    assert post(body, stale) == 400, "an old one, signed"
    doubled = {**named, "webhook-signature": f"v1,AAAA {named['webhook-signature']}"}
    assert post(body, doubled) == 204, "signed with an earlier secret too"
    return order


def keep_the_newest(snippet: Snippet) -> None:
    """One statement in a shop's database: in whatever order the news come, and however often, the newest stays."""
    for order in itertools.permutations((1, 2, 3, 2)):
        with contextlib.closing(sqlite3.connect(":memory:")) as shop:
            shop.execute("CREATE TABLE orders (number, status, sequence)")
            shop.execute("INSERT INTO orders VALUES ('1001', 'open', 0), ('1002', 'open', 0)")
            for sequence in order:
                news = {"order": "1001", "status": f"status {sequence}", "sequence": sequence}
                shop.execute(snippet.text, news)
            found = shop.execute("SELECT * FROM orders ORDER BY number").fetchall()
        assert found == [("1001", "status 3", 3), ("1002", "open", 0)], order


def _listens(port: str) -> bool:
    with contextlib.closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", int(port))) == 0
