"""How a store looks to its shoppers: a picture and a colour that an operator chose."""

from __future__ import annotations

import pytest

from checkout.errors import NotFound, RequestRefused
from checkout.paying.looks import LOGO_BYTES_MAX
from checkout.store import moves
from tests.system import System

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
WEBP = b"RIFF\x24\0\0\0WEBPVP8 "


@pytest.mark.parametrize(
    ("picture", "kind"), [(PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (WEBP, "image/webp")]
)
def test_a_picture_and_a_colour_are_kept_and_the_act_has_a_name(system: System, picture: bytes, kind: str) -> None:
    changed = system.services.looks.set(system.store.name, logo=picture, colour="#0A7D5A", who="ann")
    assert changed.colour == "#0a7d5a"
    assert system.services.shopper.logo(changed.id) == (kind, picture)
    again = system.services.looks.set(system.store.name, logo=PNG, colour=None, who="ann")
    assert (again.colour, system.services.shopper.logo(changed.id)) == ("#0a7d5a", ("image/png", PNG))
    with system.database.read() as unit:
        assert [one["who"] for one in moves.acts_on(unit, changed.id) if "look" in one["action"]] == ["ann", "ann"]


def test_all_that_is_wrong_is_named_and_nothing_changes(sqlite_system: System) -> None:
    system = sqlite_system
    for logo in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"", b"GIF89a", PNG + b"\0" * LOGO_BYTES_MAX):
        with pytest.raises(RequestRefused) as refused:
            system.services.looks.set(system.store.name, logo=logo, colour="green", who="ann")
        assert set(refused.value.fields) == {"logo", "colour"}
    assert (system.services.shopper.logo(system.store.id), system.services.stores.find(system.store.id).colour) == (
        None, None,
    )  # fmt: skip


def test_nothing_to_change_changes_nothing_and_an_unknown_store_is_named(sqlite_system: System) -> None:
    assert sqlite_system.services.looks.set("Shop", logo=None, colour=None, who="ann").colour is None
    with pytest.raises(NotFound):
        sqlite_system.services.looks.set("Nobody", logo=None, colour="#000000", who="ann")
    with pytest.raises(NotFound):
        sqlite_system.services.shopper.store("Shop")
    assert sqlite_system.services.shopper.store(sqlite_system.store.id).name == "Shop"


@pytest.mark.parametrize(
    "colour",
    [
        "red",
        "#12345",
        "#1234567",
        "#12345g",
        "#fff;}*{background:url(//evil.example)}",
        "</style><script>",
        "#0a7d5a\n",
        "",
    ],
)
def test_a_colour_that_is_more_than_a_colour_is_refused(sqlite_system: System, colour: str) -> None:
    with pytest.raises(RequestRefused, match="colour"):
        sqlite_system.services.looks.set("Shop", logo=None, colour=colour, who="ann")
