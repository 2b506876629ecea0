"""Four languages, each whole: nothing missing, nothing left over, no sentence that escaped translation."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime
from gettext import NullTranslations
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from checkout.rules.money import CURRENCY_EXPONENTS, Money
from checkout.web.language import LANGUAGES, Languages, Tongue
from tests import catalogues
from tests.edges.page_fixtures import (
    TOKEN,
    FakeLinks,
    FakeShopper,
    Shown,
    client,
    embed_view,
    every_language,
    every_page,
    link_view,
    linking,
    make_app,
    pay_view,
    read,
    return_view,
    use_case,
)

__all__ = ["client", "linking", "use_case"]

OTHERS = [code for code in LANGUAGES if code != "en"]
PLACEHOLDER = re.compile(r"%\([a-z]+\)[sd]|%")


def texts(string_: str | tuple[str, ...] | list[str]) -> list[str]:
    return [string_] if isinstance(string_, str) else list(string_)


# The catalogues


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_catalogue_has_exactly_the_messages_of_the_code(code: str) -> None:
    wanted = {message.id for message in catalogues.collected() if message.id}
    stored = catalogues.stored(code)
    assert {message.id for message in stored if message.id} == wanted, "run make catalogues"
    assert not stored.obsolete
    assert len(wanted) > 60


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_message_is_translated_with_the_same_placeholders(code: str) -> None:
    for message in catalogues.stored(code):
        if not message.id:
            continue
        assert message.string, f"{code}: {message.id!r} is not translated"
        assert not message.fuzzy, f"{code}: {message.id!r} waits for a translator"
        wanted = sorted(PLACEHOLDER.findall(texts(message.id)[-1]))
        for text in texts(message.string):
            assert text.strip() == text != "", f"{code}: {message.id!r}"
            assert sorted(PLACEHOLDER.findall(text)) == wanted, f"{code}: {text!r}"


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_is_not_the_english_text_again(code: str) -> None:
    same = [message.id for message in catalogues.stored(code) if message.id and message.id == message.string]
    assert same == (["Date"] if code == "fr" else [])


@pytest.mark.parametrize("code", LANGUAGES)
def test_plural_forms_follow_the_number(code: str) -> None:
    tongue = every_language().named(code)
    assert tongue is not None
    one, several = (
        "You will be taken back to the store in %(number)d second.",
        "You will be taken back to the store in %(number)d seconds.",
    )
    assert " 1 " in tongue.plural(one, several, 1)
    assert " 5 " in tongue.plural(one, several, 5)
    assert tongue.plural(one, several, 1).replace("1", "5") != tongue.plural(one, several, 5)


def test_the_catalogues_are_as_the_tool_writes_them(tmp_path: Path) -> None:
    for code in LANGUAGES:
        catalogues.path_of(code, tmp_path).parent.mkdir(parents=True)
        catalogues.path_of(code, tmp_path).write_bytes(catalogues.path_of(code).read_bytes())
    assert catalogues.update(tmp_path) == []
    for code in LANGUAGES:
        assert catalogues.path_of(code, tmp_path).read_bytes() == catalogues.path_of(code).read_bytes(), code


def test_a_new_sentence_waits_for_a_translator_and_is_named(tmp_path: Path) -> None:
    missing = catalogues.update(tmp_path)  # nothing is translated there yet
    assert len(missing) == 3 * len([message for message in catalogues.collected() if message.id])
    assert "de: Payment confirmed" in missing


def test_an_app_whose_words_are_missing_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Languages.read(tmp_path)


# No sentence outside the catalogues


class Marked(NullTranslations):
    """Every message in marks, so that a page shows which of its words came from a catalogue."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


