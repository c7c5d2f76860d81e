"""Picture makers: draw the files of one format."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import msgspec

from cadml_core.documents.document import CadDocument
from cadml_core.documents.drawn import Picture

Axes = Literal["own", "file"]
"""Those of the part itself, which follow it when it is turned, or those of its file."""
ANY_FORMAT = "any"
"""The name of the maker that draws the formats without one of their own."""


class PictureRequest(msgspec.Struct, frozen=True):
    """How a picture is wanted."""

    axes: Axes = "own"
    width: int = 256
    """Pixels; of an SVG the unit is free, and the ratio counts."""
    height: int = 192
    max_bytes: int = 20_000
    """What a picture should stay within, by showing less; one above 64 KiB is refused."""


@runtime_checkable
class PictureMaker(Protocol):
    """Draws the files of one format, in the reader process, right after a file was read.

    It is sent to the reader processes by pickle, so its class must be importable.
    """

    name: str
    """Of the format adapter whose documents it draws; ``any``: those of every format without its own."""
    version: str
    """Of the picture: with another one, pictures are drawn again."""

    def draw(self, document: CadDocument, request: PictureRequest) -> Picture:
        """Draw a document, whose ``view`` has what can be drawn. The same document gives the same bytes.

        Of an SVG only shapes and paint are accepted: ``svg``, ``g``, ``path``, ``polyline``, ``polygon``,
        ``line``, ``rect`` and ``circle`` with presentation attributes.

        Raises:
            UnsupportedContent: There is nothing to draw; the message says why.
        """
