"""People, and who did what. Every stored act has a name, and a name is proven by its secret.

The sandbox knows the identity ``demo``, which needs no secret; live mode does not know it.
"""

from __future__ import annotations

import secrets
from typing import Final

from checkout import sealing
from checkout.config import Mode
from checkout.context import Context
from checkout.errors import NotAuthenticated, NotPossible, RequestRefused
from checkout.store import stores
from checkout.store.engine import Taken
from checkout.store.moves import record_act

DEMO: Final = "demo"
NAME_MAX: Final = 80


class People:
    """Adding people and proving names."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, name: str, *, who: str) -> str:
        """Add a person; the secret, shown once. NotPossible when the name is in use."""
        name = name.strip()
        if not name or len(name) > NAME_MAX or name == DEMO or not name.isprintable():
            raise RequestRefused({"name": f"use 1 to {NAME_MAX} printable characters, and not {DEMO!r}"})
        context = self._context
        now = context.clock()
        secret = secrets.token_urlsafe(24)
        try:
            with context.database.write() as unit:
                stores.insert_person(
                    unit,
                    {
                        "name": name,
                        "secret_hash": sealing.secret_hash(secret),
                        "created_at": now,
                        "created_by": who,
                    },
                )
                record_act(
                    unit,
                    context.new_id("act"),
                    who=who,
                    action="person added",
                    subject=name[:64],
                    detail={},
                    at=now,
                )
        except Taken:
            raise NotPossible(f"there is a person {name!r} already") from None
        return secret

    def nobody_yet(self) -> bool:
        """Whether nobody was ever added: live knows no ``demo``, so the first person is added without a name."""
        with self._context.database.read() as unit:
            return not stores.any_person(unit)

    def prove(self, name: str | None, secret: str | None) -> str:
        """The name to store with an act; NotAuthenticated unless the secret is that person's."""
        sandbox = self._context.settings.mode is Mode.SANDBOX
        if name is None and sandbox:
            return DEMO
        if name is None:
            raise NotAuthenticated("say who you are: --as NAME")
        if name == DEMO and sandbox:
            return DEMO
        with self._context.database.read() as unit:
            known = stores.person_secret_hash(unit, name)
        if known is None or secret is None or not sealing.same(known, sealing.secret_hash(secret)):
            raise NotAuthenticated(f"the secret is not that of {name!r}, or there is no such person")
        return name
