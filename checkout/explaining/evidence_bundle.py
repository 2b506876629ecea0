"""Everything that explains one payment, as files: the signed deliveries byte for byte, what verifies them, and our own rows.

Whoever receives the bundle needs ``openssl`` and nothing of ours to check that the providers said what we say they said.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotFound, NotPossible
from checkout.explaining.report import Report
from checkout.inbox import STABLE_MINT
from checkout.store import events, ledger, moves, payments
from checkout.store.engine import Unit
from checkout.store.moves import record_act
from checkout.store.records import EventRow
from checkout.store.tracing import subject_of

DELIVERIES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files by their path, and what they are about."""

    payment: str
    files: Mapping[str, bytes] = field(repr=False)
    deliveries: int
    verifiable: int  #: by a public key inside


@dataclass(slots=True)
class _Made:
    """What is known of the deliveries while the files are made."""

    files: dict[str, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)


class EvidenceBundle:
    """The operator's verb."""

    def __init__(self, context: Context, report: Report) -> None:
        self._context = context
        self._report = report

    def make(self, ident: str, *, who: str) -> Bundle:
        """The bundle of one payment, by any identifier of it; who took it out of the database is stored."""
        context = self._context
        with context.database.read() as unit:
            found = subject_of(unit, ident)
            if found is None or found[0] != "payment":
                raise NotFound("payment", ident)
            if len(found[1]) > 1:
                raise NotPossible(f"{ident!r} names several payments: {', '.join(found[1])}; choose one")
            payment = found[1][0]
            line = self._report.trace(payment)
            told = _deliveries(unit, payment, line)
            subjects = _subjects(line)
            posted = [row for subject in subjects for row in ledger.postings_of(unit, subject)]
            moved = [row for subject in subjects for row in moves.moves_of(unit, subject)]
        made = _Made()
        for number, event in enumerate(told[:DELIVERIES_MAX], start=1):
            self._delivery(made, f"deliveries/{number:03}-{event.id}", event)
        keys = context.settings.stable_mint.webhook_keys.pems()
        made.files |= {f"keys/{_key_file(one)}": pem.encode() for one, pem in keys.items()}
        made.files["payment.json"] = json.dumps(line, indent=2, ensure_ascii=False).encode()
        made.files["moves.csv"] = _csv(("at", "subject", "before", "after", "cause", "who"), moved)
        made.files["postings.csv"] = _csv(("at", "key", "debit", "credit", "asset", "amount_minor", "cause"), posted)
        made.files["README.md"] = _readme(payment, made, len(told)).encode()
        now = context.clock()
        with context.database.write() as unit:
            record_act(
                unit, context.new_id("act"), who=who, action="evidence bundle made", subject=payment, at=now,
                detail={"deliveries": len(told)},
            )  # fmt: skip
        return Bundle(payment, made.files, len(told), len(made.commands))

    def _delivery(self, made: _Made, folder: str, event: EventRow) -> None:
        body = self._context.sealer.open(event.body_sealed)
        headers: dict[str, str] = json.loads(event.headers)
        made.files[f"{folder}/body"] = body
        made.files[f"{folder}/headers.json"] = json.dumps(headers, indent=2, sort_keys=True).encode()
        made.files[f"{folder}/about.json"] = json.dumps(
            {
                "id": event.id, "provider": event.provider, "type": event.event_type, "state": event.state,
                "received_at": event.received_at.isoformat(), "sha256": event.body_hash, "note": event.note,
            },
            indent=2,
        ).encode()  # fmt: skip
        if event.provider == STABLE_MINT:
            self._signed_by_key(made, folder, headers, body)
        else:
            _signed_by_secret(made, folder, headers, body)

    def _signed_by_key(self, made: _Made, folder: str, headers: Mapping[str, str], body: bytes) -> None:
        stamp, signature = headers.get("stablemint-timestamp", ""), headers.get("stablemint-signature", "")
        message = stamp.encode() + b"," + body
        made.files[f"{folder}/signed"] = message
        made.files[f"{folder}/signature.b64"] = signature.encode()
        key = self._context.settings.stable_mint.webhook_keys.accepting(message, signature)
        if key is None:
            made.without.append(folder)
            return
        made.commands.append(
            f"openssl base64 -d -A -in {folder}/signature.b64 -out {folder}/signature.bin\n"
            f"openssl dgst -sha256 -verify keys/{_key_file(key)} -signature {folder}/signature.bin {folder}/signed"
        )


def _signed_by_secret(made: _Made, folder: str, headers: Mapping[str, str], body: bytes) -> None:
    """Stables signs with a secret that both sides share: no public key can prove it, whoever has the secret can."""
    if "svix-id" in headers:
        signed = f"{headers['svix-id']}.{headers.get('svix-timestamp', '')}.".encode() + body
        stated = " ".join(one.removeprefix("v1,") for one in headers.get("svix-signature", "").split())
    else:
        signed, stated = body, headers.get("x-webhook-signature", "").removeprefix("sha256=")
    made.files[f"{folder}/signed"] = signed
    made.files[f"{folder}/signature.b64"] = stated.encode()
    made.shared.append(folder)


