"""`checkout init` and `checkout migrate`: from nothing to an installation for the sandbox, and to the newest schema.

What the environment already says is respected: such a variable is neither replaced nor copied into the file.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from checkout.app import system_clock
from checkout.commands.answers import answer, facts, json_option
from checkout.commands.installation import DOTENV, present_settings, process_environment, settings_of
from checkout.config import Mode, Settings
from checkout.environment import VARIABLES
from checkout.errors import NotPossible
from checkout.identifiers import maker
from checkout.rules.urls import read_url
from checkout.sealing import generate_data_key
from checkout.signing import generate_key_pair, generate_webhook_secret
from checkout.store.engine import Database
from checkout.store.schema import is_current
from checkout.store.schema import migrate as migrate_schema

#: The private half of the pair that the simulator signs webhooks with.
SIGNING_FILE: Final = Path("simulator-signing.pem")
#: Where `checkout simulator` listens for an installation made here.
STABLE_MINT_URL: Final = "http://127.0.0.1:8101"
STABLES_URL: Final = "http://127.0.0.1:8102"
SHOP_PLACE: Final = ("127.0.0.1", 8103)
PUBLIC_URL: Final = "http://127.0.0.1:8000"
#: Seconds a sandbox transfer may be funded after it was made (design, section 7).
FUNDING_WINDOW: Final = "900"
#: Where the simulated Stable Mint has its widget, and the site it is told to be in.
WIDGET_PATH: Final = "/widget/stable-payment-gateway.js"
SITE_ID: Final = "3"

HEAD: Final = """\
# Settings of this installation, for the sandbox. Keep this file secret and out of version control.
# The real environment wins over what is written here. The full list is in the README.
"""


@click.command(short_help="Make a sandbox installation here.")
@json_option
def init(as_json: bool) -> None:
    """Write .env with sandbox settings and fresh keys, and create the database. Never overwrites."""
    given = {name: value for name, value in process_environment().items() if name in VARIABLES and value.strip()}
    if given.get("CHECKOUT_MODE", Mode.SANDBOX) != Mode.SANDBOX:
        raise NotPossible("init is for the sandbox; write live settings yourself and run `checkout migrate`")
    for path in (DOTENV, SIGNING_FILE):
        if path.exists() or path.is_symlink():
            raise NotPossible(
                f"there is {path} already, and init never overwrites; use another directory, or move it away"
            )
    written, signing_pem = _fresh(given)
    settings = settings_of({**written, **given})  # refuses what the environment says before anything is made
    _migrate(settings)
    _write(DOTENV, _dotenv(written, given))
    if signing_pem is not None:
        _write(SIGNING_FILE, signing_pem)
    database = "in the environment's database" if "CHECKOUT_DATABASE_URL" in given else "checkout.db"
    document = {
        "dotenv": str(DOTENV.resolve()),
        "signing_key": None if signing_pem is None else str(SIGNING_FILE.resolve()),
        "written": sorted(written),
        "from_environment": sorted(given),
        "public_key": settings.stable_mint.private_key.public_pem(),
    }
    answer(
        as_json,
        document,
        facts([("settings", DOTENV), ("simulator's key", None if signing_pem is None else SIGNING_FILE), ("database", database),
               ("kept from the environment", ", ".join(sorted(given)) or None)]),
        "Next, each in a terminal of its own:\n"
        "  checkout simulator   both providers and a demo shop, on this machine\n"
        "  checkout serve       the service and its worker\n"
        "then `checkout doctor`. All of it at once, to watch: `checkout demo`.",
    )  # fmt: skip


def _fresh(given: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Every variable to write, and the simulator's private PEM if its public half is among them."""
    mint_url = given.get("STABLE_MINT_API_URL", STABLE_MINT_URL)
    values = {
        "CHECKOUT_MODE": Mode.SANDBOX.value,
        "CHECKOUT_PUBLIC_URL": PUBLIC_URL,
        "CHECKOUT_DATABASE_URL": "sqlite:///checkout.db",
        "CHECKOUT_SECRET_KEY": secrets.token_urlsafe(32),
        "CHECKOUT_DATA_KEY": generate_data_key(),
        "STABLE_MINT_API_URL": STABLE_MINT_URL,
        "STABLE_MINT_API_KEY": "sandbox-" + secrets.token_urlsafe(18),
        "STABLE_MINT_API_SECRET": secrets.token_urlsafe(32),
        "STABLES_API_URL": STABLES_URL,
        "STABLES_API_KEY": "sti_test_" + secrets.token_urlsafe(24),
        "STABLES_WEBHOOK_SECRET": generate_webhook_secret(),
        "STABLES_FUNDING_WINDOW": FUNDING_WINDOW,
    }
    mint = read_url(mint_url)
    if mint is not None and mint.loopback:
        values["STABLE_MINT_PAGE_DOMAINS"] = mint.origin
        values |= {"STABLE_MINT_WIDGET_URL": mint.origin + WIDGET_PATH, "STABLE_MINT_SITE_ID": SITE_ID}
    signing_pem = None
    if "STABLE_MINT_PRIVATE_KEY" not in given:
        values["STABLE_MINT_PRIVATE_KEY"] = _one_line(generate_key_pair()[0])
    if "STABLE_MINT_WEBHOOK_PUBLIC_KEY" not in given:
        signing_pem, public_pem = generate_key_pair()
        values["STABLE_MINT_WEBHOOK_PUBLIC_KEY"] = _one_line(public_pem)
    return {name: value for name, value in values.items() if name not in given}, signing_pem


def _one_line(pem: str) -> str:
    """Base64 of PEM: no quoting, no line breaks, nothing an environment can mangle."""
    return base64.b64encode(pem.encode()).decode("ascii")


def _dotenv(written: Mapping[str, str], given: Mapping[str, str]) -> str:
    lines = [f"{name}={written[name]}" if name in written else f"# {name} was set in the environment"
             for name in VARIABLES if name in written or name in given]  # fmt: skip
    return HEAD + "\n".join(lines) + "\n"


def _write(path: Path, content: str) -> None:
    """Make the file, readable by its owner alone; NotPossible when it has appeared meanwhile or cannot be made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NotPossible(f"there is {path} already, and init never overwrites") from None
    except OSError as problem:
        raise NotPossible(f"{path} cannot be written: {problem.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


@click.command(short_help="Create or upgrade the database.")
@json_option
def migrate(as_json: bool) -> None:
    """Bring the database to the newest schema. Does nothing when it is there."""
    changed = _migrate(present_settings())
    said = "The database has the newest schema now." if changed else "The database has the newest schema already."
    answer(as_json, {"migrated": changed, "current": True}, said)


def _migrate(settings: Settings) -> bool:
    """Create or upgrade the database; whether there was anything to do."""
    database = Database(settings.database_url)
    try:
        changed = not is_current(database)
        # also when it is current: a run that was cut short may have left the installation without a name
        migrate_schema(database, installation_id=maker(system_clock)("ins"), now=system_clock())
    finally:
        database.close()
    return changed
