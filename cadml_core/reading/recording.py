"""What is recorded of readings: metrics, once for each file, and what a pool has done."""

from __future__ import annotations

import msgspec

from cadml_core import metrics
from cadml_core.reading.reading import Reading


class PoolStatistics(msgspec.Struct, frozen=True):
    """What a pool has done so far."""

    workers: int
    """How many it may keep."""
    alive: int
    """How many it keeps now."""
    started: int
    crashed: int
    """Workers that died by themselves: signals, exits, memory."""
    timed_out: int
    retired: int
    """Workers that ended after an answer, to give back memory."""
    read: int
    refused: int
    server_pid: int | None
    """The fork server's process id, None where there is none."""


def record(reading: Reading) -> None:
    """Record what a reading took, and what was drawn."""
    metrics.parse_latency_seconds.labels(format=reading.format).observe(reading.read_seconds)
    for version, seconds in reading.extract_seconds.items():
        metrics.feature_extraction_latency_seconds.labels(version=version).observe(seconds)
    if reading.drawn:
        metrics.picture_latency_seconds.labels(format=reading.format).observe(reading.draw_seconds)
    for drawn in reading.drawn:
        result = "failed" if drawn.failure else "made"
        metrics.pictures_total.labels(kind=drawn.kind, result=result).inc()
