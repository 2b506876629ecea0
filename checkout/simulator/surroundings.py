"""What every simulated provider is given: clock, scheduler, recorder, kill switch, a way to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from checkout.simulator.clock import FastClock
from checkout.simulator.moments import Kills
from checkout.simulator.options import Options
from checkout.simulator.recorder import Recorder
from checkout.simulator.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One per provider port; clock, scheduler and ``stopping`` are shared by the process.

    ``options`` carry the ports really bound. ``url`` is this provider's own origin. A handler that pretends
    to hang waits on ``stopping`` with a timeout, so that the simulator can still be stopped.
    """

    options: Options
    url: str
    clock: FastClock
    scheduler: Scheduler
    stopping: threading.Event
    recorder: Recorder = field(default_factory=Recorder)
    kills: Kills = field(default_factory=Kills)
