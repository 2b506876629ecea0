"""The demo shop: a small storefront that pays through our public API, as a shop's developer would write it.

    catalogue   three products, and the basket cookie
    orders      orders in memory, and what was heard about each
    uses        the calls of the three uses: redirect, in the page, returning customer; shown on its pages
    service     those calls made, and what their answers may mean
    customers   who is shopping
    news        our signed notifications, read
    app         the pages: create_app(options)

It knows nothing of the service but its documented API, and marks an order paid only on a verified
notification or an answer of that API; never because a browser came back.
"""

from __future__ import annotations

from checkout.simulator.shop.app import create_app

__all__ = ["create_app"]
