"""`checkout keys`: the partner's key pair. The private half is never printed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from checkout.commands.answers import answer, facts, json_option, table
from checkout.commands.init import SIGNING_FILE
from checkout.commands.installation import environment, opened
from checkout.config import EXAMPLE_KEYS
from checkout.errors import BadSignature, CheckoutError, KeyRefused, NotPossible, SettingsRefused
from checkout.signing import (
    PartnerKey,
    VerifyingKeys,
    generate_key_pair,
    load_partner_key,
    load_verifying_keys,
)
from checkout.store.resealing import reseal, sealed_columns

PRIVATE = "STABLE_MINT_PRIVATE_KEY"
PASSPHRASE = "STABLE_MINT_PRIVATE_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
WEBHOOKS = "STABLE_MINT_WEBHOOK_PUBLIC_KEY"
DASHBOARD = "Give the public key to Stable Mint: dashboard, Developer Hub. They then issue the API key and secret."


@click.group(short_help="RSA keys, ours and Stable Mint's.")
def keys() -> None:
    """The partner's RSA key pair, and Stable Mint's public keys."""


@keys.command()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("stable-mint-private.pem"), show_default=True,
    help="Where the private half goes; never overwritten.",
)  # fmt: skip
@json_option
def generate(out: Path, as_json: bool) -> None:
    """Make a fresh pair: the private half into a file, the public half printed."""
    if out.exists():
        raise NotPossible(f"there is {out} already; a key in use is never overwritten")
    private, public = generate_key_pair()
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(private)
    except OSError as problem:
        raise NotPossible(f"{out} cannot be written: {problem.strerror}") from None
    key = load_partner_key(private)
    document = {"private_key_file": str(out), "public_key": public, "bits": key.bits, "fingerprint": key.fingerprint}
    hint = f"The private half is in {out}: set {PRIVATE} to its path. {DASHBOARD}"
    answer(as_json, document, public.strip(), hint)


@keys.command()
@json_option
def show(as_json: bool) -> None:
    """Print the public half of the key in the settings, for Stable Mint's dashboard."""
    key = _partner_key(environment())
    public = key.public_pem()
    document = {"public_key": public, "bits": key.bits, "fingerprint": key.fingerprint}
    answer(as_json, document, public.strip(), facts([("bits", key.bits), ("fingerprint", key.fingerprint)]), DASHBOARD)


@keys.command("reseal")
@json_option
def reseal_(as_json: bool) -> None:
    """Seal everything again under the newest CHECKOUT_DATA_KEY; the older ones can then be removed."""
    with opened() as services:
        sealer = services.context.sealer
        done = {
            f"{table.name}.{column.name}": reseal(
                services.context.database, table, column, lambda sealed: sealer.seal(sealer.open(sealed))
            )
            for table, column in sealed_columns()
        }
    total = sum(done.values())
    said = f"{total} values are sealed under the newest key. Older keys may leave CHECKOUT_DATA_KEY once no process uses them."
    answer(as_json, {"resealed": total, "columns": done}, said)


@keys.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Check both sides' keys: forms, sizes, and that none stands in the other's place. Exit code 1 when one is wrong."""
    found = key_checks(environment())
    rows = [("ok" if one["ok"] else "FAIL", one["check"], one["detail"]) for one in found]
    good = all(one["ok"] for one in found)
    answer(as_json, {"ok": good, "checks": found}, table(("", "check", "detail"), rows, empty=""))
    if not good:
        ctx.exit(1)


def key_checks(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each check with its verdict in words; also for `checkout doctor`."""
    found: list[dict[str, Any]] = []

    def note(check: str, ok: bool, detail: str) -> None:
        found.append({"check": check, "ok": ok, "detail": detail})

    partner: PartnerKey | None = None
    webhooks: VerifyingKeys | None = None
    try:
        partner = _partner_key(environ)
        _sign_once(partner)
        note(PRIVATE, True, f"RSA {partner.bits} bits, {partner.fingerprint[:16]}…; a trial signature verifies")
    except CheckoutError as problem:
        note(PRIVATE, False, _reason(problem))
    try:
        webhooks = _webhook_keys(environ)
        prints = ", ".join(f"{one[:16]}…" for one in webhooks.fingerprints())
        note(WEBHOOKS, True, f"{len(webhooks.fingerprints())} key(s): {prints}")
    except CheckoutError as problem:
        note(WEBHOOKS, False, _reason(problem))
    if partner is not None and webhooks is not None:
        mixed_up = partner.fingerprint in webhooks.fingerprints()
        note("sides", not mixed_up, "the webhook key is your own: Stable Mint signs with theirs, ask them for its public half"
             if mixed_up else "your key and theirs are different keys")  # fmt: skip
        if partner.fingerprint in EXAMPLE_KEYS or not EXAMPLE_KEYS.isdisjoint(webhooks.fingerprints()):
            note(
                "example keys", environ.get("CHECKOUT_MODE") != "live", "an example key, which everybody has, is in use"
            )
    if webhooks is not None and SIGNING_FILE.exists():
        found.append(_simulator_check(webhooks))
    return found


def _simulator_check(webhooks: VerifyingKeys) -> dict[str, Any]:
    try:
        fits = load_partner_key(str(SIGNING_FILE)).fingerprint in webhooks.fingerprints()
        detail = (f"its public half is in {WEBHOOKS}" if fits
                  else f"its public half is not in {WEBHOOKS}: the simulator's webhooks would be refused")  # fmt: skip
    except KeyRefused as problem:
        fits, detail = False, str(problem)
    return {"check": str(SIGNING_FILE), "ok": fits, "detail": detail}


def _sign_once(key: PartnerKey) -> None:
    try:
        load_verifying_keys(key.public_pem()).verify(b"trial", key.sign(b"trial"))
    except BadSignature:
        raise KeyRefused("its signature does not verify with its own public half") from None


def _partner_key(environ: Mapping[str, str]) -> PartnerKey:
    """The key in the settings; the other settings may still be missing."""
    value = environ.get(PRIVATE, "").strip()
    if not value:
        raise SettingsRefused([(PRIVATE, "is missing; `checkout keys generate` makes a pair")])
    try:
        return load_partner_key(value, environ.get(PASSPHRASE, "").strip() or None)
    except KeyRefused as refused:
        raise SettingsRefused([(PRIVATE, str(refused))]) from None


def _webhook_keys(environ: Mapping[str, str]) -> VerifyingKeys:
    value = environ.get(WEBHOOKS, "").strip()
    if not value:
        raise SettingsRefused([(WEBHOOKS, "is missing; ask Stable Mint for the public key of their webhooks")])
    try:
        return load_verifying_keys(value)
    except KeyRefused as refused:
        raise SettingsRefused([(WEBHOOKS, str(refused))]) from None


def _reason(problem: CheckoutError) -> str:
    return problem.problems[0][1] if isinstance(problem, SettingsRefused) else str(problem)
