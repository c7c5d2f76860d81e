"""Path and query parameters that several routes take, as Litestar checks and documents them."""

from __future__ import annotations

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

PageSize = Annotated[int, QueryParameter(ge=1, le=1000, description="Most items of one page.")]
Cursor = Annotated[
    str | None, QueryParameter(pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the page before.")
]
QueryText = Annotated[
    str | None,
    QueryParameter(max_length=1000, pattern=r"^[^\x00]*$", description="Only what has exactly this."),
]
QueryVersion = Annotated[
    str | None,
    QueryParameter(
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="A feature version; the configured one where absent.",
    ),
]
KnownIdQuery = Annotated[
    str, QueryParameter(max_length=1000, pattern=r"^[^\x00]+$", description="Id of a part.")
]
KnownId = Annotated[str, PathParameter(max_length=1000, pattern=r"^[^\x00]+$", description="Id of a part.")]


def row_after(cursor: str | None) -> int:
    """Return the row number after which the page of a cursor begins."""
    return 0 if cursor is None else int(cursor)
