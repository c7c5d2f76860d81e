"""How parts and hits look on a terminal: two lines each, which fit into its width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cadml_hostapp.cli.console import escape, out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cadml_core.catalog.records import Part
    from cadml_core.search.questions import Hit
    from cadml_core.search.ranking import BlockShare

_SHOWN_SLOTS = 3
_INDENT = " " * 12
_LEAST_NAME, _LEAST_LABEL, _LEAST_PATH = 8, 4, 12


def print_part(part: Part) -> None:
    """Print a part."""
    first, second = two_lines("", part.id, part.name, part.format, part.label, part.path, width=_width())
    out.print(f"{escape(first)}\n[dim]{escape(second)}[/]" if second else escape(first))


def print_hit(rank: int, hit: Hit) -> None:
    """Print a hit; where it is explained, with a line that says why."""
    lead = f"{rank:3}  {hit.score:.3f}"
    words = getattr(hit, "words", "")
    first, second = two_lines(
        lead, hit.id, hit.name, hit.format, hit.label, hit.path, words=words, width=_width()
    )
    out.print(escape(first) + (f"\n[dim]{escape(second)}[/]" if second else ""))
    if blocks := getattr(hit, "blocks", None):
        out.print(f"{_INDENT}{escape(_which_blocks(blocks))}")
    elif hit.explanation is not None:
        out.print(f"{_INDENT}{escape(_why(hit))}")


def two_lines(
    lead: str,
    part_id: str,
    name: str,
    form: str | None,
    label: str | None,
    path: str | None,
    *,
    words: str = "",
    width: int | None,
) -> tuple[str, str]:
    """Return a part as two lines: its name and short id, and below what it is and where its file is.

    Args:
        lead: What the first line begins with.
        part_id: Its id.
        name: Its name.
        form: Its format.
        label: Its label.
        path: Where its file is; None where it has none.
        words: What it is to the query; a path that finds too little room beside it is left out.
        width: Columns to fit into, about 50 at least; None for as many as it takes. Names and labels lose
            their middle, a path its beginning.
    """
    from cadml_core.catalog.lookup import short_id

    facts = ["" if form is None else form, short_id(part_id)]
    if label:
        taken = len(_INDENT) + _LEAST_NAME + sum(len(fact) + 2 for fact in facts) + 2
        facts.insert(1, _middle_cut(label, None if width is None else max(_LEAST_LABEL, width - taken)))
    told = "  ".join(filter(None, facts))
    room = None if width is None else max(_LEAST_NAME, width - len(_INDENT) - len(told) - 2)
    first = f"{lead:<{len(_INDENT)}}{_middle_cut(name, room)}"
    gap = 2 if width is None else max(2, width - len(first) - len(told))
    return f"{first}{' ' * gap}{told}", _second(
        words, path or "", None if width is None else width - len(_INDENT)
    )


def _second(words: str, path: str, room: int | None) -> str:
    """Return words and path in so many columns."""
    words = _middle_cut(words, room)
    left = None if room is None else room - len(words) - (2 if words else 0)
    if left is not None and left < min(_LEAST_PATH, len(path)):
        path = ""
    told = "  ".join(filter(None, [words, _beginning_cut(path, left)]))
    return _INDENT + told if told else ""


def _width() -> int | None:
    """The width of the terminal; None where the output goes elsewhere, so that nothing is cut from it."""
    return out.console.width if out.console.is_terminal else None


def _middle_cut(text: str, room: int | None) -> str:
    if room is None or len(text) <= room:
        return text
    kept = room - 1
    return f"{text[: kept - kept // 2]}…{text[-(kept // 2) :]}"


def _beginning_cut(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"…{text[1 - room :]}"


def _why(hit: Hit) -> str:
    largest = sorted(hit.explanation or (), key=lambda item: -item.share)[:_SHOWN_SLOTS]
    told = [
        f"{item.slot} {item.query:.4g} / {item.hit:.4g} ({item.share:.0%})"
        for item in largest
        if item.share > 0
    ]
    return "differs in " + ", ".join(told) if told else "no difference in what this version measures"


def _which_blocks(blocks: Sequence[BlockShare]) -> str:
    largest = sorted(blocks, key=lambda item: -item.share)[:_SHOWN_SLOTS]
    told = [f"{item.block} ({item.share:.0%})" for item in largest if item.share > 0]
    return "shape differs in " + ", ".join(told) if told else "no difference in shape"
