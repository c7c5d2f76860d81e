"""Find the part that a person means: by id, by the beginning of an id, or by path."""

from __future__ import annotations

from cadml_core.catalog.paths import path_to_text
from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog
from cadml_core.errors import InvalidInput, NotFound

SHORT_ID = 8
"""Characters of an id that are shown where there is little room."""
_FEWEST = 4
_NAMED = 5


def part_meant(catalog: Catalog, text: str) -> Part:
    """Return the part whose id this is, or begins with this, or whose file is at this path.

    Raises:
        NotFound: There is none.
        InvalidInput: Several ids begin like that.
    """
    if exact := catalog.parts_by_id([text]):
        return exact[text]
    begun = _ids_beginning(catalog, text) if len(text) >= _FEWEST else []
    if len(begun) == 1:
        return catalog.part(begun[0])
    if begun:
        shown = ", ".join(begun[:_NAMED]) + (" and more" if len(begun) > _NAMED else "")
        raise InvalidInput(f"several ids begin with {text!r}: {shown}; give more of it", stage="catalogue")
    path = path_to_text(text)
    if found := catalog.parts_by_path([path]):
        return found[path]
    raise NotFound(
        f"{text!r} is neither the id of a part nor the path of its file; `cadml parts list` shows the parts",
        stage="catalogue",
        id=text,
    )


def _ids_beginning(catalog: Catalog, text: str) -> list[str]:
    """Return ids that begin with this text, one more than are named."""
    query = "SELECT id FROM parts WHERE substr(id, 1, ?) = ? ORDER BY id LIMIT ?"
    found = catalog.database.fetch(query, (len(text), text, _NAMED + 1))
    return [part_id for (part_id,) in found]


def short_id(part_id: str) -> str:
    """Return as much of an id as people need to read; commands take the beginning of an id."""
    return part_id if len(part_id) <= SHORT_ID + 4 else part_id[:SHORT_ID]
