"""From the facets of an STL to the CadDocument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np

from cadml_core import (
    CadDocument,
    LengthUnit,
    LimitExceeded,
    MeshRequest,
    ReadLimits,
    TriangleMesh,
)
from cadml_plugins.formats.mesh._closure import Closure
from cadml_plugins.formats.mesh._coarsening import coarsen
from cadml_plugins.formats.mesh._doubts import doubts, without_astray_shells
from cadml_plugins.formats.mesh._facet_error import with_errors
from cadml_plugins.formats.mesh._facets import Facets, vectors_of
from cadml_plugins.formats.mesh._invariants import mesh_invariants
from cadml_plugins.formats.mesh._measures import FacetMeasures
from cadml_plugins.formats.mesh._topology import MOST_FACETS, Topology, analyse
from cadml_plugins.formats.mesh._view import MeshView
from cadml_plugins.formats.mesh._welding import Corners, merge_near, weld
from cadml_plugins.formats.stl._unit import MILLIMETRE, unit_warning

_TOO_MANY = (
    "{:,} facets are more than the " + f"{MOST_FACETS:,}" + " whose edges are examined one by one: the mesh"
    " counts as one shell, and repeated facets are not detected"
)
_INWARDS = "the facets face inwards; the volume is given as if they faced outwards"
MOST_SHOWN = 60_000
"""Facets of a mesh that is drawn; of more, a coarser one is."""
_RELATIVE_TOLERANCE = 1e-6
"""Of the diagonal: corners that are closer are taken to be apart by rounding only, where a mesh is open."""


class _Examined(NamedTuple):
    """A mesh, as far as that is affordable or asked for."""

    mesh: TriangleMesh | None = None
    facets: Facets | None = None
    topology: Topology | None = None
    tolerance: float = 0.0
    """Within which corners were merged; 0 where only equal corners were."""


class FacetDocument:
    """Consumes the facets of a file, and describes them.

    The corners are kept only where something needs them: to examine edges, or to make a mesh.
    """

    def __init__(self, facets: Iterable[Corners], limits: ReadLimits) -> None:
        self._request = limits.mesh
        self._seen = limits.view
        self._stated = limits.unit
        self._measures = FacetMeasures()
        self._closure: Closure | None = None
        """Of meshes whose edges are not examined."""
        kept: list[Corners] = []
        for corners in facets:
            if not len(corners):
                continue
            self._measures.add(corners)
            if self._measures.facets <= MOST_FACETS:
                kept.append(corners)
                continue
            if self._closure is None:
                self._closure = Closure()
                for earlier in kept:
                    self._closure.add(earlier)
            self._closure.add(corners)
            if self._request or self._seen:
                kept.append(corners)
            else:
                kept.clear()
        self._corners: Corners = np.concatenate(kept) if kept else np.empty((0, 3, 3))

    def describe(
        self,
        *,
        layers: tuple[str, ...],
        properties: dict[str, str | int | float | bool],
        warnings: list[str],
    ) -> CadDocument:
        """Return the document; ``layers``, ``properties`` and ``warnings`` come from the text or the header.

        Raises:
            LimitExceeded: No coarser mesh has as few triangles as were asked for.
        """
        measures = self._measures
        if not measures.facets:
            return CadDocument(
                format="stl",
                layers=layers,
                properties=properties,
                warnings=(*warnings, "the file holds no facets"),
            )
        unit = self._stated or MILLIMETRE
        examined = self._examine()
        topology, tolerance = examined.topology, examined.tolerance * unit.millimetres
        mesh, mesh_warnings = _bounded(examined.mesh, self._request, unit)
        if tolerance:
            properties = {**properties, "welding_tolerance_mm": tolerance}
        closed = topology.closed if topology else self._closure is not None and self._closure.closed
        if topology and closed:
            measures = without_astray_shells(measures, self._corners, topology.shells)
        reasons = doubts(measures, topology, examined.mesh, closed=closed)
        mass = measures.mass(reliable=not reasons)
        facets = examined.facets
        document = CadDocument(
            format="stl",
            entity_counts=self._measures.orientations,
            surface_count=measures.facets,
            facet_count=measures.facets,
            solid_count=topology.shells.solids if topology else int(closed),
            shell_count=topology.quality.components if topology else 1,
            layers=layers,
            bounding_box=measures.bounding_box,
            area=measures.area,
            mass=mass,
            facet_quality=topology and facets and with_errors(topology, facets, measures),
            invariants=mesh_invariants(
                measures,
                facets,
                mass=mass,
                solids=topology.closed_components if topology else int(closed),
                vertices=topology.quality.vertices if topology else 0,
            ),
            properties=properties,
            mesh=mesh,
        )
        if self._stated:
            document = document.scaled(self._stated.millimetres)
        noticed = [
            *warnings,
            *([] if self._stated else [unit_warning(document)]),
            *_edge_warnings(topology, measures, tolerance),
            *([_INWARDS] if closed and measures.signed_volume < 0 else []),
            *reasons,
            *mesh_warnings,
        ]
        return msgspec.structs.replace(
            document,
            unit=self._stated and self._stated.name,
            warnings=tuple(noticed),
            view=self._view(examined.mesh, unit) if self._seen else None,
        )

    def _view(self, mesh: TriangleMesh | None, unit: LengthUnit) -> MeshView:
        """Return what can be drawn: the mesh that was examined, else the facets once they are wanted."""

        def make() -> TriangleMesh:
            found = mesh or TriangleMesh(*weld(self._corners))
            if len(found.triangles) > MOST_SHOWN:
                found, _ = coarsen(found, MOST_SHOWN)
            return TriangleMesh(found.vertices * unit.millimetres, found.triangles)

        return MeshView(make)

    def _examine(self) -> _Examined:
        """Weld and analyse."""
        measures = self._measures
        few = measures.facets <= MOST_FACETS
        if not few and self._request is None:
            return _Examined()
        vertices, triangles = weld(self._corners)
        if not few:
            return _Examined(TriangleMesh(vertices, triangles))
        facets = vectors_of(self._corners)
        topology = analyse(facets, triangles, len(vertices), measures.degenerate)
        if topology.closed:
            return _Examined(TriangleMesh(vertices, triangles), facets, topology)
        tolerance = _RELATIVE_TOLERANCE * measures.diagonal
        merged = merge_near(vertices, triangles, topology.loose, tolerance)
        if merged is None:
            return _Examined(TriangleMesh(vertices, triangles), facets, topology)
        vertices, triangles = merged
        topology = analyse(facets, triangles, len(vertices), measures.degenerate)
        return _Examined(TriangleMesh(vertices, triangles), facets, topology, tolerance)


def _edge_warnings(topology: Topology | None, measures: FacetMeasures, tolerance: float) -> list[str]:
    """Return what the edges show; ``tolerance`` in millimetres."""
    if topology is None:
        return [_TOO_MANY.format(measures.facets)]
    quality = topology.quality
    found = {
        "edges belong to only one facet": quality.boundary_edges,
        "edges belong to more than two facets": quality.non_manifold_edges,
        "facets have no area": quality.degenerate,
    }
    warnings = [f"{count:,} {what}" for what, count in found.items() if count]
    if tolerance:
        outcome = "closes the mesh" if topology.closed else "does not close the mesh"
        warnings.append(
            f"corners of neighbouring facets differ by rounding: merging those within {tolerance:.3g} mm"
            f" (a millionth of the diagonal) {outcome}"
        )
    return warnings


def _bounded(
    mesh: TriangleMesh | None, request: MeshRequest | None, unit: LengthUnit
) -> tuple[TriangleMesh | None, list[str]]:
    """Return the mesh with at most the triangles that were asked for; none where none was asked for."""
    if mesh is None or request is None:
        return None, []
    if len(mesh.triangles) <= request.max_triangles:
        return mesh, []
    coarse, moved = coarsen(mesh, request.max_triangles)
    if not len(coarse.triangles):
        raise LimitExceeded("mesh.max_triangles", found=len(mesh.triangles), allowed=request.max_triangles)
    return coarse, [
        f"the mesh was coarsened from {len(mesh.triangles):,} to {len(coarse.triangles):,} triangles;"
        f" vertices moved by up to {moved * unit.millimetres:.3g} mm"
    ]
