"""What the demo shop sells, and what a shopper has picked.

One of each at most: all three together are EUR 9.00, inside the sandbox's limit of EUR 10 per payment
(providers.md, CONFIRMED), so that no basket can be refused for its size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from checkout.rules.money import Money


@dataclass(frozen=True, slots=True)
class Product:
    slug: str  #: also the name of its drawing in the templates
    name: str
    about: str
    price: Money


PRODUCTS: Final = (
    Product("postcards", "Postcard set", "Five cards, printed in two colours.", Money(250, "EUR")),
    Product("pencils", "Pencil trio", "Cedar, HB, sharpened by hand.", Money(300, "EUR")),
    Product("notebook", "Pocket notebook", "64 dotted pages, sewn to lie flat.", Money(350, "EUR")),
)
BY_SLUG: Final = {product.slug: product for product in PRODUCTS}

_BASKET = re.compile(r"([A-Za-z0-9_-]{8,40})((?:~[a-z]{1,20}){0,3})")


@dataclass(frozen=True, slots=True)
class Basket:
    """What was picked. The id changes with the contents: one id is one order, for any number of clicks."""

    id: str
    slugs: tuple[str, ...] = ()

    @classmethod
    def read(cls, cookie: str | None, new_id: Callable[[], str]) -> Self:
        """The basket of a cookie; an empty one for a cookie that is missing or not ours."""
        found = _BASKET.fullmatch(cookie or "")
        slugs = found[2].split("~")[1:] if found else []
        if found is None or len(set(slugs)) != len(slugs) or not BY_SLUG.keys() >= set(slugs):
            return cls(new_id())
        return cls(found[1], tuple(slugs))

    def cookie(self) -> str:
        return "~".join((self.id, *self.slugs))

    def changed(self, slugs: Iterable[str], new_id: Callable[[], str]) -> Self:
        """The basket with these products in the catalogue's order, under a new id if they differ."""
        wanted = set(slugs)
        kept = tuple(product.slug for product in PRODUCTS if product.slug in wanted)
        return self if kept == self.slugs else type(self)(new_id(), kept)

    @property
    def products(self) -> tuple[Product, ...]:
        return tuple(BY_SLUG[slug] for slug in self.slugs)

    @property
    def total(self) -> Money:
        return total_of(self.products)


def total_of(products: Iterable[Product]) -> Money:
    return sum((product.price for product in products), Money(0, "EUR"))
