"""The languages a shopper is spoken to in: which one, its words, and how it writes amounts and dates.

English is the text in the code; the catalogues beside it are PO files, read and checked once at start. A language
is chosen from what the shop said for the payment, else from what the browser asks for, else it is English.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, cast

from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency
from flask import Flask, current_app, request

from checkout.rules.money import Money

LOCALES: Final = Path(__file__).resolve().parents[1] / "locales"
DOMAIN: Final = "checkout"
FIRST: Final = "en"

#: Each language, and the locale that writes its amounts and dates. English is no one country's: day before month,
#: and a dollar says whose it is.
LANGUAGES: Final[Mapping[str, str]] = {"en": "en_001", "de": "de", "fr": "fr", "es": "es"}


class Tongue:
    """One language as views and templates use it, by the name ``_``: ``_("Pay %(store)s by bank", store=name)``."""

    def __init__(self, code: str, translations: NullTranslations) -> None:
        self.code = code
        self._translations = translations
        self._locale = Locale.parse(LANGUAGES[code])

    def __call__(self, message: str, **values: str) -> str:
        """The message in this language with its values put in; plain text, which templates escape."""
        text = self._translations.gettext(message)
        return text % values if values else text

    def plural(self, one: str, several: str, number: int) -> str:
        """The form that goes with ``number``, which stands in it as ``%(number)d``."""
        return self._translations.ngettext(one, several, number) % {"number": number}

    def money(self, amount: Money) -> str:
        """``€9.00``, ``9,00 €``: exactly, with the currency's own number of digits."""
        return format_currency(amount.decimal, amount.currency, locale=self._locale)

    def moment(self, moment: datetime) -> str:
        """``21 November 2026, 14:05 UTC``."""
        there = moment.astimezone(UTC)
        return f"{self.day(there)}, {format_time(there, 'HH:mm', tzinfo=UTC, locale=self._locale)} UTC"

    def day(self, moment: datetime) -> str:
        """``21 November 2026``."""
        return format_date(moment.astimezone(UTC).date(), "long", locale=self._locale)


class Languages:
    """Every language there is."""

    def __init__(self, tongues: Mapping[str, Tongue]) -> None:
        self._tongues = dict(tongues)

    @classmethod
    def read(cls, folder: Path = LOCALES) -> Languages:
        """Read every catalogue; FileNotFoundError or ValueError for one that is missing or broken."""
        return cls({code: Tongue(code, _translations(folder, code)) for code in LANGUAGES})

    def named(self, code: str | None) -> Tongue | None:
        """The language with this code, if we speak it."""
        return self._tongues.get(code) if code else None

    def asked_for(self, codes: list[str]) -> Tongue:
        """The first of these (``de-AT`` counts as ``de``) that we speak, else English."""
        for code in codes:
            found = self.named(code.replace("_", "-").partition("-")[0].lower())
            if found is not None:
                return found
        return self._tongues[FIRST]


def install(app: Flask, languages: Languages | None = None) -> None:
    """Read the catalogues once, now: an app whose words are missing does not start."""
    app.extensions["checkout-languages"] = languages or Languages.read()


def chosen(payments_own: str | None = None) -> tuple[Tongue, bool]:
    """The language of this answer, and whether it came from the browser (then caches must be told)."""
    languages = cast("Languages", current_app.extensions["checkout-languages"])
    own = languages.named(payments_own)
    if own is not None:
        return own, False
    return languages.asked_for(list(request.accept_languages.values())), True


def _translations(folder: Path, code: str) -> GNUTranslations:
    """A PO file as gettext's own translations, compiled in memory: nothing compiled can be out of date."""
    path = folder / code / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code, domain=DOMAIN, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)
