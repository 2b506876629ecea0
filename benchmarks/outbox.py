"""The least a step of a payout can cost: what ``python -m benchmarks`` divides by.

A bare outbox on the service's own database, through its driver: claim a row, store an attempt, POST to the upstream on
a kept connection, store the answer, mark the row done. Four commits with the service's durability and one exchange.
Nothing is read, checked, encrypted or explained, and it could not be used.

``python -m benchmarks.outbox DATABASE_URL UPSTREAM`` reads a number of steps per line and answers each line with the
seconds they took, with as many threads as the worker has for payouts.
"""

from __future__ import annotations

import http.client
import socket
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from sqlalchemy.engine import make_url

#: Threads of ``checkout worker`` for payouts.
THREADS: Final = 2
TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS outbox (id VARCHAR(64) PRIMARY KEY, lease VARCHAR(64), done INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS outbox_attempt (id VARCHAR(64) PRIMARY KEY, answer {blob})",
)
CLAIM: Final = "UPDATE outbox SET lease = {p} WHERE id = {p}"
ATTEMPT: Final = "INSERT INTO outbox_attempt (id) VALUES ({p})"
ANSWER: Final = "UPDATE outbox_attempt SET answer = {p} WHERE id = {p}"
DONE: Final = "UPDATE outbox SET done = 1, lease = NULL WHERE id = {p}"
ROW: Final = "INSERT INTO outbox VALUES ({p}, NULL, 0)"
#: Bytes of a quote or a transfer as the service asks for it.
BODY: Final = b"{" + b" " * 400 + b"}"

#: Runs one statement and commits.
Commit = Callable[[str, Sequence[Any]], None]


def sqlite_commit(path: str) -> Callable[[], Commit]:
    """Connections with WAL and ``synchronous=FULL``; threads of the process queue at a lock, as the service's do."""
    writer = threading.Lock()

    def connect() -> Commit:
        connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

        def commit(statement: str, values: Sequence[Any]) -> None:
            with writer:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(statement.format(p="?", blob="BLOB"), values)
                connection.execute("COMMIT")

        return commit

    return connect


def postgresql_commit(url: str) -> Callable[[], Commit]:
    """The same through psycopg."""

    def connect() -> Commit:
        connection = psycopg.connect(url)

        def commit(statement: str, values: Sequence[Any]) -> None:
            connection.execute(statement.format(p="%s", blob="BYTEA").encode(), values)
            connection.commit()

        return commit

    return connect


class Outbox:
    """Threads that work off rows, each with its own connections."""

    def __init__(self, connect: Callable[[], Commit], upstream: str) -> None:
        self._connect = connect
        self._upstream = urlsplit(upstream).netloc
        self._commit = connect()
        for table in TABLES:
            self._commit(table, ())

    def work_off(self, steps: int) -> float:
        """The seconds that so many steps take; their rows are there before the clock is read."""
        rows = [uuid.uuid4().hex for _ in range(steps)]
        for row in rows:
            self._commit(ROW, (row,))
        shares = [rows[number::THREADS] for number in range(THREADS)]
        ready = threading.Barrier(THREADS + 1)
        threads = [threading.Thread(target=self._work, args=(share, ready)) for share in shares]
        for thread in threads:
            thread.start()
        ready.wait()
        begun = time.perf_counter()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begun

    def _work(self, rows: Sequence[str], ready: threading.Barrier) -> None:
        commit = self._connect()
        upstream = http.client.HTTPConnection(self._upstream)
        upstream.connect()
        upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.wait()
        for row in rows:
            attempt = uuid.uuid4().hex
            commit(CLAIM, (attempt, row))
            commit(ATTEMPT, (attempt,))
            upstream.request("POST", "/session/hosted", BODY, {"Content-Type": "application/json"})
            answer = upstream.getresponse().read()
            commit(ANSWER, (answer, attempt))
            commit(DONE, (row,))
        upstream.close()


def main() -> None:
    database, upstream = sys.argv[1:3]
    url = make_url(database)
    if url.get_backend_name() == "sqlite":
        outbox = Outbox(sqlite_commit(url.database or ""), upstream)
    else:
        place = url.set(drivername="postgresql").render_as_string(hide_password=False)
        outbox = Outbox(postgresql_commit(place), upstream)
    for line in sys.stdin:
        print(outbox.work_off(int(line)), flush=True)


if __name__ == "__main__":
    main()
