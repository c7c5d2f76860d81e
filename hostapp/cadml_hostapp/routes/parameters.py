"""Path and query parameters that several routes take, as Litestar checks and documents them."""

from __future__ import annotations

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from cadml_core.contracts.features import FeatureVersion
from cadml_core.runtime import Runtime

PageSize = Annotated[int, QueryParameter(ge=1, le=1000, description="Most items of one page.")]
Cursor = Annotated[
    str | None, QueryParameter(pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the page before.")
]
QueryText = Annotated[
    str | None,
    QueryParameter(max_length=1000, pattern=r"^[^\x00]*$", description="Only what has exactly this."),
]
QueryWords = Annotated[
    str | None,
    QueryParameter(
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="Only parts with all of these words in their names, path, facts, metadata or layers.",
    ),
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


def feature_named(runtime: Runtime, version: str | None, *, stage: str) -> FeatureVersion:
    """Return the feature version that a request names, the configured one where it names none.

    Raises:
        NotFound: There is none of that name.
    """
    return runtime.feature if version is None else runtime.registry.features.named(version, stage=stage)
