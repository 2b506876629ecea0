"""Stable Mint, simulated: sessions, the hosted page with its mock bank, signed webhooks, settlement advice.

Written from the provider's documentation alone. Labels (CONFIRMED, INFERRED, UNKNOWN) say how sure each fact
is; for every UNKNOWN that matters there is a switch in ``switches``.

    switches  every choice nobody has confirmed        sessions   sessions and deposits, in memory
    jsontext  JSON with exact numbers                  events     the bodies of both webhook generations
    checks    signature, key, timestamp, fields        news       when which webhook goes out, and signed how
    api       the three session calls                  pages      the hosted page
    control   driving it without a browser       widget    the embedded session's web component and its calls
    withdrawals  money paid back, counted here
"""

from checkout.simulator.stable_mint.app import create_app
from checkout.simulator.stable_mint.state import StableMintState

__all__ = ["StableMintState", "create_app"]
