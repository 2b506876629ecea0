"""`checkout notifications`: where stores are notified, what they were told, and telling them again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

import click

from checkout.commands.answers import age, answer, facts, json_option, limit_option, moment, table, text, who_option
from checkout.commands.installation import opened, proven
from checkout.commands.moments import MOMENT
from checkout.errors import NotPossible

ONCE: Final = "It is shown this once."
STATES: Final = ("pending", "delivered", "abandoned")
event_option = click.option(
    "--event", "events", multiple=True, metavar="TYPE", help="payment.settled, or a family: refund.*; may be repeated."
)


@click.group(short_help="What stores are told, where, and telling them again.")
def notifications() -> None:
    """Signed notifications (Standard Webhooks): endpoints, their secrets and health, the log, sending again."""


@notifications.command("endpoints")
@click.argument("store", required=False)
@json_option
def list_endpoints(store: str | None, as_json: bool) -> None:
    """Where STORE (or every store) is notified, and how that goes."""
    with opened() as services:
        found = services.endpoints.all(store)
    heads = ("id", "url", "events", "state", "waiting", "oldest", "missed", "failing since")
    lines = [
        (
            one["id"], one["url"], "all" if one["events"] is None else " ".join(one["events"]), one["state"], one["pending"],
            None if one["oldest_pending_s"] is None else age(one["oldest_pending_s"]), one["missed"], one["failing_since"],
        )
        for one in found
    ]  # fmt: skip
    empty = "No endpoint; make one with `checkout notifications add STORE --url URL`."
    answer(as_json, found, table(heads, lines, empty=empty))


@notifications.command()
@click.argument("store")
@click.option("--url", required=True, metavar="URL")
@event_option
@who_option
@json_option
def add(store: str, url: str, events: tuple[str, ...], claimed: str | None, as_json: bool) -> None:
    """One more endpoint for STORE, for every event or those that are named; prints its secret."""
    with opened() as services:
        made = services.endpoints.add(store, url=url, events=events or None, who=proven(services, claimed))
    document = {"id": made.id, "url": url, "events": list(events) or None, "notification_secret": made.secret}
    answer(
        as_json,
        document,
        facts([("id", made.id), ("url", url), ("notification secret", made.secret)]),
        f"Verify notifications with it (Standard Webhooks). {ONCE}\nTry it: `checkout notifications test {made.id}`.",
    )


@notifications.command("set")
@click.argument("endpoint")
@click.option("--url", metavar="URL")
@event_option
@click.option("--every-event", is_flag=True, help="No filter any more.")
@who_option
@json_option
def set_(
    endpoint: str, url: str | None, events: tuple[str, ...], every_event: bool, claimed: str | None, as_json: bool
) -> None:
    """Change ENDPOINT's address or what it is told. Its secrets stay."""
    if url is None and not events and not every_event:
        raise click.UsageError("nothing to change: give --url, --event or --every-event")
    if events and every_event:
        raise click.UsageError("give --event or --every-event, not both")
    with opened() as services:
        services.endpoints.change(
            endpoint, url=url, events=events or None, every_event=every_event, who=proven(services, claimed)
        )
    document = {"id": endpoint, "url": url, "events": list(events) or None, "every_event": every_event}
    answer(as_json, document, f"Endpoint {endpoint} is changed; try it: `checkout notifications test {endpoint}`.")


@notifications.command()
@click.argument("endpoint")
@click.option(
    "--overlap", type=click.FloatRange(0, 168), default=24.0, show_default=True, metavar="HOURS",
    help="How long the old secret still signs beside the new one; 0 when it has leaked.",
)  # fmt: skip
@who_option
@json_option
def rotate(endpoint: str, overlap: float, claimed: str | None, as_json: bool) -> None:
    """A new secret for ENDPOINT."""
    with opened() as services:
        secret = services.endpoints.rotate(endpoint, overlap=timedelta(hours=overlap), who=proven(services, claimed))
    document = {"id": endpoint, "notification_secret": secret, "overlap_hours": overlap}
    until = f"The earlier one signs beside it for {overlap:g} h." if overlap else "The earlier one signs nothing more."
    answer(as_json, document, facts([("id", endpoint), ("notification secret", secret)]), f"{ONCE} {until}")


@notifications.command()
@click.argument("endpoint")
@click.option("--reason", required=True, help="Why; it is shown with the endpoint.")
@who_option
@json_option
def disable(endpoint: str, reason: str, claimed: str | None, as_json: bool) -> None:
    """Send ENDPOINT nothing more, until it is enabled. What it misses can be sent again."""
    with opened() as services:
        given_up = services.endpoints.disable(endpoint, reason=reason, who=proven(services, claimed))
    words = f"Endpoint {endpoint} is disabled; {given_up} that waited are given up. `checkout notifications enable {endpoint}`"
    answer(as_json, {"id": endpoint, "state": "disabled", "given_up": given_up}, f"{words} goes on.")


