"""Where a command runs: the variables around it, the settings they make, and the services built from those.

The only module that reads the process's environment. The real environment wins over ``.env`` in the working directory,
also where it sets a variable to nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click
from dotenv import dotenv_values

from checkout.app import Services, build
from checkout.config import Mode, Settings
from checkout.errors import NotPossible, SettingsRefused
from checkout.people import DEMO
from checkout.store.engine import Database
from checkout.store.schema import is_current

DOTENV: Final = Path(".env")
#: A person's secret, for commands that run without a terminal. Never read from ``.env``: it is nobody's setting.
SECRET_VARIABLE: Final = "CHECKOUT_AS_SECRET"  # noqa: S105 - a name, not a secret


def process_environment() -> Mapping[str, str]:
    """The variables of this process alone."""
    return os.environ


def environment() -> dict[str, str]:
    """The process's variables over those of ``.env``; SettingsRefused when the file is there but cannot be read."""
    written: dict[str, str | None] = {}
    if DOTENV.exists():
        try:
            # without interpolation: a secret may hold a dollar sign
            written = dict(dotenv_values(DOTENV, interpolate=False, encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as problem:
            reason = "is not UTF-8 text" if isinstance(problem, ValueError) else "may not be read by this user"
            raise SettingsRefused([(str(DOTENV), f"{reason}; check the file in the working directory")]) from None
    return {**{name: value for name, value in written.items() if value is not None}, **os.environ}


def settings_of(environ: Mapping[str, str]) -> Settings:
    """The settings these variables make; SettingsRefused names every problem, a missing database driver too."""
    settings = Settings.from_env(environ)
    if settings.database_url.startswith("postgresql") and find_spec("psycopg") is None:
        reason = "PostgreSQL needs its driver: install the package with its extra, checkout[postgresql]"
        raise SettingsRefused([("CHECKOUT_DATABASE_URL", reason)])
    return settings


def present_settings() -> Settings:
    """The settings of this place."""
    return settings_of(environment())


def require_current(database: Database) -> None:
    """NotPossible, with the command that helps, unless the database is there and has this code's schema."""
    missing = database.is_sqlite and not Path(database.url.database or "").exists()
    if missing:  # opening it would make an empty file, which looks like an installation
        raise NotPossible("there is no database yet; run `checkout migrate` (or `checkout init` for a fresh start)")
    if not is_current(database):
        raise NotPossible("the database does not have the newest schema; run `checkout migrate`")


@contextmanager
def opened() -> Iterator[Services]:
    """Services over the present settings and a current database, closed at the end."""
    services = build(present_settings())
    try:
        require_current(services.context.database)
        yield services
    finally:
        services.close()


def proven(services: Services, name: str | None) -> str:
    """Who acts: the name that ``--as`` gave, proven by its secret; in the sandbox ``demo`` when none is given."""
    secret = process_environment().get(SECRET_VARIABLE) or None
    known_without = name is None or (name == DEMO and services.settings.mode is Mode.SANDBOX)
    if secret is None and not known_without and sys.stdin.isatty():
        secret = click.prompt(f"Secret of {name}", hide_input=True, err=True)
    return services.people.prove(name, secret)
