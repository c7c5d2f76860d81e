"""DXF: drawings and models of AutoCAD R12 to 2018, ASCII and binary."""

from __future__ import annotations

from pathlib import Path

from cadml_core import CadDocument, FormatAdapter, ReadLimits, UnreadableInput, hookimpl
from cadml_plugins.formats.dxf._signature import begins_as_dwg, begins_as_dxf


class DxfAdapter:
    """Reads DXF through ezdxf; large files as a stream."""

    name = "dxf"
    version = "3"
    suffixes: tuple[str, ...] = (".dxf",)
    media_types: tuple[str, ...] = ("image/vnd.dxf", "image/x-dxf", "application/dxf", "application/x-dxf")
    preload: tuple[str, ...] = ("ezdxf", "ezdxf.recover", "cadml_plugins.formats.dxf._document")

    def sniff(self, head: bytes) -> bool:
        """Tell from the first 4 KiB whether the content may be DXF.

        A DWG is claimed too, so that ``read`` can say what it is and what to do.
        """
        return begins_as_dxf(head) or begins_as_dwg(head)

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read a file.

        Raises:
            MalformedFile: It is not a DXF, is truncated, has a coordinate that is not a number, or cannot
                be repaired; context has the line where it is known.
            UnsupportedContent: It is a DWG.
            LimitExceeded: More than ``max_entities``, ``max_triangles`` (facets of meshes) or
                ``max_block_depth``, or more triangles than the mesh may have.
            UnreadableInput: The file cannot be opened or read.
        """
        from cadml_plugins.formats.dxf._document import read_document  # ezdxf takes a fifth of a second

        try:
            return read_document(path, limits)
        except OSError as error:
            if isinstance(error, UnreadableInput):
                raise
            raise UnreadableInput(f"cannot read {path.name}: {error.strerror or error}") from error


@hookimpl
def cadml_format_adapters() -> list[FormatAdapter]:
    """Register the DXF adapter."""
    return [DxfAdapter()]
