"""Which part of a group is proposed to be kept: that which somebody chose, else by rules that are stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cadml_core.catalog.records import Part
from cadml_core.duplicates.decisions import Lead

RULES = (
    "a part that somebody chose",
    "surfaces (STEP, IGES) before facets (STL)",
    "a part in the preferred folder, where one is named",
    "more facts (material, project, label, metadata)",
    "the part that was added first",
)
"""In this order; each decides where those before it do not."""


def lead_of(
    parts: Sequence[Part], exact: set[str], chosen: Mapping[str, Lead], *, prefer: str | None = None
) -> Part:
    """Return the part to keep of one or more.

    Args:
        parts: Those of a group.
        exact: sha256 of contents with surfaces.
        chosen: Whom people chose, by content.
        prefer: A folder.
    """
    latest = max(
        (chosen[part.sha256].at for part in parts if part.sha256 and part.sha256 in chosen), default=None
    )

    def place(part: Part) -> tuple[object, ...]:
        lead = chosen.get(part.sha256 or "")
        wanted = lead is not None and lead.at == latest
        return (
            not wanted,
            not (wanted and lead is not None and lead.part == part.id),
            part.sha256 not in exact,
            not _below(part.path, prefer),
            -_facts(part),
            part.row,
        )

    return min(parts, key=place)


def _below(path: str | None, folder: str | None) -> bool:
    if path is None or folder is None:
        return False
    return path.startswith(folder.rstrip("/\\") + ("\\" if "\\" in folder else "/"))


def _facts(part: Part) -> int:
    given = (part.material, part.project, part.label, *part.meta.values())
    return sum(value not in (None, "") for value in given)
