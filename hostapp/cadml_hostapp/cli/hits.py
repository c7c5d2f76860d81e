"""How parts and hits look on a terminal: two lines each, which fit into its width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cadml_hostapp.cli.console import escape, out

if TYPE_CHECKING:
    from cadml_core.catalog.records import Part
    from cadml_core.search.questions import Hit

_SHOWN_SLOTS = 3
_INDENT = " " * 12
_LEAST_NAME, _LEAST_LABEL = 8, 4


def print_part(part: Part) -> None:
    """Print a part."""
    first, second = two_lines("", part.id, part.name, part.format, part.label, part.path, width=_width())
    out.print(f"{escape(first)}\n[dim]{escape(second)}[/]" if second else escape(first))


def print_hit(rank: int, hit: Hit) -> None:
    """Print a hit; where it is explained, with a line that says why."""
    lead = f"{rank:3}  {hit.score:.3f}"
    first, second = two_lines(lead, hit.id, hit.name, hit.format, hit.label, hit.path, width=_width())
    out.print(escape(first) + (f"\n[dim]{escape(second)}[/]" if second else ""))
    if hit.explanation is not None:
        out.print(f"{_INDENT}{escape(_why(hit))}")


def two_lines(
    lead: str,
    part_id: str,
    name: str,
    form: str | None,
    label: str | None,
    path: str | None,
    *,
    width: int | None,
) -> tuple[str, str]:
    """Return a part as two lines: what it is and its short id, and below where its file is.

    Args:
        lead: What the first line begins with.
        part_id: Its id.
        name: Its name.
        form: Its format.
        label: Its label.
        path: Where its file is; where None, the second line is empty.
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
    second = (
        "" if not path else _INDENT + _beginning_cut(path, None if width is None else width - len(_INDENT))
    )
    return f"{first}{' ' * gap}{told}", second


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
