"""Pictures and models of files: what they are, and which are safe to keep and to serve."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

DrawingKind = Literal["own", "file", "model"]
"""A picture along the part's own axes or the file's, or a model in three dimensions."""
SVG = "image/svg+xml"
"""Media type of pictures made of lines."""
PNG = "image/png"
"""Media type of pictures made of pixels."""
GLB = "model/gltf-binary"
MOST_BYTES = {"own": 64 * 1024, "file": 64 * 1024, "model": 8 * 1024**2}
"""Of one picture or model; a larger one is not kept."""

_ATTRIBUTE = (
    r' (?:xmlns="http://www\.w3\.org/2000/svg"|(?:viewBox|d|fill|fill-rule|stroke|stroke-width|stroke-linecap'
    r'|stroke-linejoin|opacity|points|x|y|x1|y1|x2|y2|cx|cy|r|width|height|transform)="[\w\s.,#()%-]*")'
)
_ELEMENT = rf"<(?:g|path|polyline|polygon|line|rect|circle)(?:{_ATTRIBUTE})*/?>"
_SAFE = re.compile(rf"<svg(?:{_ATTRIBUTE})*>(?:{_ELEMENT}|</g>|\s)*</svg>\s*", re.ASCII)
_MAGIC = {PNG: b"\x89PNG\r\n\x1a\n", GLB: b"glTF\x02\0\0\0"}


class Picture(msgspec.Struct, frozen=True):
    """What a picture maker has drawn."""

    media_type: str
    """``image/svg+xml`` or ``image/png``."""
    data: bytes


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A picture or model of a content, or why there is none."""

    kind: DrawingKind
    maker: str
    """Name and version of what has drawn it."""
    media_type: str = ""
    data: bytes = b""
    """Empty where nothing could be drawn."""
    failure: str = ""
    """Why there is none."""


def refusal(drawn: Drawn) -> str | None:
    """Say why a picture or model must not be kept; None where it may be.

    An SVG may hold shapes and how they are painted, no text, no style, no script and no address: so it is
    harmless wherever it is shown, whoever has drawn it.
    """
    if not drawn.data:
        return None if drawn.failure else "it is empty"
    if len(drawn.data) > MOST_BYTES[drawn.kind]:
        return f"it has {len(drawn.data):,} bytes; allowed are {MOST_BYTES[drawn.kind]:,}"
    if drawn.media_type not in ((GLB,) if drawn.kind == "model" else (SVG, PNG)):
        return f"it is of the type {drawn.media_type[:40]!r}"
    if drawn.media_type == SVG:
        safe = drawn.data.isascii() and _SAFE.fullmatch(drawn.data.decode("ascii"))
        return None if safe else "it has other elements or attributes than shapes and their paint"
    return None if drawn.data.startswith(_MAGIC[drawn.media_type]) else "its content is of another type"
