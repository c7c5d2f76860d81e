"""The queue of a pool: first come, first served, but jobs that take long let short ones pass."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple


class PutBack(BaseException):
    """The worker was taken from this job, which will begin anew in the patient lane.

    No error, like ``GeneratorExit``: what handles errors must let it pass.
    """


class Waiting(NamedTuple):
    """A job that nobody works on."""

    future: Any
    job: Any


class _Running:
    """A job that a thread works on."""

    def __init__(self, waiting: Waiting, patient: bool) -> None:
        self.waiting = waiting
        self.patient = patient
        self.since = time.monotonic()
        self.put_back = False


class Lanes:
    """Two lanes for jobs. Thread-safe.

    Every job begins in the quick lane. Where ``quick_seconds`` is set and others wait, one that takes longer
    goes over to the patient lane, which never has all threads: it keeps its worker while that lane has room,
    else it is put back to begin anew when its turn comes. So jobs that hang until their limit, however many
    they are, cannot keep short ones from being served for longer than some multiple of ``quick_seconds``.

    Args:
        size: How many jobs of the quick lane run at the same time.
    """

    def __init__(self, size: int) -> None:
        self.quick_seconds: float | None = None
        self._size = size
        self._changed = threading.Condition()
        self._quick: deque[Waiting] = deque()
        self._patient: deque[Waiting] = deque()
        self._running: dict[int, _Running] = {}
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads serve the lanes: one more than the size where the patient lane would have none."""
        return self._size if self.quick_seconds is None else max(2, self._size)

    def put(self, waiting: Waiting) -> None:
        """Queue a job."""
        with self._changed:
            self._quick.append(waiting)
            self._changed.notify()

    def take(self, number: int) -> Waiting | None:
        """Wait for the next job of a thread; None once the lanes are closed."""
        with self._changed:
            while not self._closed:
                patient = sum(running.patient for running in self._running.values())
                if self._quick and len(self._running) - patient < self._size:
                    self._running[number] = _Running(self._quick.popleft(), patient=False)
                elif self._patient and patient < self.threads - 1:
                    self._running[number] = _Running(self._patient.popleft(), patient=True)
                else:
                    self._changed.wait()
                    continue
                return self._running[number].waiting
            return None

    def done(self, number: int) -> None:
        """Note that a thread has ended its job."""
        with self._changed:
            del self._running[number]
            self._changed.notify_all()

    def is_put_back(self, number: int) -> bool:
        """Tell whether the worker of this thread's job was taken from it."""
        with self._changed:
            running = self._running.get(number)
            return running is not None and running.put_back

    def wait_again(self, number: int) -> None:
        """End a job that was put back, and queue it in the patient lane."""
        with self._changed:
            waiting = self._running.pop(number).waiting
            if self._closed:
                waiting.future.set_exception(RuntimeError("the pool was closed"))
                return
            self._patient.append(waiting)
            self._changed.notify_all()

    def relieve(self, take_worker: Callable[[int], None]) -> None:
        """Move what takes too long out of the quick lane, while others wait there.

        Args:
            take_worker: Ends the worker of a thread. Called under the lock, so that the thread cannot have
                gone on to another job meanwhile.
        """
        with self._changed:
            if self.quick_seconds is None or not self._quick or self._closed:
                return
            latest = time.monotonic() - self.quick_seconds
            patient = sum(running.patient for running in self._running.values())
            for number, running in self._running.items():
                if running.patient or running.put_back or running.since > latest:
                    continue
                if patient < self.threads - 1:
                    running.patient = True
                    patient += 1
                else:
                    running.put_back = True
                    take_worker(number)
            self._changed.notify_all()

    def close(self) -> list[Waiting]:
        """Let every thread end after its job; return the jobs that nobody has taken."""
        with self._changed:
            self._closed = True
            left = [*self._quick, *self._patient]
            self._quick.clear()
            self._patient.clear()
            self._changed.notify_all()
        return left
