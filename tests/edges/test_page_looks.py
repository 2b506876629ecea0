"""A store's own look: its logo, and one colour that stays readable whatever it is."""

from __future__ import annotations

import hashlib
import re

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from checkout.web import looks
from checkout.web.looks import DARK, LIGHT, Theme, accents
from tests.edges.page_fixtures import (
    STATIC,
    TOKEN,
    FakeShopper,
    client,
    linking,
    pay_view,
    read,
    store_row,
    use_case,
)
from tests.edges.test_page_colours import contrast, tokens

__all__ = ["client", "linking", "use_case"]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
DIGEST = hashlib.sha256(PNG).hexdigest()[:12]


def theme_address(client: FlaskClient, use_case: FakeShopper, colour: str) -> str:
    use_case.paying = pay_view(store=store_row(colour=colour))
    links = [link["href"] or "" for link in read(client, f"/pay/{TOKEN}").all("link")]
    (found,) = [href for href in links if "theme" in href]
    return found


# The colour


@given(red=st.integers(0, 255), green=st.integers(0, 255), blue=st.integers(0, 255))
def test_any_colour_is_readable_in_both_themes(red: int, green: int, blue: int) -> None:
    colour = f"#{red:02x}{green:02x}{blue:02x}"
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        colours = tokens(name, "checkout") | accents(colour, theme)
        for ground in ("ground", "surface", "sunken", "accent-soft"):
            assert contrast(colours["accent"], colours[ground]) >= 4.5
        for accent in ("accent", "accent-strong"):
            assert contrast(colours["on-accent"], colours[accent]) >= 4.5


@pytest.mark.parametrize("colour", ["#3a3fd0", "#0b6a40", "#a1222e"])
def test_a_colour_that_is_readable_already_stays_as_it_was_chosen(colour: str) -> None:
    assert accents(colour, LIGHT)["accent"] == colour


@pytest.mark.parametrize(("name", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_the_grounds_are_those_of_the_design_system(name: str, theme: Theme) -> None:
    colours = tokens(name, "checkout")
    assert set(theme.grounds) == {colours[ground] for ground in ("ground", "surface", "sunken")}
    assert theme.surface == colours["surface"]


def test_the_stylesheet_sets_every_accent_of_the_design_system_and_nothing_else() -> None:
    ours = {name for name in re.findall(r"--([a-z-]+):", (STATIC / "tokens.css").read_text()) if "accent" in name}
    sheet = looks.stylesheet("#d9481c")
    assert set(re.findall(r"--([a-z-]+):", sheet)) == ours
    assert sheet.count("prefers-color-scheme: dark") == 1
    assert len(sheet) < 400


def test_a_store_with_a_colour_gets_its_stylesheet_after_ours_cached_for_a_year(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    address = theme_address(client, use_case, "#D9481C")
    assert re.fullmatch(r"/stores/sto_01jexample/theme\.d9481c[0-9a-f]{6}\.css", address)
    assert (read(client, f"/pay/{TOKEN}").all("link")[-1])["href"] == address
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.content_type == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


@pytest.mark.parametrize(
    "colour", [None, "", "red", "#fff", "#12345g", "#123456;}*{display:none", "url(//evil.test)", "#d9481c\n"]
)
def test_what_is_not_a_colour_is_no_stylesheet(client: FlaskClient, use_case: FakeShopper, colour: str | None) -> None:
    use_case.paying = pay_view(store=store_row(colour=colour))
    assert "theme" not in client.get(f"/pay/{TOKEN}").text


@pytest.mark.parametrize("name", ["d9481c", "d9481c000000", "zzzzzzzzzzzz", "d9481c00000}", "..%2f..%2f"])
def test_a_stylesheet_of_other_rules_is_404(client: FlaskClient, name: str) -> None:
    assert client.get(f"/stores/sto_01jexample/theme.{name}.css").status_code == 404


# The logo


def test_a_logo_stands_beside_the_stores_name_in_a_place_of_fixed_size(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    use_case.paying = pay_view(store=store_row(logo_digest=DIGEST))
    use_case.picture = ("image/png", PNG)
    page = read(client, f"/pay/{TOKEN}")
    (image,) = page.all("img")
    assert image == {"class": "logo", "src": image["src"], "alt": "", "width": "40", "height": "40"}
    answer = client.get(image["src"] or "")
    assert (answer.status_code, answer.data, answer.content_type) == (200, PNG, "image/png")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_an_older_logos_address_shows_todays_logo_uncached(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.picture = ("image/webp", PNG)
    answer = client.get("/stores/sto_01jexample/logo.000000000000.png")
    assert (answer.status_code, answer.content_type) == (200, "image/webp")
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("media_type", ["image/svg+xml", "text/html", "application/javascript"])
def test_what_could_hold_script_is_never_served_as_a_logo(
    client: FlaskClient, use_case: FakeShopper, media_type: str
) -> None:
    use_case.picture = (media_type, b"<svg onload=alert(1)>")
    assert client.get(f"/stores/sto_01jexample/logo.{DIGEST}.png").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        f"/stores/sto_1/logo.{DIGEST}.svg",
        "/stores/sto_1/logo.zz.png",
        f"/stores/a%20b/logo.{DIGEST}.png",
        f"/stores/..%2fx/logo.{DIGEST}.png",
    ],
)
def test_a_strange_address_of_a_logo_is_404_and_asks_nobody(
    client: FlaskClient, use_case: FakeShopper, path: str
) -> None:
    assert client.get(path).status_code == 404
    assert use_case.asked == []


def test_a_store_without_a_logo_has_its_initial_and_no_picture(client: FlaskClient, use_case: FakeShopper) -> None:
    assert read(client, f"/pay/{TOKEN}").all("img") == []
    assert client.get(f"/stores/sto_01jexample/logo.{DIGEST}.png").status_code == 404
    use_case.paying = pay_view(store=store_row(logo_digest='"><script>'))
    assert read(client, f"/pay/{TOKEN}").all("img") == []
