"""Why the volume that facets enclose may be wrong."""

from __future__ import annotations

from cadml_core import TriangleMesh
from cadml_plugins.formats.mesh._hull import hull_volume
from cadml_plugins.formats.mesh._measures import FacetMeasures
from cadml_plugins.formats.mesh._shells import Shells
from cadml_plugins.formats.mesh._topology import Topology
from cadml_plugins.formats.mesh._welding import Corners

_HULL_ERROR = 0.05
"""How much too small ``hull_volume`` may be, and more, so that no good volume is doubted."""


def without_astray_shells(measures: FacetMeasures, corners: Corners, shells: Shells) -> FacetMeasures:
    """Return the measures as if every shell that is inside out faced outwards.

    Two bodies that face opposite ways would cancel each other.
    """
    if not shells.inside_out:
        return measures
    turned = corners.copy()
    turned[shells.astray] = corners[shells.astray][:, ::-1]
    result = FacetMeasures()
    result.add(turned)
    return result


def doubts(
    measures: FacetMeasures, topology: Topology | None, mesh: TriangleMesh | None, *, closed: bool
) -> list[str]:
    """Return a sentence for each reason why the volume is not reliable; none where it is.

    Args:
        measures: Of the facets, shells turned that are inside out.
        topology: None where there are too many facets.
        mesh: The welded vertices; None likewise.
        closed: Whether the facets enclose their volume.
    """
    found = []
    if topology and topology.quality.duplicate:
        # A facet that is there twice closes the sums as well, but encloses its volume twice.
        count = topology.quality.duplicate
        found.append(f"{count:,} facets repeat an earlier one, so the volume is not reliable")
    if not closed:
        return [*found, "the mesh is not closed and consistently oriented; its volume is only formal"]
    if topology and topology.shells.inside_out:
        found.append(
            f"{topology.shells.inside_out:,} of {topology.quality.components:,} shells face the other way and"
            " lie in no other, so they are no cavities; the volume counts them as if they were right, and is"
            " not reliable"
        )
    return found + (_impossible(measures, topology, mesh) if measures.encloses_volume() else [])


def _impossible(measures: FacetMeasures, topology: Topology | None, mesh: TriangleMesh | None) -> list[str]:
    """Return why no solid has such a volume."""
    if measures.exceeds_box():
        return ["the volume is larger than the bounding box: surfaces overlap, so it is not reliable"]
    if not measures.has_centroid_inside():
        return ["the centroid is outside of the bounding box: surfaces cancel, so the volume is not reliable"]
    # Only several solids, or one that touches itself, can overlap.
    if topology and mesh and (topology.shells.overlapping or topology.quality.non_manifold_edges):
        hull = (1.0 + _HULL_ERROR) * hull_volume(mesh.vertices)
        if abs(measures.signed_volume) > hull:
            return ["the volume is larger than the convex hull: solids overlap, so it is not reliable"]
    return []
