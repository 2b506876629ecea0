"""Imports point one way, each library is used only where it belongs, and no file grows past its purpose."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "checkout"
FILES = sorted(PACKAGE.rglob("*.py"))

#: From the inside out. A module imports its own layer and those before it, never those after it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "rules"}),
    frozenset(
        {
            "config", "destinations", "environment", "identifiers", "logs", "pem", "providers", "sealing", "signing",
            "store",
        }
    ),
    frozenset(
        {
            "allowances", "api_keys", "cases", "context", "enrolling", "events", "evidence_import", "explaining", "inbox",
            "late_news", "paying", "paying_out", "people", "receiving", "recovery", "refunding", "restoring", "stores",
            "telling", "treasury", "worker",
        }
    ),
    frozenset({"simulator", "web"}),
    frozenset({"app"}),
    frozenset({"__main__", "cli", "commands"}),
)  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

#: Third-party libraries and the only parts that may import them.
HOMES = {
    "flask": {"web", "app", "simulator", "commands"},
    "flask_smorest": {"web"},
    "marshmallow": {"web"},
    "werkzeug": {"web", "app", "simulator"},
    "sqlalchemy": {"store"},
    "alembic": {"store"},
    "psycopg": {"store"},
    "httpx": {"providers", "app", "simulator", "commands"},
    "httpcore": {"providers"},
    "babel": {"web"},
    "cryptography": {"signing", "sealing", "pem", "simulator"},
    "standardwebhooks": {"signing", "simulator"},
    "Crypto": {"destinations", "simulator"},
    "base58": {"destinations", "simulator"},
    "schwifty": {"destinations"},
    "segno": {"paying_out"},
    "click": {"commands", "cli"},
    "gunicorn": {"commands"},
    "dotenv": {"commands", "cli"},
    "prometheus_client": {"web"},
    "structlog": {"logs", "worker", "web", "commands", "app"},
}


def part(path: Path) -> str:
    """The first name below the package: a module, or a folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            if node.module == "checkout":
                yield from (f"checkout.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    here = part(path)
    if here == "__init__":
        return
    for name in imports(path):
        pieces = name.split(".")
        if pieces[0] != "checkout" or len(pieces) == 1:
            continue
        assert LEVEL[pieces[1]] <= LEVEL[here], f"{here} may not import {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_is_used_only_where_it_belongs(path: Path) -> None:
    here = part(path)
    for name in imports(path):
        library = name.split(".")[0]
        if library in HOMES:
            assert here in HOMES[library], f"{here} may not import {library}"


def test_the_rules_use_the_standard_library_alone() -> None:
    for path in (PACKAGE / "rules").glob("*.py"):
        for name in imports(path):
            assert name.split(".")[0] in {"checkout", *_standard()}, f"{path.name} imports {name}"


def test_the_simulator_shares_nothing_with_the_clients() -> None:
    for path in (PACKAGE / "simulator").rglob("*.py"):
        for name in imports(path):
            if name.startswith("checkout"):
                assert name.startswith(("checkout.simulator", "checkout.rules.money", "checkout.errors")), (
                    f"{path}: {name}"
                )


def test_no_part_is_named_for_nothing_in_particular() -> None:
    vague = {"utils", "helpers", "managers", "common", "base", "misc"}
    assert not [path for path in FILES if path.stem in vague]


def test_every_file_says_why_it_exists_and_stays_short() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)) or not text.strip(), f"{path} has no docstring"
        if path.name not in {"tables.py", "records.py", "0001_the_first_schema.py"}:  # one entry per table
            assert text.count("\n") <= 460, f"{path} has outgrown one reason to change"


def _standard() -> frozenset[str]:
    import sys

    return frozenset(sys.stdlib_module_names)