class Texts(HTMLParser):
    """All that is read out or shown: text, and the attributes that are text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            value for name, value in attrs if value and name in ("alt", "title", "aria-label", "placeholder")
        ]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


@pytest.mark.parametrize("shown", list(every_page()), ids=lambda shown: shown.path)
def test_every_word_of_every_page_comes_from_a_catalogue_or_from_the_payment(shown: Shown) -> None:
    use_case, linking = FakeShopper(), FakeLinks()
    shown.put(use_case, linking)
    marked = Languages({"en": Tongue("en", Marked())})
    answer = make_app(use_case, linking, marked).test_client().get(shown.path)
    words = " ".join(Texts(answer.text).found)
    words = re.sub(r"⟦[^⟧]*⟧", "", words)
    for known in (
        "A store with a name that does not fit a button", "Paper & Post", "PP-1042", "WS-7", "Workshop, two places",
        "pay_01jexample", "pay.stablemint.test", "€9.00", "21 November 2026, 12:00 UTC", "21 November 2026, 00:00 UTC",
    ):  # fmt: skip
        words = words.replace(known, "")
    assert not re.search(r"[^\W\d_]{2,}", words), words.split()


# Which language


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("pt-BR, es-MX;q=0.7, en;q=0.3", "es"),
        ("en;q=0.1, fr;q=0.9", "fr"),
        ("zh", "en"),
        ("*", "en"),
        ("de;q=nonsense,,;;é", "en"),
        ("x" * 5000, "en"),
    ],
)
def test_without_a_language_of_the_payment_the_browser_chooses(
    client: FlaskClient, asked: str | None, code: str
) -> None:
    answer = client.get(f"/pay/{TOKEN}", headers={} if asked is None else {"Accept-Language": asked})
    assert f'<html lang="{code}"' in answer.text
    assert answer.headers["Content-Language"] == code
    assert answer.headers["Vary"] == "Accept-Language"


@pytest.mark.parametrize("path", [f"/pay/{TOKEN}", f"/return/{TOKEN}/success", f"/embed/{TOKEN}", f"/link/{TOKEN}"])
@pytest.mark.parametrize("code", LANGUAGES)
def test_the_payments_language_comes_before_the_browsers(
    client: FlaskClient, use_case: FakeShopper, linking: FakeLinks, path: str, code: str
) -> None:
    Shown(
        path, pay_view(language=code), return_view(language=code), embed_view(language=code), link_view(language=code)
    ).put(use_case, linking)
    answer = client.get(path, headers={"Accept-Language": "fr" if code != "fr" else "de"})
    assert f'<html lang="{code}"' in answer.text
    assert "Vary" not in answer.headers


@pytest.mark.parametrize("path", [f"/return/{TOKEN}/status", f"/embed/{TOKEN}/status"])
def test_the_answer_for_the_script_is_in_the_same_language(
    client: FlaskClient, use_case: FakeShopper, path: str
) -> None:
    answer = client.get(path, headers={"Accept-Language": "de"})
    assert answer.get_json()["heading"] == "Wir bestätigen Ihre Zahlung"
    assert answer.headers["Vary"] == "Accept-Language"
    use_case.returning = return_view(language="es")
    answer = client.get(path, headers={"Accept-Language": "de"})
    assert answer.get_json()["heading"] == "Estamos confirmando su pago"
    assert "Vary" not in answer.headers


def test_an_address_that_leads_nowhere_says_so_in_the_browsers_language(client: FlaskClient) -> None:
    page = read(client, "/pay/a.b", 404, language="de")
    assert "Diese Zahlungsseite gibt es nicht" in page.words


@pytest.mark.parametrize("shown", list(every_page()), ids=lambda shown: shown.path)
def test_every_page_works_in_every_language(
    client: FlaskClient, use_case: FakeShopper, linking: FakeLinks, shown: Shown
) -> None:
    shown.put(use_case, linking)
    english = read(client, shown.path)
    for code in OTHERS:
        page = read(client, shown.path, language=code)
        assert [html["lang"] for html in page.all("html")] == [code]
        assert page.words != english.words
        assert not re.search(r"%\(|⟦", page.words)


# Amounts and dates


@pytest.mark.parametrize(
    ("code", "amount", "date"),
    [
        ("en", "€1,234.50", "21 November 2026, 14:05 UTC"),
        ("de", "1.234,50\xa0€", "21. November 2026, 14:05 UTC"),
        ("fr", "1\u202f234,50\xa0€", "21 novembre 2026, 14:05 UTC"),
        ("es", "1.234,50\xa0€", "21 de noviembre de 2026, 14:05 UTC"),
    ],
)
def test_amounts_and_dates_are_written_as_the_language_does(code: str, amount: str, date: str) -> None:
    tongue = every_language().named(code)
    assert tongue is not None
    assert tongue.money(Money(123450, "EUR")) == amount
    assert tongue.moment(datetime(2026, 11, 21, 14, 5, tzinfo=UTC)) == date


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("currency", CURRENCY_EXPONENTS)
def test_every_currency_shows_its_exact_digits_in_every_language(code: str, currency: str) -> None:
    tongue = every_language().named(code)
    assert tongue is not None
    minor = 1234567890123
    shown = tongue.money(Money(minor, currency))
    assert "".join(digit for digit in shown if digit in string.digits) == str(minor)
