"""Kills at commits: an engine listener that ends its own process just before or just after a chosen commit.

Installed by the launcher in a child before its engine is made; the package knows nothing of it. Every commit has a
name, told from the function that opened the transaction and the moves it stored (``offramp._keep_quote payout:quoted``),
so that the same commit is found again however the processes interleave. Two environment variables rule it:

- ``TEST_COMMITS_SEEN``: a file to which the name of every commit is appended (counting in a clean run);
- ``TEST_COMMITS_ARMED``: a folder; an empty file in it says by its name which commit, on which side, and that it is armed.
  Whoever comes by first takes it by renaming it to what has struck, and dies: once, wherever it happens.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NoReturn

from sqlalchemy import Connection, Engine, event

import checkout

PACKAGE: Final = str(Path(checkout.__file__).resolve().parent) + os.sep
#: The transaction is opened in here; what opened it is further out.
STORE: Final = PACKAGE + "store" + os.sep
SIDES: Final = ("before", "after")

#: A claim on PostgreSQL has what it chooses from in front.
_WRITE = re.compile(r"\s*(?:WITH\s.*\)\s*)?(?:INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)", re.DOTALL)
#: Functions that work on any kind of row: their commits are told apart by the table they write.
_GENERIC: Final = frozenset({"worker._work_off", "worker._give_back"})
_SUBJECTS: Final = {"out": "payout", "dep": "deposit", "ref": "refund"}
_WROTE: Final = "test_commits_wrote"


ARMED: Final = "armed"
STRUCK: Final = "struck"


def file_name(commit: str, side: str, number: int, state: str = ARMED) -> str:
    """A commit's side, as one of a folder's files says it; a name is all there is to read."""
    return "~".join((commit, side, str(number), state))


def read_name(name: str) -> tuple[str, str, str]:
    """Commit, side and state of a file's name."""
    commit, side, _, state = name.split("~")
    return commit, side, state


def watch(seen: Path | None, armed: Path | None) -> None:
    """Listen to every engine of this process from now on."""
    watcher = Watcher(seen, armed)
    event.listen(Engine, "before_cursor_execute", watcher.statement)
    event.listen(Engine, "commit", watcher.commit)
    event.listen(Engine, "rollback", watcher.rollback)


class Watcher:
    """Names commits, writes the names down, and strikes where a file says so."""

    def __init__(self, seen: Path | None, armed: Path | None) -> None:
        self._seen = seen
        self._armed = armed

    def statement(
        self, connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        """Note the tables a transaction writes, and the moves it stores."""
        found = _WRITE.match(statement)
        if found is None:
            return
        table = found[1]
        wrote: list[str] = connection.info.setdefault(_WROTE, [])
        wrote.append(table)
        if table == "move" and context is not None:
            values = context.compiled_parameters[0]
            kind = _SUBJECTS.get(str(values["subject"]).partition("_")[0])
            if kind is not None:
                wrote.append(f"{kind}:{values['after']}")

    def rollback(self, connection: Connection) -> None:
        connection.info.pop(_WROTE, None)

    def commit(self, connection: Connection) -> None:
        """Called by SQLAlchemy just before it commits."""
        wrote: list[str] = connection.info.pop(_WROTE, [])
        name = _name(sys._getframe(), wrote)
        if self._seen is not None:
            with self._seen.open("a", encoding="utf-8") as book:
                book.write(name + "\n")
        struck = None if self._armed is None else self._take(name)
        if struck is None:
            return
        if struck == "after":
            connection.engine.dialect.do_commit(connection.connection)
        _end(name, struck)

    def _take(self, name: str) -> str | None:
        """The side of an armed point that is this commit, now taken; None when there is none."""
        folder = str(self._armed)
        for file in os.listdir(folder):
            commit, side, state = read_name(file)
            if commit != name or state != ARMED:
                continue
            try:
                os.rename(f"{folder}/{file}", f"{folder}/{file.removesuffix(ARMED)}{STRUCK}")
            except FileNotFoundError:  # another process took it
                continue
            return side
        return None


def _end(name: str, side: str) -> NoReturn:
    sys.stderr.write(f'{{"killed": "{side} commit {name}", "pid": {os.getpid()}}}\n')
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


def _name(frame: FrameType | None, wrote: list[str]) -> str:
    """``module.function`` of the nearest caller in the package outside the store, and what tells its commits apart."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(PACKAGE) and not path.startswith(STORE):
            break
        frame = frame.f_back
    if frame is None:
        return "outside"
    place = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
    if place in _GENERIC:
        return f"{place} {wrote[-1] if wrote else 'nothing'}"
    transactions = _transactions(frame.f_code)
    if len(transactions) > 1 and frame.f_lineno in transactions:
        place += f"#{transactions.index(frame.f_lineno) + 1}"
    return " ".join([place, *sorted({word for word in wrote if ":" in word})])


@cache
def _transactions(code: CodeType) -> tuple[int, ...]:
    """The lines of a function on which it opens a transaction."""
    lines = Path(code.co_filename).read_text(encoding="utf-8").splitlines()
    numbers = sorted({line for _, _, line in code.co_lines() if line is not None})
    return tuple(number for number in numbers if ".write() as" in lines[number - 1])
