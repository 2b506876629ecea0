"""Which addresses are on the public internet: where a stranger's URL may lead us, and nowhere inside our own network.

Deny by default: an address counts as public only when no registry says that it is for something else. The standard library's
``is_global`` alone is not enough: it knows neither what an IPv6 address carries inside it nor multicast.
"""

from __future__ import annotations

import ipaddress
from typing import Final

#: The only part of IPv6 that is handed out to anybody. IPv4-mapped (::ffff:0:0/96), IPv4-compatible, NAT64 (64:ff9b::/96 and
#: 64:ff9b:1::/48), unique local, link-local, site-local, discard and multicast addresses all lie outside it.
_UNICAST: Final = ipaddress.ip_network("2000::/3")
#: Parts of it that lead elsewhere: Teredo and other protocol assignments, documentation, 6to4 (an IPv4 address in disguise).
_NOT_PUBLIC_6: Final = tuple(
    ipaddress.ip_network(one) for one in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
#: IPv4 that is not handed out to anybody in particular: RFC 6890 and what came after, multicast and the reserved rest.
_NOT_PUBLIC_4: Final = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip


def is_public(text: str) -> bool:
    """Whether an address, as a resolver writes it, is a public unicast one; what is no address is not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:  # it means something on one link only
        return False
    return address in _UNICAST and not any(address in network for network in _NOT_PUBLIC_6)
