"""What the settings allow one reading to cost."""

from __future__ import annotations

from cadml_core.contracts.formats import ReadLimits
from cadml_core.settings import Settings


def read_limits(settings: Settings) -> ReadLimits:
    """Return the bounds that every reader is given."""
    return ReadLimits(
        max_bytes=settings.max_file_bytes,
        max_entities=settings.parse_max_entities,
        max_triangles=settings.parse_max_triangles,
        max_cpu_seconds=settings.parse_cpu_seconds,
        max_seconds=settings.parse_timeout_seconds,
        max_memory_mb=settings.parse_memory_mb,
    )
