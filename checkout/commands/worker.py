"""`checkout worker`: applies events, opens sessions, follows payouts, notifies shops. Any number, on any host."""

from __future__ import annotations

import os
import socket
import sys
import threading

import click
import structlog

from checkout import logs
from checkout.commands import parent as parents
from checkout.commands.answers import announce, json_option
from checkout.commands.installation import opened
from checkout.worker import Worker

log = structlog.get_logger("checkout.worker")

TICK_S = 0.1


@click.command(short_help="One more worker.")
@click.option("--id", "name", metavar="NAME", help="Its name in the log. Default: host and process.")
@parents.parent_option
@json_option
def worker(name: str | None, parent: int | None, as_json: bool) -> None:
    """Work until SIGTERM or Ctrl-C, then end after the step in hand."""
    parents.follow(parent)
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    with parents.Asked() as asked, opened() as services:
        logs.configure(sys.stderr)
        if (
            parent is None
        ):  # nobody reads what a supervised worker says on stdout, and it is not the supervisor's answer
            announce(as_json, {"worker": name, "pid": os.getpid()}, f"Worker {name} is working. Ctrl-C stops.")
            sys.stdout.flush()
        failed = _run(services.worker(name), asked)
    if failed:
        raise click.ClickException("the worker failed; its log above says how")


def _run(chosen: Worker, asked: parents.Asked) -> bool:
    """Work in a thread of its own, so that this one is free to hear signals; whether it failed."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            chosen.run()
        except Exception as error:  # the outermost one of this thread: said in the log, and by the exit code
            log.error("worker failed", error=type(error).__name__, exc_info=True)
            failures.append(error)

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    while thread.is_alive():
        thread.join(TICK_S)
        if asked:
            chosen.stop()
    return bool(failures)
