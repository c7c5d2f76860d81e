"""A lock that many readers share and one writer has alone."""

from __future__ import annotations

import threading


class SharedLock:
    """Readers go together; a writer waits for them, and those who come later wait for it.

    ``with lock.reading`` and ``with lock.writing``. A waiting writer goes before new readers, so a
    stream of searches cannot starve it. Not reentrant: a reader must not ask to write.
    """

    def __init__(self) -> None:
        self.condition = threading.Condition(threading.Lock())
        self.readers = 0
        self.busy = False
        """Whether a writer is in."""
        self.waiting = 0
        """Writers that wait."""
        self.reading = _Reading(self)
        self.writing = _Writing(self)


# Classes, not generators: entering and leaving is part of every search.


class _Reading:
    """Holds the lock together with other readers."""

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock = self._lock
        with lock.condition:
            while lock.busy or lock.waiting:
                lock.condition.wait()
            lock.readers += 1

    def __exit__(self, *_error: object) -> None:
        lock = self._lock
        with lock.condition:
            lock.readers -= 1
            if not lock.readers and lock.waiting:
                lock.condition.notify_all()


class _Writing:
    """Holds the lock alone."""

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock = self._lock
        with lock.condition:
            lock.waiting += 1
            try:
                while lock.busy or lock.readers:
                    lock.condition.wait()
            finally:
                lock.waiting -= 1
            lock.busy = True

    def __exit__(self, *_error: object) -> None:
        lock = self._lock
        with lock.condition:
            lock.busy = False
            lock.condition.notify_all()
