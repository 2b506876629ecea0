"""`checkout restore` and `checkout reconcile`: after a backup was put back, before money moves again."""

from __future__ import annotations

import click

from checkout.commands.answers import answer, facts, json_option, table, who_option
from checkout.commands.installation import opened, proven

WHAT_ELSE = (
    "What Stable Mint sent since the backup is lost here: ask them to send it again from then on. "
    "What is known already changes nothing."
)


@click.command(short_help="Say that this database is a backup put back.")
@click.option("--note", default="", metavar="TEXT", help="Which backup, and of when.")
@who_option
@json_option
def restore(note: str, claimed: str | None, as_json: bool) -> None:
    """Mark the database as restored from a backup: no money moves until `checkout reconcile` is confirmed.

    Run it on the restored database before anything else starts on it.
    """
    with opened() as services:
        found = services.restoring.mark(note=note, who=proven(services, claimed))
    said = "is marked as restored" if found["new"] else "was marked already"
    answer(
        as_json, found, f"The database {said} ({found['marked_at']}); payouts and refunds are paused.", WHAT_ELSE,
        "Next: `checkout reconcile`.",
    )  # fmt: skip


@click.command(short_help="Compare with Stables after a restore.")
@click.option(
    "--confirm", "evidence", metavar="TEXT", help="You have seen what was found; say how you know where it is."
)
@who_option
@json_option
def reconcile(evidence: str | None, claimed: str | None, as_json: bool) -> None:
    """Read every transfer at Stables and show those this database has forgotten; with --confirm, let money move again."""
    with opened() as services:
        if evidence is None:
            found = services.restoring.reconcile()
        else:
            found = services.restoring.confirm(evidence=evidence, who=proven(services, claimed))
    rows = [
        (one["transfer"], one["payout"], one["status"], one["detail"], one["confirmed_by"])
        for one in found["forgotten"]
    ]
    missing = [(one["transfer"], one["payout"]) for one in found["missing"]]
    heads = ("transfer", "payout", "status", "what", "confirmed by")
    answer(
        as_json,
        found,
        facts([("transfers read", found["read"]), ("marked as restored", found["marked_at"] or "no")]),
        table(heads, rows, empty="Stables has no transfer of ours that this database has forgotten."),
        table(("not at stables", "payout"), missing, empty=""),
        "When you know where that money is: `checkout reconcile --confirm TEXT`." if found["marked_at"] else "",
    )
