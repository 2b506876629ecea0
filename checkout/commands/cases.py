"""`checkout cases`: what waits for a person."""

from __future__ import annotations

import click

from checkout.cases import Cases
from checkout.commands.answers import age, answer, facts, json_option, limit_option, table, who_option
from checkout.commands.installation import opened, proven

HEADS = ("id", "kind", "subject", "age", "detail")


@click.group(short_help="What waits for a person.")
def cases() -> None:
    """What waits for a person: kind, subject, age, what may be done; closed with who and why."""


@cases.command("list")
@click.option("--all", "include_closed", is_flag=True, help="The closed ones too.")
@limit_option
@json_option
def list_(include_closed: bool, limit: int, as_json: bool) -> None:
    """Cases, those that have waited longest first."""
    with opened() as services:
        found = Cases(services.context).page(include_closed=include_closed, limit=limit)
    rows = [
        (one["id"], one["kind"], one["subject"], age(one["age_s"]) if one["open"] else "closed", one["detail"])
        for one in found
    ]
    hint = "What may be done: `checkout cases show ID`." if found else ""
    answer(as_json, found, table(HEADS, rows, empty="Nothing waits for a person."), hint)


@cases.command()
@click.argument("id", metavar="ID")
@json_option
def show(id: str, as_json: bool) -> None:
    """One case, with what may be done about it."""
    with opened() as services:
        found = Cases(services.context).show(id)
    said = [(name, found[name]) for name in ("id", "kind", "subject", "meaning", "detail", "opened_at")]
    said += [("age", age(found["age_s"])), ("closed at", found["closed_at"]), ("closed by", found["closed_by"])]
    actions = "\n".join(f"  {action}" for action in found["actions"])
    steps = "\n".join(f"  {number}. {step}" for number, step in enumerate(found["steps"], start=1))
    answer(
        as_json,
        found,
        facts([*((name.replace("_", " "), value) for name, value in said), ("note", found["note"])]),
        f"What to do:\n{steps}" if steps else "",
        f"What may be done:\n{actions}" if actions else "",
    )


@cases.command()
@click.argument("id", metavar="ID")
@click.option("--note", required=True, metavar="TEXT", help="Why it is done.")
@who_option
@json_option
def close(id: str, note: str, claimed: str | None, as_json: bool) -> None:
    """Close a case. It moves no money: the commands that do are among its actions."""
    with opened() as services:
        found = Cases(services.context).close(id, note=note, who=proven(services, claimed))
    answer(as_json, found, f"Case {id} ({found['kind']}) is closed by {found['closed_by']}: {found['note']}")
