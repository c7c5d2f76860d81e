"""STL: triangle meshes, binary and ASCII."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cadml_core import (
    CadDocument,
    FormatAdapter,
    LimitExceeded,
    MalformedFile,
    MeshRequest,
    ReadLimits,
    TriangleMesh,
    UnreadableInput,
    hookimpl,
)
from cadml_plugins.formats.mesh._coarsening import coarsen
from cadml_plugins.formats.mesh._measures import FacetMeasures
from cadml_plugins.formats.mesh._topology import MOST_FACETS, Corners, Topology, analyse, weld
from cadml_plugins.formats.stl._ascii import AsciiFacets
from cadml_plugins.formats.stl._binary import BinaryFacets, check_layout, fits_exactly, looks_binary

HEAD_BYTES = 4096
MOST_LAYERS = 1000
_WARM_BYTES = 24 << 20
"""Freeing one block of this size, which is never touched, makes the C library keep freed memory for
the next step instead of returning it and clearing new pages for each array: reading takes half the
time. Elsewhere than on glibc it does nothing."""
_TOO_MANY = (
    "{:,} facets are more than the " + f"{MOST_FACETS:,}" + " whose edges are examined one by one: the mesh"
    " counts as one shell, and repeated facets go unnoticed"
)
_UNIT_WARNING = "STL states no unit; millimetres are assumed"


class StlAdapter:
    """Reads STL with numpy alone, a chunk at a time."""

    name = "stl"
    version = "1"
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
            LimitExceeded: More facets than ``max_triangles``.
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
    if not fits_exactly(head, size) and _begins_as_ascii(head):
        return _read_ascii(AsciiFacets(file, limits.max_triangles), limits)
    return _read_binary(file, head, size, limits)


def _begins_as_ascii(head: bytes) -> bool:
    """Tell whether the content is text that begins with ``solid``; binary headers may do so too, but
    the count after them, or the first normal, holds a zero byte."""
    if b"\0" in head:
        return False
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    while text.startswith(b"#"):
        text = text.partition(b"\n")[2].lstrip()
    return text[:5].lower() == b"solid" and (len(text) == 5 or text[5:6].isspace())


def _read_ascii(facets: AsciiFacets, limits: ReadLimits) -> CadDocument:
    mesh = _Mesh(facets, limits)
    names = [name for name in dict.fromkeys(facets.names) if name][:MOST_LAYERS]
    return mesh.document(
        layers=tuple(names),
        properties={"encoding": "ascii", "named_solids": len(facets.names)},
        warnings=facets.oddities,
    )


def _read_binary(file: BinaryIO, head: bytes, size: int, limits: ReadLimits) -> CadDocument:
    layout = check_layout(head, size, limits.max_triangles)
    facets = BinaryFacets(file, layout)
    mesh = _Mesh(facets, limits)
    properties: dict[str, str | int | float | bool] = {"encoding": "binary"}
    if layout.title:
        properties["title"] = layout.title
    if facets.coloured:
        properties["coloured_facets"] = facets.coloured
        properties["colour_style"] = layout.colour_style
    warnings = [f"{layout.trailing:,} bytes after the last facet were passed over"] if layout.trailing else []
    return mesh.document(layers=(), properties=properties, warnings=warnings)


class _Mesh:
    """The measures of all facets, and the corners as long as something needs them."""

    def __init__(self, facets: Iterable[Corners], limits: ReadLimits) -> None:
        self._request = limits.mesh
        self._measures = FacetMeasures()
        kept: list[Corners] = []
        for corners in facets:
            if not len(corners):
                continue
            self._measures.add(corners)
            if self._request or self._measures.facets <= MOST_FACETS:
                kept.append(corners)
            else:
                kept.clear()
        self._corners: Corners = np.concatenate(kept) if kept else np.empty((0, 3, 3))

    def document(
        self,
        *,
        layers: tuple[str, ...],
        properties: dict[str, str | int | float | bool],
        warnings: list[str],
    ) -> CadDocument:
        measures = self._measures
        if not measures.facets:
            return CadDocument(
                format=StlAdapter.name,
                layers=layers,
                properties=properties,
                warnings=(*warnings, "the file holds no facets"),
            )
        topology, mesh = self._examine()
        mesh, mesh_warnings = _bounded(mesh, self._request)
        trusted = measures.closed and not (topology and topology.quality.duplicate)
        return CadDocument(
            format=StlAdapter.name,
            entity_counts=measures.orientations,
            surface_count=measures.facets,
            facet_count=measures.facets,
            solid_count=topology.closed_components if topology else int(measures.closed),
            shell_count=topology.quality.components if topology else 1,
            layers=layers,
            bounding_box=measures.bounding_box,
            area=measures.area,
            mass=measures.mass(reliable=trusted),
            facet_quality=topology.quality if topology else None,
            properties=properties,
            warnings=(*warnings, _UNIT_WARNING, *_quality_warnings(topology, measures), *mesh_warnings),
            mesh=mesh,
        )

    def _examine(self) -> tuple[Topology | None, TriangleMesh | None]:
        """Weld and analyse, as far as that is affordable or asked for."""
        few = self._measures.facets <= MOST_FACETS
        if not few and self._request is None:
            return None, None
        vertices, triangles = weld(self._corners)
        mesh = TriangleMesh(vertices, triangles)
        if not few:
            return None, mesh
        return analyse(self._corners, triangles, len(vertices), self._measures.degenerate), mesh


def _quality_warnings(topology: Topology | None, measures: FacetMeasures) -> list[str]:
    warnings = _edge_warnings(topology) if topology else [_TOO_MANY.format(measures.facets)]
    if not measures.closed:
        warnings.append("the mesh is not closed and consistently oriented; its volume is only formal")
    elif measures.signed_volume < 0:
        warnings.append("the facets face inwards; the volume is given as if they faced outwards")
    return warnings


def _edge_warnings(topology: Topology) -> list[str]:
    quality = topology.quality
    found = {
        "edges belong to one facet only": quality.boundary_edges,
        "edges belong to more than two facets": quality.non_manifold_edges,
        "facets have no area": quality.degenerate,
        "facets repeat an earlier one, so that the volume is not to be trusted": quality.duplicate,
    }
    return [f"{count:,} {what}" for what, count in found.items() if count]


def _bounded(mesh: TriangleMesh | None, request: MeshRequest | None) -> tuple[TriangleMesh | None, list[str]]:
    if mesh is None or request is None:
        return None, []
    if len(mesh.triangles) <= request.max_triangles:
        return mesh, []
    coarse, moved = coarsen(mesh, request.max_triangles)
    if not len(coarse.triangles):
        raise LimitExceeded("mesh.max_triangles", found=len(mesh.triangles), allowed=request.max_triangles)
    return coarse, [
        f"the mesh was coarsened from {len(mesh.triangles):,} to {len(coarse.triangles):,} triangles;"
        f" vertices moved by up to {moved:.3g} mm"
    ]


@hookimpl
def cadml_format_adapters() -> list[FormatAdapter]:
    """Add STL."""
    return [StlAdapter()]
