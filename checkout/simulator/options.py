"""What a simulator process is told: where to listen, whose keys to expect, where webhooks go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from checkout.errors import NotPossible, SettingsRefused

#: The only mode a simulator starts in: nothing in it may ever stand where real money moves.
SANDBOX: Final = "sandbox"
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

Place = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A place of None leaves that server out; port 0 picks a free one.

    ``speed`` divides every wait. ``service_url`` is the service's public URL, without a trailing slash:
    webhooks go there. ``allow_remote`` must be set for a server to listen beyond this machine.
    """

    mode: str = SANDBOX
    stable_mint: Place | None = None
    stables: Place | None = None
    shop: Place | None = None
    speed: float = 1.0
    service_url: str = ""
    allow_remote: bool = False

    stable_mint_api_key: str = field(default="", repr=False)
    stable_mint_api_secret: str = field(default="", repr=False)
    partner_public_key_pem: str = field(default="", repr=False)
    webhook_private_key_pem: str = field(default="", repr=False)
    partner_id: str = "partner-demo"
    partner_name: str = "Demo Partner"
    stable_mint_switches: Mapping[str, object] = field(default_factory=dict)  #: positions set at start and by reset

    stables_api_key: str = field(default="", repr=False)
    stables_webhook_scheme: str = "svix"
    stables_webhook_secret: str = field(default="", repr=False)
    stables_switches: Mapping[str, object] = field(default_factory=dict)

    shop_api_key: str = field(default="", repr=False)
    shop_notification_secret: str = field(default="", repr=False)
    shop_service_url: str = ""  #: the service's API as the shop calls it; empty: ``service_url``

    def check(self) -> None:
        """Raise NotPossible outside sandbox, SettingsRefused for all that is missing or too open."""
        if self.mode != SANDBOX:
            raise NotPossible("the simulator runs in sandbox mode only; in live mode the real providers are used")
        problems = [(name, "is needed") for name in self._needed() if not getattr(self, name)]
        places = {"stable_mint": self.stable_mint, "stables": self.stables, "shop": self.shop}
        for name, place in places.items():
            if place is not None and place[0] not in LOOPBACK and not self.allow_remote:
                problems.append((name, "listens beyond this machine; give a loopback address"))
        if not any(places.values()):
            problems.append(("stable_mint", "nothing to start: give at least one of stable_mint, stables, shop"))
        if not self.speed > 0:
            problems.append(("speed", "must be a number above zero"))
        if problems:
            raise SettingsRefused(problems)

    def _needed(self) -> list[str]:
        needed = ["service_url"]
        if self.stable_mint is not None:
            needed += [
                "stable_mint_api_key",
                "stable_mint_api_secret",
                "partner_public_key_pem",
                "webhook_private_key_pem",
            ]
        if self.stables is not None:
            needed += ["stables_api_key", "stables_webhook_secret"]
        return needed
