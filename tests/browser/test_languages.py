"""Every page in every language: no sentence is missing, and numbers are written as there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.installation import PLAIN_STORE, Installation, Storefront
from tests.browser.scenes import SCENES, opened
from tests.browser.shop import pay_at_the_bank
from tests.browser.visitor import Device

LOCALES = {"en": "en-US", "de": "de-AT", "fr": "fr-FR", "es": "es-MX"}
#: Every text of a page, also hidden ones, without the provider's widget; and every label only a machine reads.
TEXTS = """
    () => {
        const found = [document.title];
        const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
            const parent = walk.currentNode.parentElement;
            if (parent.closest("noscript")) found.push(parent.closest("noscript").textContent.replace(/<[^>]*>/g, ""));
            else if (!parent.closest("script, style, stable-payment-gateway")) found.push(walk.currentNode.data);
        }
        for (const one of document.querySelectorAll("[aria-label], [alt], [title]"))
            found.push(one.ariaLabel ?? "", one.alt ?? "", one.title ?? "");
        return found.map((text) => text.replace(/\\s+/g, " ").trim()).filter((text) => /[a-z]{2}/i.test(text));
    }
"""
#: What is the same in every language: names, numbers, addresses.
SAME = re.compile(
    rf"Demo shop|{PLAIN_STORE}|Paper Moon|D|P|ORDER-\w+|INV-\w+|Invoice|PP-\w+|pay_\w+|lnk_\w+|127\.0\.0\.1(:\d+)?|UTC|.*EUR.*"
)
#: Words that a language has taken over from English, or the other way round.
LOANS = {"de": set[str](), "fr": {"Date"}, "es": set[str]()}

OURS = [name for name, scene in SCENES.items() if scene.ours]


def test_no_page_has_a_sentence_of_another_language(
    installation: Installation, visit: Visit, made: dict[str, str]
) -> None:
    readers = {language: visit(Device(locale=locale)) for language, locale in LOCALES.items()}
    missing = []
    for name in OURS:
        texts = {}
        with opened(SCENES[name], installation, made, name) as url:
            for language, reader in readers.items():
                reader.expect(str(SCENES[name].code))
                reader.page.goto(url, wait_until="domcontentloaded")
                assert reader.page.locator("html").get_attribute("lang") == language, name
                texts[language] = set(reader.page.evaluate(TEXTS))
        for language in LOCALES.keys() - {"en"}:
            same = texts["en"] & texts[language] - LOANS[language]
            missing += [f"{name} in {language}: {text}" for text in sorted(same) if not SAME.fullmatch(text)]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("language", "onward", "confirmed", "amount"),
    [
        ("de", "Weiter zur Zahlung", "Zahlung bestätigt", "9,00 €"),
        ("fr", "Continuer vers le paiement", "Paiement confirmé", "9,00 €"),
        ("es", "Continuar al pago", "Pago confirmado", "9,00 €"),
        ("en", "Continue to payment", "Payment confirmed", "€9.00"),
    ],
)
def test_the_payment_s_language_goes_before_the_browser_s(
    store: Storefront, visit: Visit, language: str, onward: str, confirmed: str, amount: str
) -> None:
    payment = store.open(language=language)
    shopper = visit(Device(locale="en-GB" if language != "en" else "de-DE"))
    shopper.goto(payment["checkout_url"])
    expect(shopper.page.get_by_text(re.compile(amount.replace(" ", r"\s")))).to_be_visible()
    shopper.press(onward)
    pay_at_the_bank(shopper)
    shopper.tells(confirmed)
    assert shopper.page.locator("html").get_attribute("lang") == language
    store.until_status(payment["id"], "settled")
