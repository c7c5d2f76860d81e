"""STL: triangle meshes, binary and ASCII."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cadml_core import CadDocument, FormatAdapter, MalformedFile, ReadLimits, UnreadableInput, hookimpl
from cadml_plugins.formats.stl._ascii import AsciiFacets
from cadml_plugins.formats.stl._binary import BinaryFacets, check_layout, fits_exactly, looks_binary
from cadml_plugins.formats.stl._document import FacetDocument

HEAD_BYTES = 4096
MOST_LAYERS = 1000
"""Names of ASCII solids that are kept."""
_WARM_BYTES = 24 << 20
"""Freeing one block of this size, which is never touched, makes glibc keep freed memory for the next chunk
instead of returning it and clearing new pages for each array: reading takes half the time. Other C libraries
are not affected."""


class StlAdapter:
    """Reads STL with numpy alone, a chunk at a time."""

    name = "stl"
    version = "4"
    suffixes: tuple[str, ...] = (".stl", ".stla", ".stlb")
    media_types: tuple[str, ...] = ("model/stl", "model/x.stl-ascii", "model/x.stl-binary", "application/sla")

    def sniff(self, head: bytes) -> bool:
        """Tell from the first 4 KiB whether the content may be STL."""
        return _begins_as_ascii(head) or looks_binary(head)

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read a file.

        Raises:
            MalformedFile: A word, number, count or length that STL does not allow; context has the
                line (ASCII) and the byte position.
            LimitExceeded: More facets than ``max_triangles``, or no coarser mesh within the bound asked for.
            UnreadableInput: The file cannot be opened or read.
        """
        try:
            with path.open("rb") as file:
                return _read(file, limits)
        except OSError as error:
            raise UnreadableInput(f"cannot read {path.name}: {error.strerror or error}") from error


def _read(file: BinaryIO, limits: ReadLimits) -> CadDocument:
    np.empty(_WARM_BYTES, np.uint8)
    size = os.fstat(file.fileno()).st_size
    head = file.read(HEAD_BYTES)
    if not head:
        raise MalformedFile("the file is empty (0 bytes); it was probably never written", position=0)
    # The size decides first: many binary files have a header that begins with "solid".
    if not fits_exactly(head, size) and _begins_as_ascii(head):
        return _read_ascii(AsciiFacets(file, limits.max_triangles), limits)
    return _read_binary(file, head, size, limits)


def _begins_as_ascii(head: bytes) -> bool:
    """Tell whether the content is text that begins with ``solid``.

    Binary headers may begin so too, but the count after them, or the first normal, contains a zero byte.
    """
    if b"\0" in head:
        return False
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    while text.startswith(b"#"):
        text = text.partition(b"\n")[2].lstrip()
    return text[:5].lower() == b"solid" and (len(text) == 5 or text[5:6].isspace())


def _read_ascii(facets: AsciiFacets, limits: ReadLimits) -> CadDocument:
    document = FacetDocument(facets, limits)
    names = [name for name in dict.fromkeys(facets.names) if name][:MOST_LAYERS]
    return document.describe(
        layers=tuple(names),
        properties={"encoding": "ascii", "named_solids": len(facets.names)},
        warnings=facets.oddities,
    )


def _read_binary(file: BinaryIO, head: bytes, size: int, limits: ReadLimits) -> CadDocument:
    layout = check_layout(head, size, limits.max_triangles)
    facets = BinaryFacets(file, layout)
    document = FacetDocument(facets, limits)
    properties: dict[str, str | int | float | bool] = {"encoding": "binary"}
    if layout.title:
        properties["title"] = layout.title
    if facets.coloured:
        properties["coloured_facets"] = facets.coloured
        properties["colour_style"] = layout.colour_style
    warnings = [f"{layout.trailing:,} bytes after the last facet were ignored"] if layout.trailing else []
    return document.describe(layers=(), properties=properties, warnings=warnings)


@hookimpl
def cadml_format_adapters() -> list[FormatAdapter]:
    """Register the STL adapter."""
    return [StlAdapter()]
