"""What the providers do wrong while everything runs: faults of single calls, moods that pass, ways that they may just be."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from tests.acceptance.world import STABLES, World

T = TypeVar("T")

TRANSFER: Final = {"path": "^/api/v1/transfer$", "method": "POST"}
QUOTE: Final = {"path": "^/api/v1/quotes$", "method": "POST"}
CUSTOMER: Final = {"path": "^/api/v1/customers/", "method": "GET"}
LIST: Final = {"path": "^/api/v1/transfers$", "method": "GET"}
#: What Stables does wrong meanwhile: enough to need every way an attempt can go.
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {**TRANSFER, "fault": "drop_connection_after_work", "times": 1},
    {**TRANSFER, "fault": "garbage_after_work", "times": 3},
    {**TRANSFER, "fault": "drop_connection_before_work", "times": 3},
    {**QUOTE, "fault": "error_503_before_work", "times": 1},
    {**CUSTOMER, "fault": "error_503_before_work", "times": 1},
)
#: The clean run has the faults above, each in a payout of its own; the weather has these as well.
STABLES_WEATHER: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    *(("faults", fault) for fault in FAULTS),
    ("faults", {**TRANSFER, "fault": "error_500_after_work", "times": 1}),  # kept, and answered for a day
    ("switches", {"quote_life_s": 120.0, "webhook_duplicates": 2, "webhook_order": "swapped"}),
    ("faults", {**TRANSFER, "fault": "hang_after_work", "value": 1.3, "times": 1}),
    ("switches", {"quote_life_s": 600.0, "webhook_duplicates": 1, "webhook_order": "normal"}),
    ("faults", {**QUOTE, "fault": "hang_after_work", "value": 1.3, "times": 1}),
)
#: What Stable Mint does to withdrawals, one after the other. It never deduplicates them.
FAIR: Final = {"withdrawal_outcome": "ok", "withdrawal_end": "sent"}
STABLE_MINT_WEATHER: Final[tuple[dict[str, Any], ...]] = (
    FAIR, FAIR | {"withdrawal_outcome": "error_500_before_work"}, FAIR | {"withdrawal_end": "silent"},
    FAIR | {"withdrawal_outcome": "error_500_after_work"}, FAIR | {"withdrawal_end": "failed_after_accepted"},
    FAIR | {"withdrawal_outcome": "hang"}, FAIR | {"withdrawal_outcome": "declined"},
    FAIR | {"withdrawal_outcome": "unparseable"},
)  # fmt: skip
#: Commits that there are only, or mostly, in one mood.
STABLES_NEEDED: Final = MappingProxyType(
    {"payout_moves.postpone": ("faults", {**CUSTOMER, "fault": "error_503_before_work", "times": 1})}
)
STABLE_MINT_NEEDED: Final = MappingProxyType(
    {
        "refund_sending._record refund:failed": FAIR | {"withdrawal_outcome": "declined"},
        "refund_sending._record refund:unknown": FAIR | {"withdrawal_outcome": "error_500_before_work"},
        "refund_resolving.resolve refund:sent": FAIR | {"withdrawal_end": "silent"},
        "events.step refund:failed": FAIR | {"withdrawal_end": "failed_after_accepted"},
        "events.step refund:accepted": FAIR,
        "events.step refund:sent": FAIR,
        "refund_sending._record": FAIR,
    }
)
WEATHER_EVERY_S: Final = 2.0
#: States of a transfer that a busy machine would miss on its way: while they are wanted Stables takes its time.
STAGES: Final = frozenset({f"transfers._follow payout:{state}" for state in ("funded", "submitted", "processed")})
QUICK: Final = {name: STABLES[name] for name in ("submit_s", "process_s", "complete_s")}
SLOW: Final = dict.fromkeys(QUICK, 900.0)
#: Faults of Stables that wait for a request at once.
FAULTS_MAX: Final = 2
#: Ways the providers may be, where nobody knows; every short round has a few of them. None changes what must hold.
CLIMATE: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("stables", {"list_lag_s": 30.0}),
    ("stables", {"id_lag_s": 60.0}),
    ("stables", {"null_instructions_reads": 2}),
    ("stables", {"metadata_echo": "absent"}),
    ("stables", {"answer_case": "upper", "transfer_answer": 201}),
    ("stables", {"key_in_flight": "conflict"}),
    ("stables", {"webhook_duplicates": 2, "webhook_order": "swapped"}),
    ("stables", {"webhooks": False}),
    ("stables", {"sparse_answers": True}),
    ("stable_mint", {"deposit_reference": "new"}),
    ("stable_mint", {"session_id": "other"}),
    ("stable_mint", {"retry_timestamp": "old"}),
    ("stable_mint", {"amount_form": "exponent", "webhook_timestamp": "seven_digits"}),
    ("stables", {"transfer_dies_with_quote": True}),
    ("stable_mint", {"withdrawal_replay": "error"}),
    ("stable_mint", {"withdrawal_events": "identifiers"}),
)


class Weather:
    """Changes every little while, from ``start`` to ``stop``; fair afterwards."""

    def __init__(self, world: World, wanted: Callable[[], frozenset[str]]) -> None:
        self._world = world
        self._wanted = wanted  #: places where processes wait to be killed
        self._stop = threading.Event()
        self.problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="weather", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Have it fair from now on; raises what went wrong."""
        self._stop.set()
        self._thread.join(30)
        if self.problem is not None:
            raise self.problem

    def _run(self) -> None:
        try:
            for turn, usual, stable_mint in zip(
                itertools.count(), itertools.cycle(STABLES_WEATHER), itertools.cycle(STABLE_MINT_WEATHER), strict=False
            ):
                if self._stop.wait(WEATHER_EVERY_S):
                    break
                what, stables = self._needed(STABLES_NEEDED, turn) or usual
                if what != "faults" or self._is_fair():
                    self._world.tell("stables", what, stables)
                self._world.tell("stables", "switches", SLOW if self._wanted() & STAGES else QUICK)
                self._world.tell("stable_mint", "switches", self._needed(STABLE_MINT_NEEDED, turn) or stable_mint)
            self._world.tell("stable_mint", "switches", FAIR)
            self._world.tell("stables", "switches", QUICK | {"quote_life_s": STABLES["quote_life_s"]})
            self._world.clear("stables", "faults")
        except BaseException as problem:
            self.problem = problem

    def _needed(self, moods: Mapping[str, T], turn: int) -> T | None:
        """The mood in which something can be killed that is still to be; every other turn."""
        needed = [mood for place, mood in moods.items() if place in self._wanted()]
        return needed[turn // 2 % len(needed)] if needed and turn % 2 else None

    def _is_fair(self) -> bool:
        """Whether hardly any fault still waits for somebody: more of them would spoil everything there is."""
        return sum(bool(one["times_left"]) for one in self._world.ask("stables", "faults")) < FAULTS_MAX
