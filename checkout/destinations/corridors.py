"""What can be paid out, and to where: assets, networks, currencies and rails, only as the provider documents them.

Three tables, each dated and with its source; a test compares each with the documents, both ways. A pair whose token
contract is not certain is refused although the provider lists it: sending the wrong token is not undone by anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from checkout.providers.countries import COUNTRIES

CHECKED_ON: Final = date(2026, 11, 21)
#: CONFIRMED.
SOURCE: Final = "Stables documentation, Transfers, Supported currencies; OpenAPI v1.6.72"
CONTRACTS_SOURCE: Final = "Circle's and Tether's contract lists as read by the project"

_EVERYWHERE: Final = frozenset({"arbitrum", "avalanche", "base", "ethereum", "optimism", "polygon", "solana"})
#: What Stables takes, by asset. There is no USDC on Tron.
DOCUMENTED_NETWORKS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"USDC": _EVERYWHERE, "USDT": _EVERYWHERE | {"tron"}}
)
#: The OpenAPI names these as a source too; each with why it is not one here.
REFUSED_SOURCES: Final[Mapping[str, str]] = MappingProxyType(
    {"STABLES": "the OpenAPI names it, but no corridor and no token contract of it is documented: use USDC or USDT"}
)
#: Documented pairs whose token contract is not certain; lifted only with the provider's word, by a new release.
AMBIGUOUS_TOKENS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        (
            "USDT",
            "optimism",
        ): "two tokens go by that name there (a bridged USDT and USDT0), and Stables does not say which "
        "it takes: use another network",
        ("USDT", "base"): "it is a bridged token there, and Stables does not say that it takes it: use another network",
    }
)
#: Pairs that are often asked for and do not exist.
ENDED_TOKENS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {("USDC", "tron"): "USDC on Tron has ended (2024-02-20): use USDT there, or another network"}
)
#: Named by the provider's tool list and nowhere else.
TEST_NETWORKS: Final[Mapping[str, str]] = MappingProxyType(
    {"polygon-amoy": "it is a test network, and Stables' documentation says that testnets are not supported"}
)
#: What can be a payout's source.
NETWORKS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        asset: frozenset(network for network in networks if (asset, network) not in AMBIGUOUS_TOKENS)
        for asset, networks in DOCUMENTED_NETWORKS.items()
    }
)

#: As the OpenAPI spells them, with the documentation's words.
RAILS: Final[Mapping[str, str]] = MappingProxyType(
    {"bank": "Local: the currency's domestic rail", "swift": "SWIFT: an international transfer"}
)


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency that Stables pays out, over both rails; ``home`` is where its local rail reaches."""

    name: str
    home: frozenset[str]
    local: str  #: the local rail's name, for a person


#: The European Economic Area: "SEPA only for EEA countries" (docs, Country Restrictions, 2.3). The last line: regions of
#: Finland and France that have codes of their own.
EEA: Final = frozenset(
    {
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT",
        "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
        "AX", "GF", "GP", "MF", "MQ", "RE", "YT",
    }
)  # fmt: skip
#: Currency and rails: CONFIRMED. Where a local rail reaches: documented for EUR and USD, INFERRED for the rest from the
#: currency's own country.
CURRENCIES: Final[Mapping[str, Currency]] = MappingProxyType(
    {
        "USD": Currency("US Dollar", frozenset({"US"}), "ACH or wire"),
        "EUR": Currency("Euro", EEA, "SEPA"),
        "AUD": Currency("Australian Dollar", frozenset({"AU"}), "NPP or direct entry"),
        "AED": Currency("UAE Dirham", frozenset({"AE"}), "UAEFTS"),
        "GBP": Currency("British Pound", frozenset({"GB"}), "Faster Payments"),
        "HKD": Currency("Hong Kong Dollar", frozenset({"HK"}), "FPS or CHATS"),
        "INR": Currency("Indian Rupee", frozenset({"IN"}), "NEFT or IMPS"),
        "IDR": Currency("Indonesian Rupiah", frozenset({"ID"}), "BI-FAST or SKN"),
        "SGD": Currency("Singapore Dollar", frozenset({"SG"}), "FAST or GIRO"),
        "THB": Currency("Thai Baht", frozenset({"TH"}), "PromptPay or SMART"),
        "CNY": Currency("Chinese Yuan", frozenset({"CN"}), "CNAPS"),
    }
)


def source_problems(asset: str, network: str) -> dict[str, str]:
    """What is wrong with a payout's source, by field; empty when it can be one."""
    if asset not in NETWORKS:
        return {"source.currency": REFUSED_SOURCES.get(asset, f"must be one of {', '.join(NETWORKS)}")}
    if network in NETWORKS[asset]:
        return {}
    reason = AMBIGUOUS_TOKENS.get((asset, network)) or ENDED_TOKENS.get((asset, network)) or TEST_NETWORKS.get(network)
    if reason is not None:
        return {"source.network": f"{asset} on {network} is refused: {reason}"}
    return {"source.network": f"must be one of {', '.join(sorted(NETWORKS[asset]))} for {asset}"}


def destination_problems(currency: str, country: str, rail: str) -> dict[str, str]:
    """What is wrong with a payout's destination as a corridor, by field. Countries as such are judged elsewhere."""
    problems: dict[str, str] = {}
    known = CURRENCIES.get(currency)
    if known is None:
        problems["destination.currency"] = f"must be one of {', '.join(CURRENCIES)}"
    if rail not in RAILS:
        problems["destination.network"] = f"must be one of {', '.join(RAILS)}: swift is international, bank is local"
    elif known is not None and rail == "bank" and country in COUNTRIES and country not in known.home:
        where = "a country of the EEA" if known.home is EEA else " or ".join(sorted(known.home))
        problems["destination.network"] = (
            f"the local rail of {currency} ({known.local}) reaches {where} only: use swift, or an account there"
        )
    return problems
