"""Every code that Stables' documents list has a sentence and a next step; the codes are taken from the documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from checkout.providers.stables_codes import WORDS, code_in, in_words, word_for
from checkout.rules.payouts import PROVIDER_STATES, TRANSIENT_CODES
from checkout.simulator.stables.switches import Entitled, Review, Risk, Routing

CONTRACTS = Path(__file__).resolve().parents[1] / "contracts"
PAGES = (CONTRACTS / "stables-pages.txt").read_text(encoding="utf-8")
#: Tables whose first column holds codes, by the head of that column.
CODE_TABLES = {"Error", "Error Code", "Reason", "Status", "State", "`event_object_status`"}
_SNAKE = r"[a-z]+(?:_[a-z]+)+"


def in_tables() -> Iterator[str]:
    head, lines = "", PAGES.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if re.match(r"\|\s*:?-+", line):
            head = before.split("|")[1].strip()
        cell = re.match(r"\|\s*`([A-Za-z_]+)`", line)
        if cell is not None and head in CODE_TABLES and f"`{cell.group(1)}`" not in CODE_TABLES:
            yield cell.group(1)


def in_examples() -> set[str]:
    """What answers and events are shown with: ``error: "x"``, ``"errorCode": "x"``, and words alone on a line."""
    named = re.findall(rf'\b(?:error|errorCode|kycStatus|complianceStatus)"?:\s*"({_SNAKE})"', PAGES)
    alone = re.findall(rf"^\s*({_SNAKE})$", PAGES, re.MULTILINE)
    return {*named, *alone}


def in_lists() -> set[str]:
    """Codes in lists, on the pages that have lists of codes."""
    found: set[str] = set()
    for title in ("Transaction Monitoring & Risk Rules", "Errors", "Identity Verification (KYC/KYB)"):
        page = PAGES.split(f"# {title}\n", 1)[1].split("\n# ", 1)[0]
        found |= set(re.findall(r"^\s*\* `([A-Za-z]+(?:_[A-Za-z]+)+)`", page, re.MULTILINE))
    return found


def in_the_openapi() -> set[str]:
    """Every state and reason of a customer, a quote and a transfer."""
    document = json.loads((CONTRACTS / "stables-openapi.json").read_text(encoding="utf-8"))
    found: set[str] = set()

    def walk(node: Any, name: str) -> None:
        if isinstance(node, dict):
            values = node.get(
                "enum", node.get("items", {}).get("enum") if isinstance(node.get("items"), dict) else None
            )
            if name in ("status", "sub_status") and isinstance(values, list):
                found.update(values)
            for key, value in node.items():
                walk(value, key if key not in ("items", "anyOf") else name)
        elif isinstance(node, list):
            for value in node:
                walk(value, name)

    schemas = document["components"]["schemas"]
    for name in ("VerificationLevelResponse", "CreateCustomerResponse", "QuoteApi", "TransferResponse"):
        walk(schemas[name], name)
    return found


#: Seen, not documented (providers.md B3).
OBSERVED = {
    "ROUTING_ROUTE_NOT_CONFIGURED", "ROUTING_ROUTE_DISABLED", "ROUTING_QUOTE_FAILED", "UNSUPPORTED_CURRENCY",
    "UNSUPPORTED_PAYMENT_METHOD", "INVALID_FIELDS",
}  # fmt: skip
LISTED = sorted({*in_tables(), *in_examples(), *in_lists(), *in_the_openapi(), *OBSERVED})


def test_the_documents_are_read_as_they_are_meant() -> None:
    assert {"fraud_detected", "sof_required", "geo_mismatch", "compliance_rejected", "missing_pages"} <= set(LISTED)
    assert {"FILE_CORRUPTED", "VERIFICATION_REJECTED", "MANUAL_REVIEW_REQUIRED", "validation_error"} <= set(LISTED)
    assert {"compliance_hold", "funds_collected", "requires_action", "restricted_jurisdiction"} <= set(LISTED)
    assert len(LISTED) > 65


@pytest.mark.parametrize("code", LISTED)
def test_every_listed_code_has_a_sentence_and_a_next_step(code: str) -> None:
    word = word_for(code)
    assert word.listed, f"{code} is in the documents and not in our words"
    for text in (word.sentence, word.next_step):
        assert text[0].isupper()
        assert text.rstrip().endswith((".", "?"))
    assert word == word_for(code.upper()) == word_for(code.lower())


def test_every_code_of_ours_and_of_the_simulator_has_words_too() -> None:
    simulated = {*get_args(Risk), *get_args(Routing), *get_args(Review), *get_args(Entitled)} - {"none", "absent"}
    for code in (*simulated, *TRANSIENT_CODES, *PROVIDER_STATES):
        assert word_for(str(code)).listed, code


def test_words_are_written_once_and_in_small_letters() -> None:
    assert all(code == code.lower() for code in WORDS)
    assert all("  " not in str(word) for word in WORDS.values())


def test_a_code_nobody_listed_shows_its_own_text_and_holds() -> None:
    word = word_for("ODD_THING", "the moon is full")
    assert not word.listed
    assert "ODD_THING: the moon is full" in word.sentence
    assert word.next_step.startswith("It is held")
    assert "nothing" in word_for("").sentence
    assert "only text" in word_for("", "only text").sentence


def test_a_refusal_keeps_the_providers_own_text_beside_ours() -> None:
    assert in_words(None, "no code") == "no code"
    told = in_words("sof_required", "422 sof_required: please explain")
    assert told.startswith("Stables wants proof of where the money comes from")
    assert told.endswith("(422 sof_required: please explain)")


def test_a_code_is_found_where_the_flat_form_hides_it() -> None:
    assert code_in("A_CODE", "sof_required: x") == "A_CODE"
    assert code_in(None, "odd_word, then ROUTING_QUOTE_FAILED: try later") == "ROUTING_QUOTE_FAILED"
    assert code_in(None, "the monthly limit has been exceeded for the user_id") is None
