"""What a mesh reports to miss of curved surfaces is what it misses, and a little more."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cadml_core import FacetQuality, MeshRequest, ReadLimits
from cadml_plugins.formats.kernel import _tessellation
from cadml_plugins.formats.stl.adapter import StlAdapter
from tests.unit.formats import kernel_parts as parts
from tests.unit.formats.test_kernel_truth import mass_of, measured

Facets = NDArray[np.float32]


def read(path: Path, facets: Facets) -> tuple[float, float, FacetQuality]:
    """Write a binary STL; return its area, its volume and its quality."""
    record = np.zeros(len(facets), np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]))
    record["v"] = facets
    path.write_bytes(bytes(80) + len(facets).to_bytes(4, "little") + record.tobytes())
    document = StlAdapter().read(path, ReadLimits())
    assert document.area is not None
    assert document.mass is not None
    assert document.facet_quality is not None
    return document.area, document.mass.volume, document.facet_quality


def tessellated(shape: parts.Shape, deflection: float) -> Facets:
    """Return the facets of a shape."""
    limits = ReadLimits(mesh=MeshRequest(relative_deflection=deflection))
    mesh = _tessellation.tessellate(shape, limits, measured(shape).box, [])
    assert mesh is not None
    return mesh.vertices[mesh.triangles].astype(np.float32)


@pytest.mark.parametrize("deflection", [0.02, 0.005, 0.001])
@pytest.mark.parametrize(
    "part",
    [parts.drilled_cylinder(), parts.torus(), parts.sphere(), parts.cone(), parts.filleted_block()],
    ids=["drilled", "torus", "sphere", "cone", "filleted"],
)
def test_the_exact_part_is_within_the_bound(part: parts.Shape, deflection: float, tmp_path: Path) -> None:
    """Area and volume of the exact part are within what its facets report, which is not many times more."""
    exact = measured(part)
    assert exact.area is not None
    area, volume, quality = read(tmp_path / "a.stl", tessellated(part, deflection))
    off = abs(exact.area / area - 1.0), abs(mass_of(exact).volume / volume - 1.0)
    assert off[0] <= quality.area_error <= 20.0 * off[0]
    assert off[1] <= quality.volume_error <= 20.0 * off[1]


def test_flat_faces_miss_nothing(tmp_path: Path) -> None:
    """A block is what its facets say."""
    _, _, quality = read(tmp_path / "a.stl", tessellated(parts.box(), 0.01))
    assert (quality.area_error, quality.volume_error) == (0.0, 0.0)


@pytest.mark.parametrize("sides", [12, 60])
def test_a_prism_reports_twice_what_its_cylinder_has_more(sides: int, tmp_path: Path) -> None:
    """Of even facets the error is known: a²/6 of the volume, of which the bound is twice as much."""
    turn = 2.0 * math.pi * np.arange(sides + 1) / sides
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(sides + 1)], axis=1)
    up = np.array([0.0, 0.0, 40.0])
    low, high = ring * 10.0, ring * 10.0 + up
    a, b, c, d = low[:-1], low[1:], high[1:], high[:-1]
    bottom, top = np.zeros_like(a), np.zeros_like(a) + up
    facets = np.concatenate(
        [np.stack(t, axis=1) for t in ((a, b, c), (a, c, d), (b, a, bottom), (d, c, top))]
    )
    _, volume, quality = read(tmp_path / "a.stl", facets.astype(np.float32))
    missing = math.pi * 100.0 * 40.0 / volume - 1.0
    assert quality.volume_error == pytest.approx(2.0 * missing, rel=0.05)


def test_the_bound_does_not_depend_on_the_unit(tmp_path: Path) -> None:
    """It is relative to the mesh's own area and volume."""
    facets = tessellated(parts.torus(), 0.01)
    _, _, small = read(tmp_path / "a.stl", facets)
    _, _, large = read(tmp_path / "b.stl", facets * np.float32(1024.0))
    assert large.volume_error == pytest.approx(small.volume_error, rel=1e-6)
    assert large.area_error == pytest.approx(small.area_error, rel=1e-6)
