"""What Stables' codes mean, each as a plain sentence and a next step for the operator.

Every code its documents list is here: risk, compliance, documents, verification, routes, limits, states. The sentences are
ours. A code that is not here shows its own text, and whatever it is about is held until a person has looked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_CODE_LIKE: Final = re.compile(r"\b[A-Za-z]+(?:_[A-Za-z]+)+\b")


@dataclass(frozen=True, slots=True)
class Word:
    """A code in words."""

    sentence: str
    next_step: str
    listed: bool = True  #: false: the provider's documents do not have it

    def __str__(self) -> str:
        return f"{self.sentence} {self.next_step}"


_DASHBOARD: Final = "Open the customer in Stables' dashboard and answer what it asks; then retry the payout."
_DOCUMENTS: Final = (
    "Upload the document through the verification link (`checkout stables link`); then retry the payout."
)
_ACCOUNT: Final = "Ask your account manager at Stables; nothing is sent until the payout is retried."
_HARD_STOP: Final = "Do not retry. Ask Stables' compliance team, and cancel the payout if the answer is no."
_OTHER_WAY: Final = (
    "Choose another payout account, currency or rail; the treasury is free again once the payout is cancelled."
)
_WAIT: Final = "Nothing to do but wait; the customer is read again before every payout."
_AGAIN: Final = "Submit it again through the verification link (`checkout stables link`)."
_WHOLE: Final = "Submit every page, front and back, whole and readable (`checkout stables link`)."
_RECENT: Final = "Submit a recent one with name and address on it (`checkout stables link`)."
_NOTHING: Final = "Nothing to do."


def _words() -> dict[str, Word]:
    return {
        **_RISK, **_DOCUMENT, **_COMPLIANCE, **_VERIFICATION, **SUB_STATUSES, **_ROUTES, **_REQUESTS, **_QUOTES, **_TRANSFERS,
    }  # fmt: skip


_RISK: Final = {
    "fraud_detected": Word("Stables' risk rules see signs of fraud, or an edited document.", _HARD_STOP),
    "compliance_block": Word(
        "Stables blocks it for regulatory reasons and has frozen the customer for review.", _HARD_STOP
    ),
    "restricted_region": Word("The law keeps Stables from serving this region or corridor.", _HARD_STOP),
    "restricted_jurisdiction": Word("A document was issued in a country that Stables may not serve.", _HARD_STOP),
    "sanctions_match": Word("A name or destination matches a sanctions list.", _HARD_STOP),
    "pep_match": Word("Somebody involved is listed as a politically exposed person.", _DASHBOARD),
    "onchain_risk_detected": Word(
        "The screening of the blockchain found a risk in where the funds come from.",
        "Send nothing more from that wallet; ask Stables which transaction it means.",
    ),
    "velocity_limit_exceeded": Word(
        "There were too many transfers in a short time.",
        "Wait, pay out less often (`checkout policies set`), then retry.",
    ),
    "amount_limit_exceeded": Word(
        "The amount is above what Stables allows this customer.",
        "Pay out less at once (`checkout policies set … --maximum`), or ask Stables for higher limits; then retry.",
    ),
    "sof_required": Word("Stables wants proof of where the money comes from (source of funds).", _DOCUMENTS),
    "sow_required": Word("Stables wants proof of how the owner's wealth was earned (source of wealth).", _DOCUMENTS),
    "additional_info_required": Word("Stables wants more information or documents.", _DASHBOARD),
    "additional_information_required": Word("Stables wants more information or documents.", _DASHBOARD),
    "kyc_required": Word(
        "The customer is not verified yet.", "Verify it first (`checkout stables setup`); then retry."
    ),
    "geo_mismatch": Word("The country of the customer's connection, documents and bank do not agree.", _DASHBOARD),
}

_DOCUMENT: Final = {
    "document_unreadable": Word("A document cannot be read: a poor scan.", _AGAIN),
    "missing_pages": Word("A statement lacks pages.", _AGAIN),
    "name_mismatch": Word("A document is in another name than the customer's.", _AGAIN),
    "amount_mismatch": Word("The amounts in a document do not explain the transaction.", _AGAIN),
    "amount_not_supported": Word("The documents do not support this amount.", _AGAIN),
    "insufficient_detail": Word("An explanation is missing or too short.", _AGAIN),
    "invalid_document_type": Word("A document is of a kind that Stables does not take for this.", _AGAIN),
    "unsupported_document": Word("A document is of a kind that Stables does not take for this.", _AGAIN),
    "document_missing": Word("A proof of funds is missing.", _DOCUMENTS),
}

_COMPLIANCE: Final = {
    "compliance_required": Word("Stables wants further checks of the source of funds or wealth.", _DOCUMENTS),
    "inconsistent_information": Word("What was submitted does not fit the customer's transactions.", _DASHBOARD),
    "compliance_pending": Word("Stables has the compliance documents and has not begun to check them.", _WAIT),
    "compliance_processing": Word("Stables is checking the compliance documents.", _WAIT),
    "compliance_verified": Word("Stables has accepted the compliance documents.", "Retry what was held."),
    "compliance_rejected": Word("Stables has rejected the compliance documents.", _AGAIN),
    "compliance_hold": Word(
        "Stables holds the transfer for compliance.", "Answer what its dashboard asks; it then goes on by itself."
    ),
}

_VERIFICATION: Final = {
    "in_progress": Word("It is under way at Stables.", _WAIT),
    "submitted": Word("Stables has it and has not decided.", _WAIT),
    "approved": Word("Stables has approved it.", _NOTHING),
    "rejected": Word("Stables has rejected it.", "See the reasons in its dashboard; a new verification must be begun."),
    "requires_action": Word("Stables waits for the customer.", _DOCUMENTS),
    "verification_in_progress": Word("The verification is under way or in review.", _WAIT),
    "verification_approved": Word("The customer is verified.", _NOTHING),
    "verification_rejected": Word(
        "The verification was rejected, and that is final.", "Only a new verification can change it; ask Stables first."
    ),
    "manual_review_required": Word(
        "A person at Stables reviews the verification, or something must be corrected.", _DASHBOARD
    ),
}

#: Why Stables did not accept a verification (OpenAPI, closed list).
SUB_STATUSES: Final[Mapping[str, Word]] = MappingProxyType(
    {
        "bad_proof_of_identity": Word("The identity document was not accepted.", _WHOLE),
        "bad_proof_of_address": Word("The proof of address was not accepted.", _RECENT),
        "document_page_missing": Word("A page of a document is missing.", _WHOLE),
        "file_corrupted": Word("A file is damaged and cannot be opened.", _AGAIN),
        "file_empty": Word("A file is empty.", _AGAIN),
        "file_too_large": Word("A file is larger than Stables takes.", "Make it smaller and submit it again."),
        "file_unsupported_type": Word(
            "A file is of a type that Stables does not take.", "Send a PDF, JPEG or PNG instead."
        ),
        "failed_to_submit": Word("The documents did not reach the verifier.", _AGAIN),
        "failed_to_submit_beneficiary": Word(
            "The documents of an owner or director did not reach the verifier.", _AGAIN
        ),
        "other": Word("Stables gives a reason that its list does not have.", _DASHBOARD),
    }
)

_ROUTES: Final = {
    "corridor_not_supported": Word("Stables does not pay to this country in this currency.", _OTHER_WAY),
    "unsupported_route": Word("The rail is not available for this payment.", _OTHER_WAY),
    "routing_route_not_configured": Word("Stables has not set up this route for your account.", _ACCOUNT),
    "routing_route_disabled": Word("Stables has switched this route off.", _ACCOUNT),
    "routing_quote_failed": Word(
        "Stables could not price the route just now.", "It is tried again; if it stays so, ask Stables with the time."
    ),
    "unsupported_currency": Word("The bank account's currency is not one Stables pays in.", _OTHER_WAY),
    "unsupported_payment_method": Word("Stables does not pay to this kind of account there.", _OTHER_WAY),
    "invalid_fields": Word("Bank details are missing or wrong.", "Correct the account with `checkout accounts add`."),
}

_REQUESTS: Final = {
    "bad_request": Word("Stables did not understand the request.", "Run `checkout doctor`; report it if it stays so."),
    "unauthorized": Word("Stables does not accept the API key.", "Check STABLES_API_KEY with `checkout doctor`."),
    "forbidden": Word(
        "Stables does not let this key or this server do that.",
        "Is this server's address on the allowlist of your account?",
    ),
    "not_found": Word("Stables knows nothing under that id.", "Check that key, mode and customer belong together."),
    "validation_error": Word("A field of the request is wrong; its name is in the text.", "Correct it; then retry."),
    "internal_error": Word("Something failed at Stables.", "Nothing is sent twice; it is looked at again by itself."),
}

_QUOTES: Final = {
    "active": Word("The quote can be used.", _NOTHING),
    "used": Word("The quote has made a transfer.", _NOTHING),
    "quote_expired": Word("The quote has run out.", "A fresh one is drawn by itself."),
    "quote_used": Word("The quote was used before.", "A fresh one is drawn by itself."),
    "quote_not_active": Word("The quote cannot be used any more.", "A fresh one is drawn by itself."),
}

_TRANSFERS: Final = {
    "created": Word("Stables has the transfer.", _NOTHING),
    "unknown": Word("Stables does not say where the transfer is.", "It is asked again by itself."),
    "awaiting_funds_collection": Word(
        "Stables waits for the funds.", "Reveal the address and send the exact amount, once."
    ),
    "funds_collected": Word("Stables has the funds.", _NOTHING),
    "payment_submitted": Word("The bank payment is on its way.", _NOTHING),
    "payment_processed": Word("The bank's rail has confirmed the payment.", _NOTHING),
    "completed": Word("The payment was delivered.", "Compare it with the bank statement."),
    "failed": Word("Stables failed it.", "Find out where the funds are before anything else is sent."),
    "cancelled": Word("Stables cancelled it.", "If somebody has paid, find out where the funds are."),
    "expired": Word("It ran out before it was used.", "If somebody has paid, find out where the funds are."),
    "processing": Word("Stables works on it, or holds it for a review.", _WAIT),
}

#: Code in small letters → its words.
WORDS: Final[Mapping[str, Word]] = MappingProxyType(_words())


def word_for(code: str, text: str = "") -> Word:
    """The code in words, whatever its letter case; for one that is not listed its own text, and a person's turn."""
    known = WORDS.get(code.strip().lower())
    if known is not None:
        return known
    said = f"{code}: {text}" if code and text else code or text or "nothing"
    return Word(
        f"Stables says {said!r}, which is not in its documents.",
        "It is held until you have asked Stables what it means; then retry or cancel.",
        listed=False,
    )


def code_in(code: str | None, text: str) -> str | None:
    """The code of a refusal: its own, else a listed one among its words (the flat form has no field for it)."""
    if code:
        return code
    return next((word for word in _CODE_LIKE.findall(text) if word.lower() in WORDS), None)


def in_words(code: str | None, text: str) -> str:
    """A refusal for a person: what it means and what to do, then the provider's own text. Without a code, the text alone."""
    found = code_in(code, text)
    return text if found is None else f"{word_for(found, text)} ({text})"
