"""Text in the cells of a CSV file, which spreadsheet programs take for formulas where it begins like one."""

from __future__ import annotations

_PREFIX = "'"
_GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", _PREFIX)


def guarded(text: str) -> str:
    """Return text that no spreadsheet computes: an apostrophe in front where it begins like a formula.

    Text that begins with an apostrophe gets another one, so that ``unguarded`` finds every text again.
    """
    return _PREFIX + text if text.startswith(_GUARDED) else text


def unguarded(text: str) -> str:
    """Return the text that ``guarded`` was given."""
    return text[1:] if text.startswith(_PREFIX) and text[1:].startswith(_GUARDED) else text
