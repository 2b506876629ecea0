"""Files that pages load: hashed names, long caching, and little enough of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout.web import pages
from checkout.web.language import LANGUAGES
from tests.edges.page_fixtures import (
    TOKEN,
    FakeLinks,
    FakeShopper,
    Reader,
    Shown,
    client,
    every_page,
    linking,
    store_row,
    use_case,
)

#: The largest picture that leaves room for everything else.
LOGO_MAX = 8_000

__all__ = ["client", "linking", "use_case"]


def assets_of(html: str) -> list[str]:
    """Every file that a browser loads with the page."""
    page = Reader(html)
    found = [link["href"] for link in page.all("link")] + [tag["src"] for tag in page.all("script") + page.all("img")]
    return [url for url in found if url is not None]


def test_static_files_have_hashed_names_and_stay_for_a_year(client: FlaskClient) -> None:
    urls = assets_of(client.get(f"/pay/{TOKEN}").text)
    assert len(urls) == 4
    for url in urls:
        assert re.fullmatch(r"/assets/[a-z]+\.[0-9a-f]{12}\.(css|js|svg)", url)
        answer = client.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]


def test_an_older_hash_gets_todays_file_uncached_and_a_strange_name_nothing(client: FlaskClient) -> None:
    answer = client.get("/assets/tokens.000000000000.css")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    for name in ("tokens.css", "nothing.000000000000.css", "..%2fbase.html", "tokens.000000000000.html"):
        assert client.get(f"/assets/{name}").status_code == 404


def test_a_name_that_changes_with_the_content_is_a_new_name(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    before = pages.Assets.read(tmp_path).hashed("a.css")
    (tmp_path / "a.css").write_text("b{}")
    assert pages.Assets.read(tmp_path).hashed("a.css") != before


def test_files_are_sent_without_what_only_their_authors_read(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("/* why,\n   at length */\na {\n  color: red; /* because */\n}\n")
    (tmp_path / "a.js").write_text('// why\nconst a = "https://x.test";\n\n  go(a); // not alone on its line\n')
    assets = pages.Assets.read(tmp_path)
    assert assets.read_now("a.css")[0] == b"a {\ncolor: red;\n}\n"
    assert assets.read_now("a.js")[0] == b'const a = "https://x.test";\ngo(a); // not alone on its line\n'


def test_an_app_without_static_files_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pages.install(Flask("test"), tmp_path)


@pytest.mark.parametrize("shown", list(every_page()), ids=lambda shown: shown.path)
def test_a_first_load_weighs_at_most_30_kilobytes_as_sent_in_every_language(
    client: FlaskClient, use_case: FakeShopper, linking: FakeLinks, shown: Shown
) -> None:
    look = store_row(colour="#d9481c", logo_digest="0" * 12)
    use_case.picture = ("image/png", bytes(LOGO_MAX))
    Shown(
        shown.path,
        paying=replace(shown.paying, store=look),
        returning=replace(shown.returning, store=look),
        embedding=replace(shown.embedding, store=look),
        linking=replace(shown.linking, store=look),
    ).put(use_case, linking)
    fetched: dict[str, int] = {}
    for code in LANGUAGES:
        page = client.get(shown.path, headers={"Accept-Language": code})
        found = assets_of(page.text)
        assert any("theme." in url for url in found)
        assert any("logo." in url for url in found)
        fetched |= {url: len(client.get(url).data) for url in found if url not in fetched}
        assert len(page.data) + sum(fetched[url] for url in found) <= 30_000, code


def test_the_storefronts_script_is_small_and_has_no_dependency(client: FlaskClient) -> None:
    script = client.get("/embed.js").text
    assert len(script.encode()) < 6_000
    assert not re.search(r"\beval\b|\bimport\b|innerHTML|\.style\b|Function\(", script)
