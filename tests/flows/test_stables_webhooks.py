"""Stables' webhooks in both schemes speed a payout up; they are verified, applied, and never decide anything."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from checkout.store import events
from tests.world import world

SECRETS = {"svix": "whsec_" + base64.b64encode(b"w" * 32).decode(), "hmac": "a-secret-of-our-own-choosing"}


@pytest.mark.parametrize("scheme", ["svix", "hmac"])
@pytest.mark.parametrize("encoding", [("hex", ""), ("base64", "sha256=")])
def test_events_of_both_schemes_are_verified_and_applied(
    tmp_path: Path, scheme: str, encoding: tuple[str, str]
) -> None:
    switches: dict[str, Any] = {
        "hmac_encoding": encoding[0],
        "hmac_prefix": encoding[1],
        "status_prefix": "PAYMENT_STATUS_",
    }
    settings = {"STABLES_WEBHOOK_SCHEME": scheme, "STABLES_WEBHOOK_SECRET": SECRETS[scheme]}
    with world(f"sqlite:///{tmp_path / 'checkout.db'}", stables_switches=switches, changes=settings) as running:
        payment = running.open()
        running.paid(payment["provider"]["reference"])
        running.until_status(payment["id"], "settled")
        (deposit,) = running.system.services.report.trace(payment["id"])["payments"][0]["deposits"]
        out = running.payout([deposit["id"]])
        with running.system.database.read() as unit:
            heard = [one for one in events.list_events(unit, state=None, limit=200) if one.provider == "stables"]
            refused = events.list_events(unit, state="unverified", limit=10)
        assert refused == []
        assert {one.subject for one in heard if one.state == "applied"} == {out}
