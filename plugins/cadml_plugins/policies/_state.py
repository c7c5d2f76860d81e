"""Judges the state of what a pickle makes: by attribute, by value, and by what native code makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cadml_core import Finding, GlobalReference, Made, PickleScan
from cadml_plugins.policies import _dangers
from cadml_plugins.policies._arrays import Arrays, TooMuch
from cadml_plugins.policies._attributes import unknown
from cadml_plugins.policies._holding import circles
from cadml_plugins.policies.structures._rules import unsound

# What looking at a state raises that has parts of other types or lengths than any pickler writes.
_ODD = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
_BUDGET, _BUDGET_PER_BYTE = 1 << 30, 64


def dangerous_state(scan: PickleScan, harmless: Callable[[str], bool]) -> Iterator[Finding]:
    """Yield a finding for every attribute that plainly reaches out of the model."""
    try:
        yield from _findings(scan, "dangerous-state", _dangers.dangers(scan.objects, harmless))
    except TooMuch:
        yield _too_much(scan)
    except _ODD as error:
        yield _of_no_form(scan, error)


def unknown_state(scan: PickleScan, trusted: frozenset[str]) -> Iterator[Finding]:
    """Yield a finding for every attribute that is not known of its class, and for unsound arrays."""
    arrays = Arrays(_BUDGET + _BUDGET_PER_BYTE * scan.size)
    try:
        yield from _findings(scan, "unknown-state", unknown(scan.objects, arrays, trusted))
        yield from _findings(scan, "unsound-state", unsound(scan.objects, arrays))
        yield from _findings(scan, "unsound-state", circles(scan.objects, arrays.spend))
    except TooMuch:
        yield _too_much(scan)
    except _ODD as error:
        yield _of_no_form(scan, error)


def _findings(scan: PickleScan, rule: str, found: Iterable[tuple[Made, str]]) -> Iterator[Finding]:
    """Yield findings at the first place of each class, each reason once."""
    places: dict[str, GlobalReference] = {one.label: one for one in reversed(scan.globals)}
    seen: set[tuple[str, str]] = set()
    for one, reason in found:
        if (one.label, reason) not in seen:
            seen.add((one.label, reason))
            position = places[one.label].position if one.label in places else 0
            yield Finding(rule, f"{one.label}: {reason}", "BUILD", position, one.label)


def _of_no_form(scan: PickleScan, error: BaseException) -> Finding:
    message = f"a state has a form that no pickler writes ({type(error).__name__})"
    return Finding("unknown-state", message, "BUILD", scan.size - 1)


def _too_much(scan: PickleScan) -> Finding:
    message = "its arrays are shared so often that looking at all of them takes too long"
    return Finding("limit-state", message, "BUILD", scan.size - 1)
