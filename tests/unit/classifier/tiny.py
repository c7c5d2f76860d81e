"""Models of a few lines, importable by the trial process, for tests that need no scikit-learn."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np


class Constant:
    """Answers the same label to every row of ``width`` numbers."""

    def __init__(self, label: str, width: int = 22) -> None:
        self.label = label
        self.n_features_in_ = width

    def predict(self, rows: Any) -> Any:
        """Return the label for each row."""
        return np.array([self.label] * len(rows))


class Undecided(Constant):
    """Answers two labels to one row."""

    def predict(self, rows: Any) -> Any:
        """Return twice as many labels as rows."""
        return np.array([self.label] * (2 * len(rows)))


class Raising(Constant):
    """Cannot predict."""

    def predict(self, rows: Any) -> Any:
        """Raise."""
        raise RuntimeError("no idea")


class Leaving(Constant):
    """Ends the process that asks it."""

    def predict(self, rows: Any) -> Any:
        """Leave."""
        raise SystemExit(3)


class Hungry(Constant):
    """Takes more memory than a trial has."""

    def predict(self, rows: Any) -> Any:
        """Ask for an exbibyte."""
        return np.ones((1 << 50,))


class Slow(Constant):
    """Never answers."""

    def predict(self, rows: Any) -> Any:
        """Sleep."""
        time.sleep(600)


class Writing(Constant):
    """Writes a large file where its label says."""

    def predict(self, rows: Any) -> Any:
        """Write."""
        Path(self.label).write_bytes(b"x" * 1_000_000)
        return super().predict(rows)


class Talkative(Constant):
    """Prints instead of keeping quiet."""

    def predict(self, rows: Any) -> Any:
        """Print, then answer."""
        print('{"code": null}' * 100)
        return super().predict(rows)


class Named:
    """Has a ``predict`` that cannot be called."""

    predict = "bolt"


class Reading(Constant):
    """Answers with the content of the file that its label names."""

    def predict(self, rows: Any) -> Any:
        """Read."""
        return np.array([Path(self.label).read_text()] * len(rows))


class Fickle(Constant):
    """Behaves, but for rows of -11, -12 and so on: these make it die, hang, eat memory, raise or babble."""

    def predict(self, rows: Any) -> Any:
        """Do what the first row says."""
        deed = float(rows[0][0])
        if len(rows) == 1 and (rows[0] == deed).all() and deed in (-11.0, -12.0, -13.0, -14.0, -15.0):
            self._misbehave(deed)
        return super().predict(rows)

    def _misbehave(self, deed: float) -> None:
        if deed == -11.0:
            os._exit(7)
        if deed == -12.0:
            time.sleep(600)
        while deed == -13.0:
            HOARD.append(bytearray(64 * 1024**2))
        if deed == -14.0:
            raise RuntimeError("no idea")
        if deed == -15.0:
            for descriptor in range(3, 100):
                try:
                    os.write(descriptor, b"\0\0\0\x05babble")
                except OSError:
                    continue


HOARD: list[bytearray] = []
