"""`checkout stores key`, `keys` and `revoke`: a store's API keys, each shown once and then known by its hint."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import click

from checkout.api_keys import LABEL_MAX, OVERLAP_MAX, SCOPES, STOREFRONT, ended
from checkout.commands.answers import answer, facts, json_option, table, who_option
from checkout.commands.installation import opened, proven
from checkout.rules.allowances import PER_MINUTE, PER_MINUTE_MAX
from checkout.store.records import ApiKeyRow

ONCE: Final = "It is shown this once."
KEY_HEADS: Final = ("id", "hint", "label", "scopes", "per minute", "last used", "created", "state")


@click.command()
@click.argument("store")
@click.option(
    "--scope", "scopes", type=click.Choice(list(SCOPES)), multiple=True, default=STOREFRONT, show_default=True,
    help="What it may do; repeat it for several. " + "; ".join(f"{name}: {what}" for name, what in SCOPES.items()) + ".",
)  # fmt: skip
@click.option(
    "--per-minute", type=click.IntRange(1, PER_MINUTE_MAX), metavar="N",
    help=f"Requests it may make in a minute; left out, {PER_MINUTE}.",
)  # fmt: skip
@click.option("--label", metavar="TEXT", help=f"Where it is used, to find it again: at most {LABEL_MAX} characters.")
@who_option
@json_option
def key(
    store: str, scopes: tuple[str, ...], per_minute: int | None, label: str | None, claimed: str | None, as_json: bool
) -> None:
    """Make one more API key for STORE; the others go on working until they are revoked."""
    with opened() as services:
        made = services.api_keys.create(
            store, who=proven(services, claimed), scopes=scopes, per_minute=per_minute, label=label
        )
        ident = services.stores.find(store).id
        row = next(one for one in services.api_keys.of_store(ident) if one.id == made.id)
    shown = key_shown(row, now=row.created_at)
    answer(
        as_json,
        {**shown, "store": ident, "api_key": made.api_key},
        facts([("id", made.id), ("store", ident), *_told(shown), ("api key", made.api_key)]),
        f"{ONCE} End the one it takes over from with `checkout stores revoke KEY_ID --in HOURS`.",
    )


@click.command()
@click.argument("store")
@json_option
def keys(store: str, as_json: bool) -> None:
    """List STORE's API keys, oldest first, those revoked too. The keys themselves are stored nowhere."""
    with opened() as services:
        now = services.context.clock()
        found = [key_shown(one, now=now) for one in services.api_keys.of_store(store)]
    answer(
        as_json,
        found,
        table(KEY_HEADS, [key_line(one) for one in found], empty="No key; `checkout stores key` makes one."),
    )


@click.command()
@click.argument("key_id", metavar="KEY_ID")
@click.option(
    "--in", "hours", type=click.IntRange(1, int(OVERLAP_MAX.total_seconds()) // 3600), metavar="HOURS",
    help="Let it work so much longer, while its successor takes over. Left out: it ends now.",
)  # fmt: skip
@who_option
@json_option
def revoke(key_id: str, hours: int | None, claimed: str | None, as_json: bool) -> None:
    """End an API key: at once, or at a time. `checkout stores keys STORE` lists the ids."""
    with opened() as services:
        who = proven(services, claimed)
        row = services.api_keys.revoke(key_id, who=who, after=None if hours is None else timedelta(hours=hours))
        now = services.context.clock()
        others = [one for one in services.api_keys.of_store(row.store_id) if one.revoked_at is None]
    shown = key_shown(row, now=now)
    warning = "" if others else f"The store has no other key that lasts: `checkout stores key {row.store_id}`."
    answer(as_json, {**shown, "store": row.store_id, "by": who}, f"{row.id} ({row.hint}…): {shown['state']}.", warning)


def key_shown(row: ApiKeyRow, *, now: datetime) -> dict[str, Any]:
    """A key as it may be shown to anybody who may run commands here."""
    state = "in force"
    if row.revoked_at is not None:
        state = "revoked" if ended(row, now) else f"ends {row.revoked_at:%Y-%m-%d %H:%MZ}"
    return {
        "id": row.id,
        "hint": row.hint,
        "label": row.label,
        "scopes": row.scope_list,
        "per_minute": row.per_minute or PER_MINUTE,
        "last_used_at": row.last_used_at,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "revoked_at": row.revoked_at,
        "state": state,
    }


def key_line(shown: dict[str, Any]) -> tuple[object, ...]:
    """A key as a row of a table."""
    return (
        shown["id"], f"{shown['hint']}…", shown["label"], " ".join(shown["scopes"]), shown["per_minute"],
        shown["last_used_at"], shown["created_at"], shown["state"],
    )  # fmt: skip


def _told(shown: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        ("label", shown["label"]), ("scopes", " ".join(shown["scopes"])), ("per minute", shown["per_minute"]),
    ]  # fmt: skip
