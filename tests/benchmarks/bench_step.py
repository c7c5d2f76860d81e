"""Compare reading STEP files, all measures and v4 features included, with the kernel's own read + transfer.

``python tests/benchmarks/bench_step.py [megabytes]`` makes one file of that size (44) with many distinct
parts; with ``CADML_CORPUS`` set, every small real file below it is read as well. Figures are CPU seconds
of one thread, so that other work on the machine does not show.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cadml_core import ReadLimits
from cadml_core.errors import CadmlError, MalformedFile
from cadml_plugins.features.v4 import cadml_feature_versions
from cadml_plugins.formats.kernel import _topology
from cadml_plugins.formats.kernel._occt import Failure, kernel_class, kernel_function
from cadml_plugins.formats.kernel.step import StepAdapter

MIB = 1024**2
LIMITS = ReadLimits(max_bytes=1 << 40)
PART_BYTES = 82_000
"""What one part of the made file takes."""


def part(number: int) -> object:
    """Return a filleted, drilled block, unlike every other: 29 planes, cylinders and spheres."""
    width, height, depth = 20 + number % 17, 10 + number % 7 * 0.7, 5 + number % 5 * 0.3
    corner = (40 * (number % 20), 20 * (number // 20 % 20), 20 * (number // 400))
    block = kernel_class("BRepPrimAPI_MakeBox")(kernel_class("gp_Pnt")(*corner), width, height, depth).Shape()
    fillet = kernel_class("BRepFilletAPI_MakeFillet")(block)
    for edge in _topology.distinct(block, _topology.EDGE):
        fillet.Add(0.5 + 0.01 * (number % 40), kernel_function("TopoDS", "Edge")(edge))
    shape = fillet.Shape()
    for offset in (5, 10, 15):
        start = kernel_class("gp_Pnt")(corner[0] + offset, corner[1] + height / 2, corner[2] - 1)
        axes = kernel_class("gp_Ax2")(start, kernel_class("gp_Dir")(0, 0, 1))
        drill = kernel_class("BRepPrimAPI_MakeCylinder")(axes, 1 + 0.01 * (number % 50), depth + 2).Shape()
        shape = kernel_class("BRepAlgoAPI_Cut")(shape, drill).Shape()
    return shape


def write(path: Path, parts: int) -> None:
    """Write a STEP file of so many parts."""
    writer = kernel_class("STEPControl_Writer")()
    writer.Transfer(_topology.compound(map(part, range(parts))), kernel_class("STEPControl_AsIs"))
    writer.Write(str(path))


def kernel(path: Path) -> object:
    """Read and transfer, and nothing else."""
    reader = kernel_class("STEPControl_Reader")()
    if reader.ReadFile(str(path)) != kernel_class("IFSelect_RetDone"):
        raise MalformedFile("the kernel cannot load it")  # transferring all the same may crash
    reader.TransferRoots()
    return reader.OneShape()


def kernel_measures(path: Path) -> None:
    """Read and transfer, then call the kernel's four global measures one after the other."""
    shape = kernel(path)
    properties = kernel_class("GProp_GProps")
    kernel_function("BRepGProp", "VolumeProperties")(shape, properties(), False, False, False)
    kernel_function("BRepGProp", "SurfaceProperties")(shape, properties(), False, False)
    kernel_function("BRepBndLib", "AddOptimal")(shape, kernel_class("Bnd_Box")(), False, False)
    _topology.is_valid(shape)


def cadml(path: Path) -> object:
    """Read, measure and extract v4."""
    (v4,) = cadml_feature_versions()
    return v4.extract(StepAdapter().read(path, LIMITS))


def seconds(job: Callable[[Path], object], path: Path) -> float:
    """Return the CPU time of a job."""
    start = time.process_time()
    job(path)
    return time.process_time() - start


def table(title: str, rows: dict[str, float]) -> None:
    """Print times and their ratios to the first."""
    base = next(iter(rows.values()))
    print(f"\n{title}")
    for name, value in rows.items():
        print(f"  {name:<46}{value:9.3f} s{value / base:8.2f}x")


def large_file(megabytes: float) -> None:
    """Time one large file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.step"
        write(path, round(megabytes * MIB / PART_BYTES))
        jobs = {
            "kernel: read + transfer": kernel,
            "cadml: read to v4 features": cadml,
            "kernel: with its own volume, area, box, check": kernel_measures,
        }
        rows = {name: seconds(job, path) for name, job in jobs.items()}
        table(f"STEP, {path.stat().st_size / MIB:.0f} MB, distinct parts", rows)


def real_files(root: Path) -> None:
    """Time every readable real file below a megabyte."""
    times: dict[str, list[float]] = {"kernel: read + transfer": [], "cadml: read to v4 features": []}
    refusals: tuple[type[Exception], ...] = (CadmlError, *Failure)
    for path in sorted((*root.rglob("*.step"), *root.rglob("*.stp"))):
        if path.stat().st_size > MIB or "fuzz_crash" in path.parts:
            continue
        try:
            pair = seconds(cadml, path), seconds(kernel, path)
        except refusals:
            continue
        times["cadml: read to v4 features"].append(pair[0])
        times["kernel: read + transfer"].append(pair[1])
    for name, measure in (("sum", sum), ("median", statistics.median), ("95th percentile", percentile_95)):
        rows = {job: measure(values) for job, values in times.items()}
        table(f"{len(times['kernel: read + transfer'])} real STEP files, {name}", rows)


def percentile_95(values: list[float]) -> float:
    """Return the value that one in twenty exceeds."""
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    large_file(float(sys.argv[1]) if len(sys.argv) > 1 else 44)
    if corpus := os.environ.get("CADML_CORPUS"):
        real_files(Path(corpus))
