"""Everything the simulated providers do later: one heap of due jobs, a few threads that run them.

Jobs of one lane (one session's webhooks, one transfer's states) never overlap and run in the order they fall
due, so that a shortened clock does not shuffle what the provider would send one after the other. Other jobs
run side by side: a delivery that waits ten seconds for its answer holds nobody else up.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

#: Jobs that may run at once; deliveries spend their time waiting for the service's answer.
THREADS: Final = 8

log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Job:
    due: float
    number: int
    work: Callable[[], None] = field(compare=False)
    lane: str = field(compare=False)
    owner: str = field(compare=False)


class Scheduler:
    """Runs jobs after real seconds; start it once, stop it once."""

    def __init__(self, threads: int = THREADS) -> None:
        self._heap: list[_Job] = []
        self._parked: dict[str, deque[_Job]] = {}  # a busy lane → its jobs that have fallen due meanwhile
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._running = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"simulator-job-{n}", daemon=True) for n in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Drop what is not due yet, let running jobs end (2 s at most)."""
        with self._changed:
            self._stopped = True
            self._heap.clear()
            self._parked.clear()
            self._changed.notify_all()
        deadline = time.monotonic() + 2
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def after(self, real_s: float, work: Callable[[], None], *, lane: str = "", owner: str = "") -> None:
        """Run ``work`` in ``real_s`` seconds. ``owner`` is the name under which :meth:`cancel` finds it."""
        with self._changed:
            if not self._stopped:
                job = _Job(time.monotonic() + real_s, next(self._numbers), work, lane, owner)
                heapq.heappush(self._heap, job)
                self._changed.notify()

    def cancel(self, owner: str) -> None:
        """Forget every job of one owner that has not started."""
        with self._changed:
            self._heap = [job for job in self._heap if job.owner != owner]
            heapq.heapify(self._heap)
            for lane, jobs in self._parked.items():
                self._parked[lane] = deque(job for job in jobs if job.owner != owner)

    def idle(self, within_s: float = 0.0) -> bool:
        """Whether nothing runs and nothing falls due in the next ``within_s`` real seconds."""
        with self._changed:
            soon = bool(self._heap) and self._heap[0].due <= time.monotonic() + within_s
            return not soon and not self._running and not any(self._parked.values())

    def _run(self) -> None:
        while (job := self._take()) is not None:
            try:
                job.work()
            except Exception:  # the outermost loop: one broken job must not end the thread
                log.exception("a job of the simulator failed")
            self._done(job)

    def _take(self) -> _Job | None:
        with self._changed:
            while not self._stopped:
                wait_s = self._heap[0].due - time.monotonic() if self._heap else None
                if wait_s is not None and wait_s <= 0:
                    job = heapq.heappop(self._heap)
                    if job.lane and job.lane in self._parked:
                        self._parked[job.lane].append(job)
                        continue
                    if job.lane:
                        self._parked[job.lane] = deque()
                    self._running += 1
                    self._changed.notify()  # the next job may be due as well, or sooner than others think
                    return job
                self._changed.wait(wait_s)
            return None

    def _done(self, job: _Job) -> None:
        with self._changed:
            self._running -= 1
            if job.lane:
                for waiting in self._parked.pop(job.lane, ()):  # due time and number keep their order
                    heapq.heappush(self._heap, waiting)
            self._changed.notify_all()