@notifications.command()
@click.argument("endpoint")
@click.option("--resend-missed", is_flag=True, help="Send what it missed since it began to fail, too.")
@who_option
@json_option
def enable(endpoint: str, resend_missed: bool, claimed: str | None, as_json: bool) -> None:
    """Send to ENDPOINT again."""
    with opened() as services:
        done = services.endpoints.enable(endpoint, resend_missed=resend_missed, who=proven(services, claimed))
    hint = f"`checkout notifications resend --endpoint {endpoint} --missed --from TIME` sends what it missed."
    said = f"{done['resent']} that it missed are due." if resend_missed else hint if done["missed"] else ""
    answer(as_json, {"id": endpoint, "state": "active", **done}, f"Endpoint {endpoint} is active. {said}".rstrip())


@notifications.command()
@click.argument("endpoint")
@who_option
@json_option
def remove(endpoint: str, claimed: str | None, as_json: bool) -> None:
    """Forget ENDPOINT and its secrets; what it was sent stays in the log."""
    with opened() as services:
        services.endpoints.remove(endpoint, who=proven(services, claimed))
    answer(as_json, {"id": endpoint, "state": "removed"}, f"Endpoint {endpoint} is removed.")


@notifications.command()
@click.argument("endpoint")
@who_option
@json_option
def test(endpoint: str, claimed: str | None, as_json: bool) -> None:
    """Send ENDPOINT a signed test event now, and show what it answers; exit code 1 when it does not take it."""
    with opened() as services:
        done = services.notifications.test(endpoint, who=proven(services, claimed))
    said = done["problem"] or f"it answered {done['status']}"
    if not done["delivered"]:
        raise NotPossible(f"{done['url']} did not take the test event: {said} {done['response']}".rstrip())
    shown = [(name.replace("_", " "), done[name]) for name in ("id", "url", "status", "response", "duration_ms")]
    answer(as_json, done, facts(shown), "The endpoint takes notifications.")


@notifications.command("list")
@click.option("--store", metavar="STORE")
@click.option("--endpoint", metavar="ENDPOINT")
@click.option("--state", type=click.Choice(STATES), help="With --endpoint: of the delivery to it.")
@limit_option
@json_option
def list_(store: str | None, endpoint: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """What was told, newest first."""
    with opened() as services:
        found = services.resending.page(store_name=store, endpoint_id=endpoint, state=state, limit=limit)
    heads = ("id", "type", "subject", "sequence", "state", "at")
    lines = [
        (one["id"], one["type"], one["subject"], one["sequence"], one["state"], one["created_at"]) for one in found
    ]
    answer(as_json, found, table(heads, lines, empty="No notification."))


@notifications.command()
@click.argument("id", metavar="ID")
@json_option
def show(id: str, as_json: bool) -> None:
    """One notification: what it says, and every try with its answer."""
    with opened() as services:
        found = services.resending.show(id)
    plain = [
        (name.replace("_", " "), found[name]) for name in ("id", "type", "subject", "sequence", "state", "created_at")
    ]
    answer(
        as_json,
        found,
        facts(plain),
        text(json.dumps(found["body"], ensure_ascii=False)),
        *(_tried(one) for one in found["deliveries"]),
    )


@notifications.command()
@click.argument("id", metavar="[ID]", required=False)
@click.option("--endpoint", metavar="ENDPOINT", help="Only to it; needed with --from.")
@click.option("--from", "start", type=MOMENT, metavar="TIME", help="Everything announced from then on.")
@click.option("--to", "end", type=MOMENT, metavar="TIME", help="Until before then; default now.")
@click.option("--missed", "missed_only", is_flag=True, help="With --from: only what it never took.")
@who_option
@json_option
def resend(
    id: str | None, endpoint: str | None, start: datetime | None, end: datetime | None, missed_only: bool,
    claimed: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Send one notification again, or with --endpoint and --from all of a time. Ids and sequences stay."""
    if (id is None) == (start is None) or (start is not None and endpoint is None):
        raise click.UsageError("give the ID of one notification, or --endpoint with --from")
    if id is not None and (end is not None or missed_only):
        raise click.UsageError("--to and --missed go with --from")
    with opened() as services:
        who = proven(services, claimed)
        if id is not None:
            count = services.resending.again(id, endpoint_id=endpoint, who=who)
        elif start is not None and endpoint is not None:
            count = services.resending.again_between(endpoint, start, end, missed_only=missed_only, who=who)
    document: dict[str, Any] = {"id": id, "endpoint": endpoint, "from": start, "to": end, "due": count, "by": who}
    answer(as_json, document, f"{count} due; a worker sends {'it' if count == 1 else 'them'} now.")


def _tried(delivery: dict[str, Any]) -> str:
    """One endpoint's part of the log."""
    lines = [
        (one["number"], moment(one["at"]), one["status"] or one["problem"], f"{one['duration_ms']} ms", one["response"])
        for one in delivery["tries"]
    ]
    heads = ("try", "at", "answer", "took", "response")
    head = f"{delivery['endpoint']}  {text(delivery['url'])}  {delivery['state']}"
    return f"{head}\n{table(heads, lines, empty='not tried yet')}"
