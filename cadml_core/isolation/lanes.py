"""The queue of a pool: first come, first served, but jobs that take long let short ones pass."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable
from enum import IntEnum

from cadml_core.isolation.turns import STUCK, Outcomes, Turns, Waiting

_PATIENCE = 32
"""How many times longer than a quick job one in the patient lane may take while others wait."""

_KNOWN = 4
"""So may one in the quick lane, if jobs of its kind have ended by themselves: the machine may be busy."""


class PutBack(BaseException):
    """The worker was taken from this job, which will begin anew in the next lane.

    No error, like ``GeneratorExit``: what handles errors must let it pass.
    """


class Lane(IntEnum):
    """What a job has shown to need."""

    QUICK = 0
    PATIENT = 1
    LAST = 2


class _Running:
    """A job that a thread works on."""

    def __init__(self, waiting: Waiting, lane: Lane) -> None:
        self.waiting = waiting
        self.lane = lane
        self.since = time.monotonic()
        self.put_back = False


class Lanes:
    """Three lanes for jobs. Thread-safe.

    Where ``quick_seconds`` is not set, there is one queue, and this is all. Where it is, a job begins in the
    quick lane, unless jobs of its kind have always taken longer, and moves on while others wait behind it:
    after ``quick_seconds`` to the patient lane, there after 32 times as long to the last one. It keeps its
    worker where the next lane has room, else it is put back to begin anew when its turn comes. One thread is
    kept from all but quick jobs, and another from the last lane, so jobs that hang until their limit, however
    many they are, hold up neither short ones nor those that take some seconds. In each lane, kinds take
    turns, and those of which jobs have ended by themselves are first.

    Args:
        size: How many jobs of the quick lane run at the same time.
    """

    def __init__(self, size: int) -> None:
        self.quick_seconds: float | None = None
        self._size = size
        self._changed = threading.Condition()
        self._waiting = {lane: Turns() for lane in Lane}
        self._running: dict[int, _Running] = {}
        self._outcomes = Outcomes()
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads serve the lanes: for sharing, one more than the patient lane may have."""
        return self._size if self.quick_seconds is None else self._patient_size + 1

    @property
    def _patient_size(self) -> int:
        return max(2, self._size)

    def put(self, waiting: Waiting) -> None:
        """Queue a job."""
        with self._changed:
            lane = Lane.PATIENT if self._is_slow(waiting.kind) else Lane.QUICK
            self._waiting[lane].put(waiting)
            self._changed.notify()

    def take(self, number: int) -> Waiting | None:
        """Wait for the next job of a thread; None once the lanes are closed."""
        with self._changed:
            while not self._closed:
                lane = self._next_lane()
                if lane is None:
                    self._changed.wait()
                    continue
                preferred = self._is_unknown if lane == Lane.QUICK else self._outcomes.ends
                waiting = self._waiting[lane].take(preferred)
                self._running[number] = _Running(waiting, lane)
                return waiting
            return None

    def _next_lane(self) -> Lane | None:
        """Return the lane of which a job may be taken now."""
        quick, patient, last = (self._waiting[lane] for lane in Lane)
        if quick and self._count(Lane.QUICK) - self._count(Lane.PATIENT) < self._size:
            quick.give(patient, self._is_slow)
            if quick:
                return Lane.QUICK
        if self._count(Lane.PATIENT) >= self._patient_size:
            return None
        if last and not self._count(Lane.LAST):
            return Lane.LAST
        if patient:
            return Lane.PATIENT
        return Lane.LAST if last and self._has_room(Lane.LAST) else None

    def _count(self, lane: Lane) -> int:
        """How many jobs run in a lane and those after it."""
        return sum(running.lane >= lane for running in self._running.values())

    def _has_room(self, lane: Lane) -> bool:
        return self._count(lane) < self._patient_size - (lane == Lane.LAST)

    def _is_slow(self, kind: Hashable) -> bool:
        return self.quick_seconds is not None and self._outcomes.outlook(kind, self.quick_seconds) == "slow"

    def _is_unknown(self, kind: Hashable) -> bool:
        return self.quick_seconds is None or self._outcomes.outlook(kind, self.quick_seconds) == "unknown"

    def done(self, number: int, *, failed: bool = False) -> None:
        """Note that a thread has ended its job; one that failed late says nothing of how long others take."""
        with self._changed:
            running = self._running.pop(number)
            seconds = time.monotonic() - running.since
            late = failed and self.quick_seconds is not None and seconds > self.quick_seconds
            self._outcomes.note(running.waiting.kind, STUCK if late else seconds)
            self._changed.notify_all()

    def is_put_back(self, number: int) -> bool:
        """Tell whether the worker of this thread's job was taken from it."""
        with self._changed:
            running = self._running.get(number)
            return running is not None and running.put_back

    def wait_again(self, number: int) -> None:
        """End a job that was put back, and queue it in the next lane."""
        with self._changed:
            running = self._running.pop(number)
            if self._closed:
                running.waiting.future.set_exception(RuntimeError("the pool was closed"))
                return
            self._outcomes.note(running.waiting.kind, STUCK)
            self._waiting[Lane(running.lane + 1)].put(running.waiting)
            self._changed.notify_all()

    def relieve(self, take_worker: Callable[[int], None]) -> None:
        """Move what takes too long to the next lane, while others wait.

        Args:
            take_worker: Ends the worker of a thread, if it has one. Called under the lock, so that the thread
                cannot have gone on to another job meanwhile.
        """
        with self._changed:
            if self.quick_seconds is None or self._closed:
                return
            now = time.monotonic()
            for number, running in self._running.items():
                if running.put_back:
                    take_worker(number)  # it may have had none before
                elif now - running.since > self.quick_seconds * self._patience(running):
                    self._relieve(number, running, take_worker)
            self._changed.notify_all()

    def _patience(self, running: _Running) -> float:
        """How many times longer than a quick job this one may take while others wait."""
        if running.lane == Lane.QUICK:
            return _KNOWN if self._outcomes.ends(running.waiting.kind) else 1
        return _PATIENCE if running.lane == Lane.PATIENT else math.inf

    def _relieve(self, number: int, running: _Running, take_worker: Callable[[int], None]) -> None:
        if not self._waiting[running.lane]:
            return
        following = Lane(running.lane + 1)
        if self._has_room(following):
            running.lane = following
        else:
            running.put_back = True
            take_worker(number)

    def close(self) -> list[Waiting]:
        """Let every thread end after its job; return the jobs that nobody has taken."""
        with self._changed:
            self._closed = True
            left = [waiting for lane in self._waiting.values() for waiting in lane]
            for lane in self._waiting.values():
                lane.clear()
            self._changed.notify_all()
        return left
