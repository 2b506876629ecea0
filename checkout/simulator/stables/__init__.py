"""The simulated Stables: written from its documents alone, sharing nothing with the service's client.

app            the Flask application          state          what is known, and the verbs that change it
routes         the operations                 transfers      quotes and transfers, kept and shown
exchange       authentication, keys, faults   lifecycle      what becomes of a transfer
control        its own control routes         customers      verification and entitlements
requests       bodies, read strictly          grounds        on what grounds something is refused
fields         one object, all its problems   pricing        rates and fees
refusals       error shapes                   addresses      deposit addresses
memory         idempotency keys               webhooks       envelope, both signatures, misdelivery
faults         errors and losses per path     subscriptions  API-managed webhooks, pages
codes          documented lists               switches       every open question and its answers
"""

from __future__ import annotations

from checkout.simulator.stables.app import create_app
from checkout.simulator.stables.state import StablesState

__all__ = ["StablesState", "create_app"]