def _deliveries(unit: Unit, payment_id: str, line: Mapping[str, Any]) -> list[EventRow]:
    """Every delivery bound to a part of the line, or naming its sessions or deposits; in time's order."""
    references = {one.reference for one in payments.deposits_of(unit, payment_id)}
    references |= {one.reference for one in payments.sessions_of(unit, payment_id) if one.reference is not None}
    told = [one for subject in _subjects(line) for one in events.events_on(unit, subject)]
    found = {one.id: one for one in (*told, *events.events_naming(unit, sorted(references)))}
    accepted = [one for one in found.values() if one.state != "unverified"]
    return sorted(accepted, key=lambda one: (one.received_at, one.id))


def _subjects(line: Mapping[str, Any]) -> list[str]:
    """Whatever of the line has moves or postings, each once, in the order of the money."""
    found: dict[str, None] = {}
    for payment in line["payments"]:
        found[payment["id"]] = None
        for deposit in payment["deposits"]:
            found[deposit["id"]] = None
            if deposit["settlement_record"] is not None:
                found[deposit["settlement_record"]["id"]] = None
        for refund in payment["refunds"]:
            found[refund["id"]] = None
    for payout in line["payouts"]:
        found[payout["id"]] = None
    return list(found)


def _csv(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> bytes:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([row[name].isoformat() if name == "at" else row[name] for name in columns])
    return written.getvalue().encode()


def _key_file(fingerprint: str) -> str:
    return f"stable-mint-{fingerprint[:16]}.pem"


def _readme(payment: str, made: _Made, deliveries: int) -> str:
    parts = [
        f"# Evidence of payment {payment}",
        f"{deliveries} deliveries of the payment providers, byte for byte as they were received, with what verifies them; and "
        "what this installation made of them.",
        "| file | what it is |\n| --- | --- |\n"
        "| `payment.json` | the whole line: sessions, deposits, settlement records, payouts, refunds, cases |\n"
        "| `moves.csv` | every change of state, with its cause and who |\n"
        "| `postings.csv` | every ledger row: `debit` receives, `credit` gives, in the asset's smallest unit |\n"
        "| `keys/` | the public keys of Stable Mint that this installation accepts |\n"
        "| `deliveries/*/body` | the bytes of the HTTP body |\n"
        "| `deliveries/*/headers.json` | the signature headers as received |\n"
        "| `deliveries/*/signed` | the bytes the signature covers: for Stable Mint `<StableMint-Timestamp>,<body>` |\n"
        "| `deliveries/*/signature.b64` | the signature header, Base64 |",
        "## Verify Stable Mint's deliveries\n\nIn this folder; each second command says `Verified OK`. That a key is Stable "
        "Mint's own, ask Stable Mint.",
        "```sh\n" + "\n".join(made.commands or ["true  # there is none"]) + "\n```",
    ]
    if made.without:
        named = "\n".join(f"- `{one}`" for one in made.without)
        parts.append(
            "## Signed by a key that is not configured any more\n\nThey were verified when they came. With the key of that "
            f"time in `keys/`, the same commands verify them:\n\n{named}"
        )
    if made.shared:
        named = "\n".join(f"- `{one}`" for one in made.shared)
        parts.append(
            "## Stables' deliveries\n\nStables signs with a secret shared with the merchant, so only who holds it can check; "
            "it is not in this bundle. With it in `STABLES_WEBHOOK_SECRET` (`whsec_…`), for each folder, this prints "
            f"what is in `signature.b64`:\n\n{named}\n\n"
            "```sh-with-the-secret\n"
            'KEY=$(printf %s "${STABLES_WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -vtx1 | tr -d " \\n")\n'
            "openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY -binary FOLDER/signed | openssl base64 -A\n```"
        )
    parts.append(
        "## Personal data\n\nThe bodies are what the providers sent: amounts, references, payment method, and whatever of the "
        "shopper they chose to include (a name, an account, an e-mail address). `payment.json` holds our ids, the shop's order "
        "number, and what people wrote as evidence. There is no KYC data, no bank detail of the merchant and no secret of this "
        "installation. Who made this bundle, and when, is stored. Keep it as you keep the orders themselves, and delete it "
        "when it has served its purpose: erasing a person here does not reach a copy."
    )
    return "\n\n".join(parts) + "\n"


def readable(bundle: Bundle) -> str:
    """What is inside, in a sentence."""
    return (
        f"{len(bundle.files)} files, {bundle.deliveries} deliveries, {bundle.verifiable} verifiable with a key inside"
    )
