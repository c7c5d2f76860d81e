"""The features of a boundary representation by which parts are compared: faces, edges, vertices in place."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
from numpy.typing import NDArray

MOST_FEATURES = 8_000
"""A file with more features has no list, so that congruence with it stays undecided."""

VERTEX = 0
"""The code of a vertex among the kinds of features."""
FACES = (
    *("plane", "cylinder", "cone", "sphere", "torus", "bezier", "bspline"),
    *("revolution", "extrusion", "offset", "other"),
)
EDGES = ("line", "circle", "ellipse", "hyperbola", "parabola", "bezier", "bspline", "offset", "other")
FACE_CODES = {name: code for code, name in enumerate(FACES, 1)}
"""The code of a face among the kinds of features, by the name of its surface."""
EDGE_CODES = {name: code for code, name in enumerate(EDGES, 32)}
"""The code of an edge among the kinds of features, by the name of its curve."""
FIRST_EDGE = 32
"""Codes below it are vertices and faces."""

_LEVELS = 2**24
"""Places are stored as whole numbers of so many steps over the largest: six times 1e-8 of the part's size."""
_VERSION = 1


class FeatureList(msgspec.Struct, frozen=True, eq=False):
    """Every face, edge and vertex of a file, n in all, with what a rigid motion does to it.

    Seams of closed surfaces and the ends of closed edges have no defined place and are left out.
    """

    kinds: NDArray[np.uint8]
    """(n,): ``VERTEX``, a code of ``FACE_CODES`` or one of ``EDGE_CODES``."""
    bodies: NDArray[np.int32]
    """(n,): the placed body it belongs to, -1 for loose surfaces and curves."""
    points: NDArray[np.float64]
    """(n, 3): centroids, in mm about ``origin``."""
    sizes: NDArray[np.float64]
    """(n,): square root of a face's area, length of an edge, in mm; 0 for a vertex."""
    radii: NDArray[np.float64]
    """(n,): of a cylinder, sphere, circle or of a torus's tube, in mm; negative where material is outside,
    as in a hole; 0 where there is none."""
    spreads: NDArray[np.float64]
    """(n,): root of the trace of the covariance of a curved face or closed edge, in mm; else 0."""
    tensors: NDArray[np.float64]
    """(n, 6): that covariance over its trace, as xx, yy, zz, yz, xz, xy; else 0."""
    origin: tuple[float, float, float]
    """In mm: the centroid of the whole."""
    sources: NDArray[np.int32]
    """(b,): for each placed body its row among the distinct bodies of the invariants."""
    centres: NDArray[np.float64]
    """(b, 3): centroids of the placed bodies, in mm about ``origin``."""

    def __len__(self) -> int:
        return len(self.kinds)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FeatureList):
            return NotImplemented
        names = self.__struct_fields__
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        return hash((len(self.kinds), self.origin))

    def scaled(self, factor: float) -> FeatureList:
        """Return the list of the same thing with every length times a positive factor."""
        x, y, z = self.origin
        lengths = ("points", "sizes", "radii", "spreads", "centres")
        changed = {name: getattr(self, name) * factor for name in lengths}
        return msgspec.structs.replace(self, origin=(x * factor, y * factor, z * factor), **changed)

    def of_body(self, body: int) -> FeatureList:
        """Return the features of one placed body, about its own centroid."""
        chosen = self.bodies == body
        centre = self.centres[body]
        x, y, z = (np.array(self.origin) + centre).tolist()
        return FeatureList(
            self.kinds[chosen],
            np.zeros(int(chosen.sum()), np.int32),
            self.points[chosen] - centre,
            self.sizes[chosen],
            self.radii[chosen],
            self.spreads[chosen],
            self.tensors[chosen],
            (x, y, z),
            self.sources[body : body + 1],
            np.zeros((1, 3)),
        )


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    version: int
    scale: float
    origin: tuple[float, float, float]
    features: int
    bodies: int
    columns: bytes


def encode_features(features: FeatureList) -> bytes:
    """Pack a feature list; places lose what is below 6e-8 of the largest distance from the origin.

    Raises:
        ValueError: Its columns differ in length, or hold a number that is not finite.
    """
    count, bodies = len(features.kinds), len(features.sources)
    lengths = np.column_stack([features.points, features.sizes, features.radii, features.spreads])
    if lengths.shape != (count, 6) or features.tensors.shape != (count, 6):
        raise ValueError("the columns of the feature list differ in length")
    if not all(np.isfinite(column).all() for column in (lengths, features.tensors, features.centres)):
        raise ValueError("a feature has a place or size that is not finite")
    scale = max(
        (float(np.abs(column).max()) for column in (lengths, features.centres) if column.size), default=0
    )
    scale = scale or 1.0
    columns = [
        features.kinds.astype("<u1"),
        features.bodies.astype("<i4"),
        features.sources.astype("<i4"),
        np.rint(features.centres.T * (_LEVELS / scale)).astype("<i4"),
        np.rint(lengths.T * (_LEVELS / scale)).astype("<i4"),
        np.rint(features.tensors.T * _LEVELS).astype("<i4"),
    ]
    packed = zlib.compress(b"".join(_planes(column) for column in columns), 6)
    return msgspec.msgpack.encode(_Packed(_VERSION, scale, features.origin, count, bodies, packed))


def decode_features(data: bytes) -> FeatureList:
    """Unpack a feature list.

    Raises:
        ValueError: It was not packed by ``encode_features`` of this version.
    """
    packed = msgspec.msgpack.decode(data, type=_Packed)
    if packed.version != _VERSION:
        raise ValueError(f"a feature list of version {packed.version}, expected {_VERSION}")
    raw, count, bodies = zlib.decompress(packed.columns), packed.features, packed.bodies
    shapes: list[tuple[str, tuple[int, ...]]] = [("<u1", (count,)), ("<i4", (count,)), ("<i4", (bodies,))]
    shapes += [("<i4", (3, bodies)), ("<i4", (6, count)), ("<i4", (6, count))]
    columns, start = [], 0
    for dtype, shape in shapes:
        width, items = np.dtype(dtype).itemsize, int(np.prod(shape))
        plane = np.frombuffer(raw, np.uint8, width * items, start).reshape(width, items)
        columns.append(np.ascontiguousarray(plane.T).view(dtype).reshape(shape))
        start += width * items
    kinds, owners, sources, centres, lengths, tensors = columns
    x, y, z, sizes, radii, spreads = lengths * (packed.scale / _LEVELS)
    return FeatureList(
        kinds,
        owners.astype(np.int32),
        np.column_stack([x, y, z]),
        sizes,
        radii,
        spreads,
        tensors.T / _LEVELS,
        packed.origin,
        sources.astype(np.int32),
        centres.T * (packed.scale / _LEVELS),
    )


def _planes(column: NDArray[np.generic]) -> bytes:
    """Return the bytes of equal weight side by side, which compress better than whole numbers."""
    flat = np.ascontiguousarray(column).reshape(-1)
    return flat.view(np.uint8).reshape(-1, flat.dtype.itemsize).T.tobytes()
