"""`checkout evidence`: one payment's proof as a folder of files that `openssl` alone can verify."""

from __future__ import annotations

import os
from pathlib import Path

import click

from checkout.commands.answers import answer, facts, json_option, who_option
from checkout.commands.installation import opened, proven
from checkout.errors import NotPossible
from checkout.explaining.evidence_bundle import Bundle, readable


@click.command(short_help="One payment's signed proof, as files.")
@click.argument("payment", metavar="PAYMENT")
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@who_option
@json_option
def evidence(payment: str, folder: Path, claimed: str | None, as_json: bool) -> None:
    """Write PAYMENT's evidence bundle: raw signed deliveries, keys, moves, postings, and how to verify them.

    PAYMENT is an id, an order number or a reference. The files hold personal data; their README says which.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotPossible(f"{folder} is there already and not empty; name a new folder")
    with opened() as services:
        made = services.evidence_bundle.make(payment, who=proven(services, claimed))
    _write(folder, made)
    document = {
        "payment": made.payment, "folder": str(folder), "files": sorted(made.files), "deliveries": made.deliveries,
        "verifiable": made.verifiable,
    }  # fmt: skip
    answer(
        as_json,
        document,
        facts([("payment", made.payment), ("folder", folder), ("inside", readable(made))]),
        f"It holds personal data. How to verify it: {folder / 'README.md'}",
    )


def _write(folder: Path, made: Bundle) -> None:
    """For nobody but the user who runs this."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in made.files.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
