"""Invariants and feature list of a file, from its parts and their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cadml_core import MOST_BODIES, MOST_FEATURES, BodyInvariants, FeatureList, Invariants, chirality
from cadml_plugins.formats.kernel import _geometry, _nodes, _topology
from cadml_plugins.formats.kernel._features import Features, Found, FoundFace, part_features
from cadml_plugins.formats.kernel._mass import Mass, Placement, total_mass
from cadml_plugins.formats.kernel._nodes import Nodes
from cadml_plugins.formats.kernel._occt import Failure

Array = NDArray[np.float64]

MOST_FACES = 3_000
"""Distinct faces up to which features and handedness are worked out."""
MOST_FREE_FORM = 800
"""Edges of faces without a closed form, at up to half a millisecond each, up to which there are nodes."""
MOST_NODES = 500_000
"""Nodes of all placed bodies up to which the whole has a handedness."""


@dataclass(slots=True)
class Body:
    """A part of the file as the census measured it, at the origin."""

    found: Found
    placements: Sequence[Placement]
    solid: bool
    mass: Mass | None
    reference: tuple[float, float, float]
    reliable: bool
    features: Features | None = None
    nodes: Nodes | None = None

    def describe(self) -> None:
        """Work out features and nodes; each stays None where the kernel fails."""
        try:
            nodes = _face_nodes(self.found)
            self.features = part_features(self.found, self.reference, nodes)
            self.nodes = None if nodes is None else _nodes.joined(nodes)
        except Failure:
            return

    @property
    def outward(self) -> Mass | None:
        """The mass with a positive volume; None for what is no solid or encloses nothing."""
        if self.mass is None or not self.solid or not np.isfinite(self.mass.volume) or not self.mass.volume:
            return None
        return self.mass if self.mass.volume > 0.0 else self.mass.reversed()


def identity(bodies: Sequence[Body], *, reliable: bool) -> tuple[Invariants | None, FeatureList | None]:
    """Describe a file for the comparison with others.

    Args:
        bodies: Its parts.
        reliable: Whether nothing is known against its volume.

    Returns:
        The invariants, None where nothing encloses a volume, and the feature list, None where there are
        too many features or no centroid to list them about.
    """
    solids = [(body, mass) for body in bodies if (mass := body.outward) is not None]
    if not solids:
        return None, None
    whole = total_mass([mass.placed(place) for body, mass in solids for place in body.placements])
    if not np.isfinite([whole.volume, *whole.centroid, *whole.inertia.flat]).all():
        return None, None
    few = sum(len(body.found.faces) for body in bodies) <= MOST_FACES
    if few:
        for body in bodies:
            body.describe()
    listed = _feature_list(bodies, whole.centroid) if few else None
    rows = [_row(body, mass) for body, mass in solids] if len(solids) <= MOST_BODIES else []
    described = _whole(bodies, whole, rows, reliable=reliable)
    if not all(np.isfinite([row.area, row.volume, *row.moments]).all() for row in (described, *rows)):
        return None, None
    return Invariants(described, tuple(rows)), listed


def _row(body: Body, mass: Mass) -> BodyInvariants:
    return _invariants(body.found, body.nodes, mass, body.features, body.reliable, len(body.placements))


def _invariants(
    found: Found, nodes: Nodes | None, mass: Mass, features: Features | None, reliable: bool, count: int
) -> BodyInvariants:
    spread = _covariance(mass)
    numbers, error = _handedness(nodes, mass, spread)
    return BodyInvariants(
        volume=mass.volume,
        area=sum(face.area for face in found.faces),
        moments=_moments(spread),
        chirality=numbers,
        chirality_error=error,
        faces=len(found.faces),
        edges=features.edges if features else len(found.edges),
        vertices=features.vertices if features else 0,
        count=count,
        reliable=reliable,
    )


def _whole(
    bodies: Sequence[Body], mass: Mass, solids: Sequence[BodyInvariants], *, reliable: bool
) -> BodyInvariants:
    """Describe all bodies together; ``solids`` are the rows of those that enclose something."""
    rows = [
        _invariants(body.found, None, mass, body.features, body.reliable, len(body.placements))
        for body in bodies
    ]
    spread = _covariance(mass)
    if len(solids) == 1 and solids[0].count == sum(body.solid for body in bodies) == 1:
        # No motion changes them.
        numbers, error = solids[0].chirality, solids[0].chirality_error
    else:
        numbers, error = _handedness(_placed_nodes(bodies), mass, spread)
    return BodyInvariants(
        volume=mass.volume,
        area=sum(row.area * row.count for row in rows),
        moments=_moments(spread),
        chirality=numbers,
        chirality_error=error,
        faces=sum(row.faces * row.count for row in rows),
        edges=sum(row.edges * row.count for row in rows),
        vertices=sum(row.vertices * row.count for row in rows),
        count=sum(row.count for row, body in zip(rows, bodies, strict=True) if body.solid),
        reliable=reliable and all(row.reliable for row in rows),
    )


def _covariance(mass: Mass) -> Array:
    spread: Array = (np.trace(mass.inertia) / 2.0 * np.eye(3) - mass.inertia) / mass.volume
    return spread


def _moments(spread: Array) -> tuple[float, float, float]:
    low, middle, high = np.maximum(np.linalg.eigvalsh(spread), 0.0).tolist()
    return low, middle, high


def _handedness(nodes: Nodes | None, mass: Mass, spread: Array) -> tuple[tuple[float, ...] | None, float]:
    """Return the chirality numbers, and an error bound by how well the nodes give the volume."""
    if nodes is None or not len(nodes.areas):
        return None, 0.0
    heights = np.einsum("ij,ij->i", nodes.points - mass.centroid, nodes.normals)
    volume = float(heights @ nodes.areas) / 3.0
    normals = nodes.normals if volume > 0.0 else -nodes.normals
    error = abs(abs(volume) / mass.volume - 1.0)
    if error > 0.05:
        return None, 0.0
    return chirality(nodes.points, normals, nodes.areas, mass.centroid, spread), float(error)


def _face_nodes(found: Found) -> list[Nodes] | None:
    """Return nodes of each face; None where too many are free-form."""
    kinds = [_geometry.surface_kind(face.shape) for face in found.faces]
    edges = sum(
        len(_topology.explore(face.shape, _topology.EDGE))
        for face, kind in zip(found.faces, kinds, strict=True)
        if kind not in _geometry.ELEMENTARY
    )
    if edges > MOST_FREE_FORM or any(
        kind == "plane" and face.integral is None for face, kind in zip(found.faces, kinds, strict=True)
    ):
        return None
    return [
        _nodes.face_nodes(face.shape, kind, face.area, _plane_centre(face))
        for face, kind in zip(found.faces, kinds, strict=True)
    ]


def _plane_centre(face: FoundFace) -> Array:
    return np.zeros(3) if face.integral is None else _geometry.xyz(face.integral.CentreOfMass())


def _placed_nodes(bodies: Sequence[Body]) -> Nodes | None:
    solids = [body for body in bodies if body.solid]
    if any(body.nodes is None for body in solids):
        return None
    if sum(len(body.nodes.areas) * len(body.placements) for body in solids if body.nodes) > MOST_NODES:
        return None
    return _nodes.joined(
        [
            Nodes(_moved(body.nodes.points, place), body.nodes.normals @ place[:3, :3].T, body.nodes.areas)
            for body in solids
            if body.nodes is not None
            for place in body.placements
        ]
    )


def _moved(points: Array, place: Placement) -> Array:
    moved: Array = points @ place[:3, :3].T + place[:3, 3]
    return moved


def _feature_list(bodies: Sequence[Body], centre: Array) -> FeatureList | None:
    described = [(body, body.features) for body in bodies if body.features is not None]
    total = sum(len(features.kinds) * len(body.placements) for body, features in described)
    if len(described) < len(bodies) or not 0 < total <= MOST_FEATURES:
        return None
    numbers = (np.column_stack([item.points, item.sizes, item.tensors[:, 0, 0]]) for _, item in described)
    if not all(np.isfinite(columns).all() for columns in numbers):
        return None
    owners, points, tensors, centres = [], [], [], []
    sources: list[int] = []
    solids = [body for body, _ in described if body.outward is not None]
    for body, features in described:
        mass = body.outward
        for place in body.placements:
            owner = -1
            if mass is not None:
                owner = len(sources)
                sources.append(next(row for row, solid in enumerate(solids) if solid is body))
                centres.append(_moved(mass.centroid[None], place)[0] - centre)
            owners.append(np.full(len(features.kinds), owner, np.int32))
            points.append(_moved(features.points, place) - centre)
            tensors.append(place[:3, :3] @ features.tensors @ place[:3, :3].T)
    repeats = [(features, len(body.placements)) for body, features in described]
    tensor = np.concatenate(tensors)
    traces = np.maximum(np.trace(tensor, axis1=1, axis2=2), 0.0)
    x, y, z = centre.tolist()
    return FeatureList(
        kinds=np.concatenate([np.tile(features.kinds, times) for features, times in repeats]),
        bodies=np.concatenate(owners),
        points=np.concatenate(points),
        sizes=np.concatenate([np.tile(features.sizes, times) for features, times in repeats]),
        radii=np.concatenate([np.tile(features.radii, times) for features, times in repeats]),
        spreads=np.sqrt(traces),
        tensors=_six(tensor / np.where(traces > 0.0, traces, 1.0)[:, None, None]),
        origin=(x, y, z),
        sources=np.array(sources, np.int32),
        centres=np.array(centres, np.float64).reshape(-1, 3),
    )


def _six(tensors: Array) -> Array:
    rows, columns = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]
    six: Array = tensors[:, rows, columns]
    return six
