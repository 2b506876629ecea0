"""A payout brought as far as a test needs it, against the simulated Stables."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from checkout.errors import CheckoutError
from checkout.paying_out.resolution_verbs import Said
from checkout.rules.resolutions import Where
from tests.offramp import Offramp

#: What `Offramp.settled` brings in, in USDC and in its smallest units.
WHOLE, WHOLE_MINOR = "9.71", 9_710_000
FREE, RESERVED = "treasury_free/USDC@polygon", "treasury_reserved/USDC@polygon"
IN_TRANSIT, ASTRAY = "treasury_in_transit/USDC@polygon", "unallocated/USDC@polygon"
COST = "stables_cost/USDC@polygon"


def proposed(ramp: Offramp) -> str:
    return ramp.system.services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")


def awaiting(ramp: Offramp) -> str:
    """A payout whose transfer is checked and whose address nobody has seen."""
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    return out


def revealed(ramp: Offramp) -> str:
    out = awaiting(ramp)
    ramp.system.services.payouts.reveal(out, who="ann")
    return out


def exposed(ramp: Offramp, word: str = "expired") -> str:
    """A payout whose transfer has ended badly after its address was shown."""
    out = revealed(ramp)
    ramp.post(f"transfers/{ramp.transfers()[0]['id']}/status", {"status": word})
    ramp.until(out, "needs_decision")
    return out


def completed(ramp: Offramp) -> str:
    out = revealed(ramp)
    ramp.system.services.payouts.simulate_deposit(out, who="ann")
    ramp.until(out, "completed")
    return out


def say(ramp: Offramp, out: str, where: Where, *, who: str = "ann", **said: Any) -> dict[str, Any]:
    evidence = said.pop("evidence", "ticket 12, answered in writing")
    shown = ramp.system.services.resolutions.say(out, Said(where, evidence, **said), who=who)
    balanced = ramp.system.services.report.balance()
    assert balanced["balanced"], balanced["problems"]
    return shown


def books(ramp: Offramp) -> dict[str, int]:
    """The treasury's accounts that are not zero."""
    return {
        name: minor
        for name, minor in ramp.system.balances().items()
        if name.endswith("@polygon") and not name.startswith("exchange")
    }


def at_once(*acts: Callable[[], object]) -> tuple[list[object], list[CheckoutError]]:
    """Do these in threads that begin together; what they gave, and what they refused."""
    gate = threading.Barrier(len(acts))
    given: list[object] = []
    refused: list[CheckoutError] = []

    def run(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            given.append(act())
        except CheckoutError as error:
            refused.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given, refused
