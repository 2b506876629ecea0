"""An operator's desk: a service with a scripted Stables, and the acts that take settled orders to the bank."""

from __future__ import annotations

from typing import Any

import httpx

from tests.stables_script import StablesScript
from tests.system import BANK, Clock, make_system


class Desk:
    """An operator with a scripted Stables."""

    def __init__(self, url: str) -> None:
        clock = Clock()
        self.script = StablesScript(clock)
        self.system = make_system(url, clock=clock, stables=httpx.MockTransport(self.script))
        self.system.services.payout_accounts.add(self.system.store.id, BANK, who="ann")

    def settled(self, *amounts: str, received: str = "18.50", fee: str = "0.17") -> list[str]:
        """Settled orders in one settlement record; the deposits' references."""
        references = []
        for amount in amounts:
            session = self.system.sessions(self.system.pay(amount).payment.id)[0]
            self.system.hear(session, "accepted", "completed", amount=float(amount))
            references.append(str(session.reference))
        self.system.services.treasury.record(
            self.system.store.id, asset="USDC", network="polygon", amount=received, fee=fee, deposits=references,
            evidence="advice 17", who="ann",
        )  # fmt: skip
        return references

    def awaiting(self) -> str:
        """A payout of all there is, whose address has been revealed."""
        services = self.system.services
        out = services.payouts.propose(self.system.store.id, account_id=None, who="ann")
        self.system.work()
        services.payouts.approve(out, min_credit=None, who="ann")
        self.system.work()
        self.says(out, "awaiting_funds_collection")
        services.payouts.reveal(out, who="ann")
        return out

    def says(self, out: str, status: str, **more: Any) -> None:
        self.script.of(out).update(status=status, **more)
        self.system.clock.advance(minutes=6)
        self.system.work()

    def completed(self, **more: Any) -> str:
        out = self.awaiting()
        self.says(out, "completed", **more)
        assert self.system.services.payouts.show(out)["state"] == "completed"
        return out
