"""The least a step of a payout can cost: what ``python -m benchmarks`` divides by.

A bare outbox on the service's own database: claim a row, store an attempt, POST to the upstream on a kept connection, store
the answer, mark the row done. Four commits with the service's durability and one exchange. Nothing is read, checked,
encrypted or explained, and it could not be used. It comes twice: through the libraries that the service uses (SQLAlchemy
Core and httpx), which says what our own part costs; and through the bare driver and ``http.client``, which says what the
libraries cost as well.

``python -m benchmarks.outbox DATABASE_URL UPSTREAM`` reads an outbox's name and a number of steps per line, and answers
each line with the seconds they took, with as many threads as the worker has for payouts.
"""

from __future__ import annotations

import http.client
import socket
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psycopg
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    insert,
    update,
)
from sqlalchemy.engine import make_url

#: Threads of ``checkout worker`` for payouts.
THREADS: Final = 2
#: Through which tools.
KINDS: Final = ("libraries", "driver")
META: Final = MetaData()
OUTBOX: Final = Table(
    "outbox", META, Column("id", String(64), primary_key=True), Column("lease", String(64)), Column("done", Integer),
)  # fmt: skip
ATTEMPT: Final = Table(
    "outbox_attempt", META, Column("id", String(64), primary_key=True), Column("answer", LargeBinary)
)
PRAGMAS: Final = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
#: Bytes of a quote or a transfer as the service asks for it.
BODY: Final = b"{" + b" " * 400 + b"}"
PATH: Final = "/session/hosted"
HEADERS: Final = {"Content-Type": "application/json"}

#: One statement by name with its values, in a transaction of its own.
Commit = Callable[[str, Mapping[str, Any]], None]
#: POSTs the body; the answer's body.
Post = Callable[[], bytes]


def libraries_commit(url: str) -> Callable[[ExitStack], Commit]:
    """Statements built once, on pooled connections; SQLite's threads queue at a lock, as the service's do."""
    engine = create_engine(url)
    gate: AbstractContextManager[Any] = nullcontext()
    if engine.dialect.name == "sqlite":
        gate = threading.Lock()

        @event.listens_for(engine, "connect")
        def _prepare(connection: sqlite3.Connection, _record: object) -> None:
            connection.isolation_level = None
            for pragma in PRAGMAS:
                connection.execute(pragma)

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    META.create_all(engine)
    statements = {
        "row": insert(OUTBOX),
        "claim": update(OUTBOX).where(OUTBOX.c.id == bindparam("key")),
        "attempt": insert(ATTEMPT),
        "answer": update(ATTEMPT).where(ATTEMPT.c.id == bindparam("key")),
    }

    def commit(name: str, values: Mapping[str, Any]) -> None:
        with gate, engine.begin() as connection:
            connection.execute(statements[name], values)

    return lambda _stack: commit


#: The same statements for the drivers, with the parameters' mark to fill in.
_STATEMENTS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "row": ("INSERT INTO outbox (id, done) VALUES ({p}, {p})", ("id", "done")),
    "claim": ("UPDATE outbox SET lease = {p}, done = {p} WHERE id = {p}", ("lease", "done", "key")),
    "attempt": ("INSERT INTO outbox_attempt (id) VALUES ({p})", ("id",)),
    "answer": ("UPDATE outbox_attempt SET answer = {p} WHERE id = {p}", ("answer", "key")),
}


def sqlite_commit(path: str) -> Callable[[ExitStack], Commit]:
    """The driver of the standard library, in autocommit with our own BEGIN."""
    gate = threading.Lock()
    texts = {name: (text.format(p="?"), names) for name, (text, names) in _STATEMENTS.items()}

    def connect(stack: ExitStack) -> Commit:
        connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        stack.callback(connection.close)
        for pragma in PRAGMAS:
            connection.execute(pragma)

        def commit(name: str, values: Mapping[str, Any]) -> None:
            text, names = texts[name]
            with gate:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(text, [values[one] for one in names])
                connection.execute("COMMIT")

        return commit

    return connect


def postgresql_commit(url: str) -> Callable[[ExitStack], Commit]:
    """psycopg."""
    texts = {name: (text.format(p="%s").encode(), names) for name, (text, names) in _STATEMENTS.items()}

    def connect(stack: ExitStack) -> Commit:
        connection = stack.enter_context(psycopg.connect(url))

        def commit(name: str, values: Mapping[str, Any]) -> None:
            text, names = texts[name]
            connection.execute(text, [values[one] for one in names])
            connection.commit()

        return commit

    return connect


def libraries_post(upstream: str) -> Callable[[ExitStack], Post]:
    """One client for all threads, as the service has."""
    client = httpx.Client(base_url=upstream)
    return lambda _stack: lambda: client.post(PATH, content=BODY, headers=HEADERS).content


def driver_post(upstream: str) -> Callable[[ExitStack], Post]:
    """A kept connection per thread."""

    def connect(stack: ExitStack) -> Post:
        connection = http.client.HTTPConnection(urlsplit(upstream).netloc)
        stack.callback(connection.close)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def post() -> bytes:
            connection.request("POST", PATH, BODY, HEADERS)
            return connection.getresponse().read()

        return post

    return connect


class Outbox:
    """Threads that work off rows, each with its own way to the database and to the upstream."""

    def __init__(self, commits: Callable[[ExitStack], Commit], posts: Callable[[ExitStack], Post]) -> None:
        self._commits = commits
        self._posts = posts

    def work_off(self, steps: int) -> float:
        """The seconds that so many steps take; their rows are there before the clock is read."""
        rows = [uuid.uuid4().hex for _ in range(steps)]
        with ExitStack() as stack:
            commit = self._commits(stack)
            for row in rows:
                commit("row", {"id": row, "done": 0})
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
        with ExitStack() as stack:
            commit, post = self._commits(stack), self._posts(stack)
            ready.wait()
            for row in rows:
                attempt = uuid.uuid4().hex
                commit("claim", {"key": row, "lease": attempt, "done": 0})
                commit("attempt", {"id": attempt})
                commit("answer", {"key": attempt, "answer": post()})
                commit("claim", {"key": row, "lease": None, "done": 1})


def main() -> None:
    database, upstream = sys.argv[1:3]
    url = make_url(database)
    libraries = Outbox(libraries_commit(database), libraries_post(upstream))  # makes the tables
    if url.get_backend_name() == "sqlite":
        driver = Outbox(sqlite_commit(url.database or ""), driver_post(upstream))
    else:
        place = url.set(drivername="postgresql").render_as_string(hide_password=False)
        driver = Outbox(postgresql_commit(place), driver_post(upstream))
    outboxes = {"libraries": libraries, "driver": driver}
    for line in sys.stdin:
        kind, steps = line.split()
        print(outboxes[kind].work_off(int(steps)), flush=True)


if __name__ == "__main__":
    main()
