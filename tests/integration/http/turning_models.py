"""Models that pass their trial and turn on the server afterwards; harmless outside their confined process."""

from __future__ import annotations

import os
import time
from typing import Any

from tests.unit.classifier.tiny import Constant

_PEACEFUL_CALLS = 210
"""The trial asks some 195 times; the first uploads are answered too."""


class Turning(Constant):
    """Answers for a while, then does its deed at every question."""

    calls = 0

    def predict(self, rows: Any) -> Any:
        """Answer, or not."""
        self.calls += 1
        if self.calls > _PEACEFUL_CALLS:
            self.turn()
        return super().predict(rows)

    def turn(self) -> None:
        """Do the deed."""


class Dies(Turning):
    """Ends its process."""

    def turn(self) -> None:
        """Leave."""
        os._exit(1)


class Hangs(Turning):
    """Computes for ever."""

    def turn(self) -> None:
        """Never return."""
        while True:
            pass


class Eats(Turning):
    """Takes all the memory that it can get."""

    def turn(self) -> None:
        """Take more."""
        hoard = []
        while True:
            hoard.append(bytearray(32 * 1024**2))


class Floods(Turning):
    """Sends megabytes that are no answer."""

    def turn(self) -> None:
        """Write to every descriptor."""
        for descriptor in range(3, 100):
            try:
                os.write(descriptor, b"\xff" * 10**6)
            except OSError:
                continue


class Sleeps(Constant):
    """Hangs in its trial."""

    def predict(self, rows: Any) -> Any:
        """Sleep."""
        time.sleep(600)


DEEDS = (Dies, Hangs, Eats, Floods)
