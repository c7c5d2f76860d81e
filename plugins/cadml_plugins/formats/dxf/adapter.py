"""DXF: drawings and models of AutoCAD R12 to 2018, ASCII and binary."""

from __future__ import annotations

import re
from pathlib import Path

from cadml_core import CadDocument, FormatAdapter, ReadLimits, UnreadableInput, hookimpl

HEAD_BYTES = 4096
_BINARY_MARK = b"AutoCAD Binary DXF\r\n\x1a\x00"
_DWG = re.compile(rb"(AC1[.0-9]|AC2\.|MC0\.)[.0-9]*\0")
_FIRST_TAGS = re.compile(rb"(?:^|[\r\n])[ \t]*0[ \t]*[\r\n]+[ \t]*(?:SECTION|EOF)[ \t]*(?:[\r\n]|$)")


class DxfAdapter:
    """Reads DXF through ezdxf; large ASCII files as a stream."""

    name = "dxf"
    version = "1"
    suffixes: tuple[str, ...] = (".dxf",)
    media_types: tuple[str, ...] = ("image/vnd.dxf", "image/x-dxf", "application/dxf", "application/x-dxf")
    preload: tuple[str, ...] = ("ezdxf", "ezdxf.recover", "cadml_plugins.formats.dxf._document")

    def sniff(self, head: bytes) -> bool:
        """Tell from the first 4 KiB whether the content may be DXF.

        A DWG is claimed too, so that ``read`` can say what it is and what to do.
        """
        if b"\0" in head:
            return head.startswith(_BINARY_MARK) or _DWG.match(head) is not None
        return _FIRST_TAGS.search(head[:HEAD_BYTES]) is not None

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read a file.

        Raises:
            MalformedFile: It is no DXF, is truncated, has a coordinate that is no number, or cannot
                be repaired; context has the line where it is known.
            UnsupportedContent: It is a DWG.
            LimitExceeded: More than ``max_entities``, ``max_triangles`` (facets of meshes) or
                ``max_block_depth``.
            UnreadableInput: The file cannot be opened or read.
        """
        from cadml_plugins.formats.dxf._document import read_document  # ezdxf takes a while to import

        try:
            return read_document(path, limits)
        except OSError as error:
            if isinstance(error, UnreadableInput):
                raise
            raise UnreadableInput(f"cannot read {path.name}: {error.strerror or error}") from error


@hookimpl
def cadml_format_adapters() -> list[FormatAdapter]:
    """Add DXF."""
    return [DxfAdapter()]
