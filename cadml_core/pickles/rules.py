"""What ends a walk over a pickle: a broken rule, or a limit."""

from __future__ import annotations

import msgspec


class ScanLimits(msgspec.Struct, frozen=True):
    """What one pickle may cost its readers."""

    max_opcodes: int = 2_000_000
    max_depth: int = 200
    """How deeply containers and objects may nest."""
    max_marks: int = 10_000
    """How many MARKs may be open at once."""
    max_weight: int = 100_000_000
    """How many values a walk through everything would meet, shared ones counted every time."""
    max_globals: int = 10_000
    max_calls: int = 100_000
    """How many different calls."""


class Malformed(Exception):
    """Ends the walk: the pickle breaks a structural rule."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
