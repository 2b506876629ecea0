"""Collects every sentence that pages show, and brings the catalogues up to date: ``make catalogues``.

English is the text in the code, so its catalogue fills itself. In the others a sentence that is new, or whose English
changed, is left empty; a test fails until somebody has translated it, so no page is half in English.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from checkout.web.language import DOMAIN, FIRST, LANGUAGES, LOCALES

ROOT = Path(__file__).resolve().parents[1]
#: Where sentences for shoppers are: the views and the templates that they draw.
SOURCES = (
    ("checkout/web", [("**.py", "python")]),
    ("templates/shopper", [("**.html", "jinja2")]),
    ("templates/embed", [("**.html", "jinja2")]),
)
#: Header lines that say who and when; version control knows better.
NOBODYS = (
    b'"Project-Id', b'"Report-', b'"POT-', b'"PO-Rev', b'"Last-', b'"Language-Team', b'"Generated-By',
)  # fmt: skip
KEYWORDS = {"_": None, "plural": (1, 2)}


def collected() -> Catalog:
    """Every message in the code, with where it is."""
    catalogue = Catalog(domain=DOMAIN, project="checkout")
    for folder, methods in SOURCES:
        found = extract_from_dir(
            ROOT / folder, method_map=methods, keywords=KEYWORDS, comment_tags=("For translators:",)
        )
        for name, _line, message, comments, _context in found:
            catalogue.add(message, locations=[(f"{folder}/{name}", 1)], auto_comments=comments)
    return catalogue


def path_of(code: str, folder: Path = LOCALES) -> Path:
    """Where the catalogue of a language is."""
    return folder / code / "LC_MESSAGES" / f"{DOMAIN}.po"


def stored(code: str, folder: Path = LOCALES) -> Catalog:
    """The catalogue of a language; an empty one where there is none yet."""
    path = path_of(code, folder)
    if not path.exists():
        return Catalog(locale=code, domain=DOMAIN, project="checkout", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=code, domain=DOMAIN)


def update(folder: Path = LOCALES) -> list[str]:
    """Write every catalogue anew; the sentences that now need a translator."""
    missing = []
    for code in LANGUAGES:
        catalogue = stored(code, folder)
        catalogue.update(collected(), no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
        catalogue.obsolete.clear()
        name = catalogue.locale.english_name if catalogue.locale else code
        catalogue.header_comment = f"# {name}: what shoppers read."
        for message in catalogue:
            if message.id and code == FIRST:
                message.string = message.id
                message.flags.discard("fuzzy")
            elif message.id and (message.fuzzy or not message.string or not all(message.string)):
                missing.append(f"{code}: {message.id}")
        written = BytesIO()
        write_po(written, catalogue, width=116, include_lineno=False, ignore_obsolete=True)
        lines = written.getvalue().splitlines(keepends=True)
        path_of(code, folder).parent.mkdir(parents=True, exist_ok=True)
        path_of(code, folder).write_bytes(b"".join(line for line in lines if not line.startswith(NOBODYS)))
    return missing


if __name__ == "__main__":
    for line in update():
        print("to translate:", line, file=sys.stderr)
