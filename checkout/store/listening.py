"""Hearing at once that work is due: LISTEN/NOTIFY on PostgreSQL. On SQLite a short poll does the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from checkout.store.engine import Database

CHANNEL: Final = "checkout_due"
#: How long one wait lasts before the listener looks whether it should stop.
WAIT_S: Final = 1.0
RECONNECT_S: Final = 2.0


def listen(database: Database, on_notice: Callable[[str | None], None], stop: threading.Event) -> None:
    """Call ``on_notice`` with the table whenever a due row is committed, until ``stop``. Returns at once on SQLite.

    A lost connection is made again; what was missed meanwhile is found by the workers' slow poll.
    """
    if database.is_sqlite:
        return
    import psycopg

    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    while not stop.is_set():
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                on_notice(None)  # any table: something may have become due before we listened
                while not stop.is_set():
                    for notice in connection.notifies(timeout=WAIT_S, stop_after=1):
                        on_notice(notice.payload)
        except psycopg.Error:
            stop.wait(RECONNECT_S)
