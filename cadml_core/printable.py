"""Show text of unknown origin: names, paths, labels and messages, in terminals, logs and answers."""

from __future__ import annotations

import re

# Controls of C0 and C1, line separators, controls of the writing direction, marks that are not seen, and
# what is no character at all: a terminal obeys some of them, others let a name look like another one.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_QUOTED = re.compile(r"""b?(?:"[^"]*(?:"|$)|'[^']*(?:'|$))""")
_IN_JSON = re.compile(_UNPRINTABLE.pattern.replace("\x00-\x1f", ""))


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return text that every terminal, log and encoder shows as it is.

    Control characters, controls of the writing direction and badly decoded bytes become escapes such as
    ``\x1b`` and ``\u202e``.

    Args:
        text: Any text.
        lines: Whether it may have several lines: line feeds and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    if lines:
        return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in "\n\t" else _escaped(found), text)
    return _UNPRINTABLE.sub(_escaped, text)


def printable_json(document: str) -> str:
    """Return a JSON document with such characters, which only its texts can have, as JSON's own escapes."""
    if document.isascii():
        return document.replace("\x7f", "\\u007f")
    return _IN_JSON.sub(_escaped_for_json, document)


def unquoted(message: str) -> str:
    """Return a library's message without what it quotes, which may be the content of a file."""
    return _QUOTED.sub("(not shown)", message)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _escaped_for_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
