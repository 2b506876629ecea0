"""The colours of every page can be told apart, in both themes and both houses (WCAG 2.2 AA)."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "templates" / "static"


def tokens(theme: str, house: str) -> dict[str, str]:
    """The colours of a theme: the design system's, with the demo shop's own put over them for its house."""
    colours: dict[str, str] = {}
    for name in ("tokens.css", "shop.css")[: 2 if house == "shop" else 1]:
        light, _, dark = (STATIC / name).read_text().partition("@media (prefers-color-scheme: dark)")
        for part in (light, dark)[: 2 if theme == "dark" else 1]:
            colours |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part))
    return colours


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("house", ["checkout", "shop"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"),
    [
        *itertools.product(("ink", "ink-soft", "accent"), ("ground", "surface", "sunken"), (4.5,)),
        ("on-accent", "accent", 4.5),
        ("on-accent", "accent-strong", 4.5),
        *((tone, f"{tone}-soft", 4.5) for tone in ("accent", "good", "notice", "stopped")),
        ("line-strong", "surface", 3.0),
    ],
)
def test_colours_can_be_told_apart(house: str, theme: str, ink: str, ground: str, least: float) -> None:
    colours = tokens(theme, house)
    assert contrast(colours[ink], colours[ground]) >= least
