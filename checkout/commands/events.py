"""`checkout events`: what the providers told us, as it was stored, and doing it over."""

from __future__ import annotations

from typing import Any

import click

from checkout.app import Services
from checkout.commands.answers import answer, facts, json_option, limit_option, table, text, who_option
from checkout.commands.installation import opened, proven
from checkout.errors import NotFound, NotPossible
from checkout.inbox import EventState, Receipt
from checkout.store import events as rows
from checkout.store.records import EventRow

SAID = {
    Receipt.STORED: "accepted; the worker applies it now",
    Receipt.KNOWN: "accepted, and known already: nothing changes",
    Receipt.REFUSED: "still not accepted by any key",
}


@click.group(short_help="What the providers told us.")
def events() -> None:
    """Webhook deliveries: stored raw, applied later, never dropped."""


@events.command("list")
@click.option("--state", type=click.Choice([state.value for state in EventState]))
@limit_option
@json_option
def list_(state: str | None, limit: int, as_json: bool) -> None:
    """Deliveries, newest first."""
    with opened() as services, services.context.database.read() as unit:
        found = rows.list_events(unit, state=state, limit=limit)
    lines = [
        (one.id, one.provider, one.event_type, one.state, one.reference, one.received_at, one.note) for one in found
    ]
    heads = ("id", "from", "type", "state", "reference", "received", "note")
    answer(as_json, [_shown(one) for one in found], table(heads, lines, empty="No delivery."))


@events.command()
@click.argument("id", metavar="ID")
@click.option("--body", "with_body", is_flag=True, help="The raw body too; it may hold personal data.")
@json_option
def show(id: str, with_body: bool, as_json: bool) -> None:
    """One delivery."""
    with opened() as services:
        row = _find(services, id)
        body = services.context.sealer.open(row.body_sealed).decode("utf-8", "replace") if with_body else None
    document = {**_shown(row), **({} if body is None else {"body": body})}
    hints = {
        EventState.UNVERIFIED: f"Try it under today's keys: `checkout events reverify {id}`.",
        EventState.QUARANTINED: f"When its cause is gone: `checkout events replay {id}`.",
        EventState.UNMATCHED: f"It is tried again by itself; at once: `checkout events replay {id}`.",
        EventState.FAILED: f"It is tried again by itself; at once: `checkout events replay {id}`.",
    }
    answer(
        as_json,
        document,
        facts([(name.replace("_", " "), value) for name, value in _shown(row).items()]),
        "" if body is None else "\n".join(text(line) for line in body.splitlines()),
        hints.get(EventState(row.state), ""),
    )


@events.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def replay(id: str, claimed: str | None, as_json: bool) -> None:
    """Apply a stored delivery again: the same code, the same binding."""
    with opened() as services:
        who = proven(services, claimed)
        services.events.replay(id, who=who)
    answer(as_json, {"id": id, "state": EventState.RECEIVED, "by": who}, f"Event {id} is due; a worker applies it now.")


@events.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every unverified delivery that is kept (newest 1000).")
@click.option("--accept-stale", is_flag=True, help="Also one that was too old when it came; only its signature counts.")
@who_option
@json_option
def reverify(ids: tuple[str, ...], everything: bool, accept_stale: bool, claimed: str | None, as_json: bool) -> None:
    """Try kept unverified deliveries under the keys of today, against the time they were received."""
    if bool(ids) == everything:
        raise click.UsageError("give the ids of unverified events, or --all")
    with opened() as services:
        who = proven(services, claimed)
        if everything:
            with services.context.database.read() as unit:
                ids = tuple(one.id for one in rows.list_events(unit, state=EventState.UNVERIFIED.value, limit=1000))
        results = {ident: services.inbox.reverify(ident, who=who, accept_stale=accept_stale) for ident in ids}
    if results and not everything and all(result is Receipt.REFUSED for result in results.values()):
        raise NotPossible("no key of today accepts it; has the provider's new public key been added to the settings?")
    document = [{"id": ident, "result": result.value} for ident, result in results.items()]
    lines = [(ident, SAID[result]) for ident, result in results.items()]
    answer(as_json, document, table(("event", "result"), lines, empty="Nothing is unverified."))


def _find(services: Services, ident: str) -> EventRow:
    with services.context.database.read() as unit:
        row = rows.event_by_id(unit, ident)
    if row is None:
        raise NotFound("event", ident)
    return row


def _shown(row: EventRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "provider": row.provider,
        "type": row.event_type,
        "version": row.version,
        "state": row.state,
        "reference": row.reference,
        "subject": row.subject,
        "note": row.note,
        "size": row.size,
        "received_at": row.received_at,
        "applied_at": row.applied_at,
        "attempts": row.attempts,
    }
