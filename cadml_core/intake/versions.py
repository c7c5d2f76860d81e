"""Which feature versions a file is to get: those that it must allow, and those that it may."""

from __future__ import annotations

from collections.abc import Iterable

from cadml_core.errors import CadmlError, MalformedFile


def attempts(required: Iterable[str], optional: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return what to ask of a file: all versions; and where it does not allow them, the required ones."""
    least = tuple(dict.fromkeys(required))
    most = tuple(dict.fromkeys((*least, *optional)))
    return (most,) if most == least else (most, least)


def allows_less(error: CadmlError) -> bool:
    """Tell whether a file that was refused with optional versions may be accepted without them.

    It may hold no surface that they describe, or one too large to describe in time.
    """
    return not isinstance(error, MalformedFile)
