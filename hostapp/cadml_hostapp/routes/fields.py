"""The field types that bodies share. Neither this module nor a ``schemas`` imports the web framework."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from cadml_core.search.spaces import SpaceName

PartId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]*[^/\\\s\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*\Z",
        description="Id of a part: 1 to 200 characters, no slashes, no control characters, not blank.",
    ),
]
Text = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z")]
Wanted = Annotated[Text, Meta(description="Only parts that have exactly this.")]
Words = Annotated[
    Text,
    Meta(description="Only parts with all of these words in their names, path, facts, metadata or layers."),
]
PerCent = Annotated[
    float,
    Meta(ge=0, le=1000, description="Only parts whose sorted extents differ by at most so many per cent."),
]
Version = Annotated[Text, Meta(description="A feature version; the configured one where absent.")]
TopK = Annotated[int, Meta(ge=1, le=100, description="How many hits.")]
Score = Annotated[float, Meta(ge=0, le=1, description="From 0 to 1; 1 is identical.")]
Number = Annotated[float, Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]
"""A finite number."""
Values = Annotated[
    list[Number],
    Meta(min_length=1, max_length=100_000, description="Raw values, in the order of the slots."),
]
Space = Annotated[
    SpaceName, Meta(description="`scaled`: distance in the embedding; `cosine_raw`: angle of raw values.")
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body: an unknown field is refused with its name."""
