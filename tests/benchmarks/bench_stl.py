"""Compare reading large STL files, measures included, with trimesh, numpy-stl and the bare bytes.

``python tests/benchmarks/bench_stl.py [megabytes]``; each figure is the best of several runs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import stl
import trimesh
from numpy.typing import NDArray

from cadml_core import ReadLimits
from cadml_plugins.features.v4 import cadml_feature_versions
from cadml_plugins.formats.stl.adapter import StlAdapter

MIB = 1024**2
LIMITS = ReadLimits(max_bytes=1 << 40, max_triangles=1 << 40)


def wavy_torus(facets: int) -> NDArray[np.float32]:
    """Return the facets of a closed, bumpy ring: float32 (n, 3, 3)."""
    around = int((facets / 2) ** 0.5)
    u, v = np.meshgrid(*(2 * np.arange(around) * np.pi / around,) * 2, indexing="ij")
    radius = 10 + 0.5 * np.sin(7 * u) * np.cos(5 * v)
    grid = np.stack(
        [(40 + radius * np.cos(v)) * np.cos(u), (40 + radius * np.cos(v)) * np.sin(u), radius * np.sin(v)], -1
    )
    a, b = grid, np.roll(grid, -1, 0)
    c, d = np.roll(b, -1, 1), np.roll(grid, -1, 1)
    triangles = np.concatenate([np.stack([a, b, c], 2), np.stack([a, c, d], 2)]).reshape(-1, 3, 3)
    return triangles.astype(np.float32)


def write_binary(path: Path, triangles: NDArray[np.float32]) -> None:
    """Write a binary STL."""
    mesh = stl.mesh.Mesh(np.zeros(len(triangles), dtype=stl.mesh.Mesh.dtype))
    mesh.vectors = triangles
    mesh.save(str(path))


def write_ascii(path: Path, triangles: NDArray[np.float32]) -> None:
    """Write an ASCII STL in the usual exponential notation."""
    with path.open("w") as file:
        file.write("solid ring\n")
        for a, b, c in triangles:
            file.write("facet normal 0.000000e+00 0.000000e+00 1.000000e+00\n outer loop\n")
            for x, y, z in (a, b, c):
                file.write(f"  vertex {x:.6e} {y:.6e} {z:.6e}\n")
            file.write(" endloop\nendfacet\n")
        file.write("endsolid ring\n")


def cadml_features(path: Path) -> object:
    """Read the document and extract feature version v4."""
    (version,) = cadml_feature_versions()
    return version.extract(StlAdapter().read(path, LIMITS))


def trimesh_features(path: Path) -> object:
    """Load with trimesh, which welds, and take what it knows of the measures."""
    mesh = trimesh.load_mesh(path)
    return mesh.bounds, mesh.area, mesh.volume, mesh.is_watertight


def numpy_stl_load(path: Path) -> object:
    """Load with numpy-stl's own parser, nothing measured."""
    return stl.mesh.Mesh.from_file(str(path), speedups=False)


def best(job: Callable[[Path], object], path: Path, runs: int) -> float:
    """Return the least seconds of several runs."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        job(path)
        times.append(time.perf_counter() - started)
    return min(times)


def report(path: Path, jobs: dict[str, tuple[Callable[[Path], object], int]]) -> None:
    """Print a row per job, as milliseconds and as a multiple of the product's own."""
    print(f"\n{path.name}: {path.stat().st_size / MIB:.1f} MiB")
    times = {name: best(job, path, runs) for name, (job, runs) in jobs.items()}
    for name, seconds in times.items():
        print(f"  {name:28}{seconds * 1e3:10.1f} ms{seconds / times['cadml -> v4']:10.2f} x cadml")


def main() -> None:
    """Print both tables."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        binary, text = Path(folder) / "binary.stl", Path(folder) / "ascii.stl"
        write_binary(binary, wavy_torus(megabytes * 20_971))
        write_ascii(text, wavy_torus(megabytes * 4_030))
        bytes_only = (Path.read_bytes, 7)
        report(
            binary,
            {
                "cadml -> v4": (cadml_features, 7),
                "read the bytes": bytes_only,
                "trimesh": (trimesh_features, 1),
            },
        )
        report(
            text,
            {
                "cadml -> v4": (cadml_features, 5),
                "read the bytes": bytes_only,
                "numpy-stl, load only": (numpy_stl_load, 1),
            },
        )


if __name__ == "__main__":
    main()
