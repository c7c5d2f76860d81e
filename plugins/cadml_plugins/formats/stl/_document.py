"""From the facets of an STL to the CadDocument."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cadml_core import CadDocument, LimitExceeded, MeshRequest, ReadLimits, TriangleMesh
from cadml_plugins.formats.mesh._coarsening import coarsen
from cadml_plugins.formats.mesh._invariants import mesh_invariants
from cadml_plugins.formats.mesh._measures import FacetMeasures
from cadml_plugins.formats.mesh._topology import MOST_FACETS, Topology, analyse
from cadml_plugins.formats.mesh._welding import Corners, weld

_TOO_MANY = (
    "{:,} facets are more than the " + f"{MOST_FACETS:,}" + " whose edges are examined one by one: the mesh"
    " counts as one shell, and repeated facets are not detected"
)
_UNIT_WARNING = "STL states no unit; millimetres are assumed"


class FacetDocument:
    """Consumes the facets of a file, and describes them.

    The corners are kept only where something needs them: to examine edges, or to make a mesh.
    """

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
        topology, mesh = self._examine()
        mesh, mesh_warnings = _bounded(mesh, self._request)
        # A facet that is there twice closes the sums as well, but encloses its volume twice.
        trusted = measures.closed and not (topology and topology.quality.duplicate)
        return CadDocument(
            format="stl",
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
            invariants=mesh_invariants(
                measures,
                self._corners if topology else self._corners[:0],
                solids=topology.closed_components if topology else int(measures.closed),
                vertices=topology.quality.vertices if topology else 0,
                reliable=trusted,
            ),
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
        "edges belong to only one facet": quality.boundary_edges,
        "edges belong to more than two facets": quality.non_manifold_edges,
        "facets have no area": quality.degenerate,
        "facets repeat an earlier one, so the volume is not reliable": quality.duplicate,
    }
    return [f"{count:,} {what}" for what, count in found.items() if count]


def _bounded(mesh: TriangleMesh | None, request: MeshRequest | None) -> tuple[TriangleMesh | None, list[str]]:
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
        f" vertices moved by up to {moved:.3g} mm"
    ]
