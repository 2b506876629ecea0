"""Who is shopping: everybody is the same made-up person, under an id of their own that a cookie keeps.

A real shop has accounts. Here the id is the account, long enough that nobody guesses another's.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

COOKIE: Final = "demo_shop_customer"
#: How many the shop remembers having told the service of; a forgotten one is told again, which changes nothing.
KNOWN_MAX: Final = 5000

_ID = re.compile(r"C-[A-Za-z0-9-]{8,40}")


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str = "Ada Example"
    email: str = "ada@example.com"
    place: str = "Germany"

    @property
    def facts(self) -> dict[str, str]:
        """What the service is told."""
        return {"id": self.id, "name": self.name, "email": self.email}


class Customers:
    """The shop's customers, as far as the shop has to remember them."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._lock = threading.Lock()
        self._known: dict[str, None] = {}

    def read(self, cookie: str | None) -> Customer:
        """The customer of a cookie; a new one for a cookie that is missing or not ours."""
        return Customer(cookie if cookie and _ID.fullmatch(cookie) else f"C-{self._new_id()}")

    def known(self, customer: Customer) -> bool:
        """Whether the service has been told of this customer."""
        with self._lock:
            return customer.id in self._known

    def told(self, customer: Customer) -> None:
        """The service knows this customer from now on."""
        with self._lock:
            while len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[customer.id] = None

    def forget(self, customer: Customer) -> None:
        """The service may not know this customer after all: tell it again next time."""
        with self._lock:
            self._known.pop(customer.id, None)
