"""Countries before anything is asked: the comprehensively sanctioned are refused, the listed high-risk ones warned about.

A dated copy of the provider's lists, not legal advice and not the provider's decision: what it refuses stays refused.
From Stables' documentation, pages "Country Restrictions" and "Country Restrictions & Sanctions Screening" (CONFIRMED). A
test compares both lists with the pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

CHECKED_ON: Final = date(2026, 11, 21)
SOURCE: Final = "Stables documentation, Country Restrictions; Country Restrictions & Sanctions Screening, section 4"

#: "Comprehensively Sanctioned Countries": refused.
SANCTIONED: Final[Mapping[str, str]] = MappingProxyType(
    {"CU": "Cuba", "IR": "Iran", "KP": "North Korea", "SY": "Syria"}
)
#: The same section's regions, which have no country code of their own: the words that name them in an address.
SANCTIONED_REGIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Crimea": ("crimea", "krym", "sevastopol", "simferopol", "крым", "крим", "севастополь", "симферополь"),
        "Donetsk": (
            "donetsk",
            "donetskaya",
            "donetska",
            "dnr",
            "dpr",
            "mariupol",
            "донецк",
            "донецьк",
            "днр",
            "мариуполь",
        ),
        "Luhansk": ("luhansk", "lugansk", "luhanska", "luganskaya", "lnr", "lpr", "луганск", "луганськ", "лнр"),
    }
)
_REGION_COUNTRIES: Final = frozenset({"UA", "RU"})

#: "Restricted and High-Risk Countries" and "High-Risk FATF Jurisdictions", less the sanctioned: warned about, as some are
#: restricted entirely, some by corridor, some by risk.
HIGH_RISK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AF": "Afghanistan", "AL": "Albania", "AO": "Angola", "BD": "Bangladesh", "BY": "Belarus", "BT": "Bhutan",
        "MM": "Myanmar", "CM": "Cameroon", "CF": "Central African Republic", "CD": "Congo (Kinshasa)",
        "CG": "Congo (Brazzaville)", "ER": "Eritrea", "SZ": "Eswatini", "ET": "Ethiopia", "GW": "Guinea-Bissau",
        "HT": "Haiti", "IQ": "Iraq", "KZ": "Kazakhstan", "KG": "Kyrgyzstan", "LB": "Lebanon", "LR": "Liberia",
        "LY": "Libya", "MG": "Madagascar", "MW": "Malawi", "ML": "Mali", "MR": "Mauritania", "MZ": "Mozambique",
        "NI": "Nicaragua", "NE": "Niger", "RU": "Russia", "KN": "Saint Kitts and Nevis", "SL": "Sierra Leone",
        "SO": "Somalia", "SS": "South Sudan", "TJ": "Tajikistan", "YE": "Yemen", "CV": "Cabo Verde",
        "BA": "Bosnia and Herzegovina", "RS": "Serbia", "BG": "Bulgaria", "HR": "Croatia", "XK": "Kosovo",
        "ME": "Montenegro", "MK": "North Macedonia", "SD": "Sudan", "RO": "Romania", "SI": "Slovenia", "GR": "Greece",
        "TR": "Turkey", "PK": "Pakistan",
    }
)  # fmt: skip

_WORD: Final = re.compile(r"\w+")


def country_refusal(country: str) -> str | None:
    """Why nothing may go to or come from this country, or None."""
    name = SANCTIONED.get(country.upper())
    if name is None:
        return None
    return f"{name} is comprehensively sanctioned (list of {CHECKED_ON}): Stables refuses it, and so does this service"


def region_refusal(country: str, *texts: object) -> str | None:
    """Why an address is refused that names a sanctioned region, or None. It never quotes the address."""
    if country.upper() not in _REGION_COUNTRIES:
        return None
    words = {word for text in texts if isinstance(text, str) for word in _WORD.findall(text.lower())}
    for region, names in SANCTIONED_REGIONS.items():
        if words & set(names):
            return f"the {region} region is comprehensively sanctioned (list of {CHECKED_ON})"
    return None


def country_warning(country: str) -> str | None:
    """What to expect of a listed high-risk country, or None."""
    if country.upper() == "UA":
        return f"in Ukraine, Crimea, Donetsk and Luhansk are comprehensively sanctioned (list of {CHECKED_ON})"
    name = HIGH_RISK.get(country.upper())
    if name is None:
        return None
    return f"{name} is on Stables' list of restricted and high-risk countries ({CHECKED_ON}): expect extra checks, or a refusal"
