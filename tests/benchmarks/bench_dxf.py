"""Compare reading a large DXF with ezdxf.readfile, in time and in memory.

``python tests/benchmarks/bench_dxf.py [megabytes]``; each reading runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ezdxf
import psutil

from cadml_core import ReadLimits
from cadml_plugins.formats.dxf import _document as _dxf_document  # noqa: F401  (imported before the clock starts)
from cadml_plugins.formats.dxf.adapter import DxfAdapter

MIB = 1024**2
CONTEXT = multiprocessing.get_context("spawn")


def write_drawings(text: Path, binary: Path, megabytes: int) -> None:
    """Write, as ASCII and as binary, a drawing of lines, arcs, circles, polylines, texts, faces, blocks."""
    document = ezdxf.new("R2000")
    document.units = 4
    block = document.blocks.new("BOLT")
    block.add_circle((0, 0), 4)
    block.add_circle((0, 0), 2.5)
    for index in range(40):
        document.layers.add(f"LAYER_{index}")
    model = document.modelspace()
    for index in range(megabytes * 1260):
        x, y, layer = index % 977 * 3.7, index // 977 * 2.9, {"layer": f"LAYER_{index % 40}"}
        model.add_line((x, y, 0.5), (x + 3.1, y + 1.7, 0.25), layer)
        model.add_line((x + 1 / 3, y), (x, y + 1 / 7), layer)
        model.add_circle((x, y), 1.25, layer)
        model.add_arc((x, y), 2.5, 15, 200, dxfattribs=layer)
        model.add_lwpolyline([(x, y), (x + 2, y, 0, 0, 0.4), (x + 2, y + 2), (x, y + 2)], dxfattribs=layer)
        if index % 4 == 0:
            model.add_3dface([(x, y, 0), (x + 1, y, 0), (x + 1, y + 1, 2)], dxfattribs=layer)
            model.add_text(f"POS {index}", dxfattribs=layer).set_placement((x, y))
        if index % 8 == 0:
            model.add_blockref("BOLT", (x, y), layer)
            model.add_spline([(x, y), (x + 1, y + 1), (x + 2, y)], dxfattribs=layer)
    document.saveas(text)
    document.saveas(binary, fmt="bin")


def _measure(job: Callable[[Path], object], path: Path, answer: object) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    started = time.perf_counter()
    kept = job(path)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer.send((seconds, peak - before, kept is not None))  # type: ignore[attr-defined]


def measure(job: Callable[[Path], object], path: Path) -> tuple[float, float]:
    """Return seconds and the growth of the peak memory in MiB, in a fresh process."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_measure, args=(job, path, sender))
    process.start()
    seconds, growth, _ = receiver.recv()
    process.join()
    return seconds, growth / MIB


def cadml_read(path: Path) -> object:
    """Read as the product does."""
    return DxfAdapter().read(path, ReadLimits(max_bytes=1 << 40))


def report(path: Path) -> None:
    """Print a row per reader."""
    print(f"\n{path.name}: {path.stat().st_size / MIB:.1f} MiB")
    jobs: dict[str, Callable[[Path], object]] = {"ezdxf.readfile": ezdxf.readfile, "cadml": cadml_read}
    results = {name: measure(job, path) for name, job in jobs.items()}
    seconds, growth = results["ezdxf.readfile"]
    print(f"{'':16}{'seconds':>9}{'of readfile':>13}{'growth MiB':>12}{'of readfile':>13}")
    for name, (took, grew) in results.items():
        print(f"{name:16}{took:9.2f}{took / seconds:13.2f}{grew:12.0f}{grew / growth:13.2f}")


def main() -> None:
    """Print a table for an ASCII file, and one for the same drawing in binary."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 48
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder) / "ascii.dxf", Path(folder) / "binary.dxf"
        # in a process of its own: a child's peak memory counts from what its parent holds
        writer = CONTEXT.Process(target=write_drawings, args=(text, binary, megabytes))
        writer.start()
        writer.join()
        report(text)
        report(binary)


if __name__ == "__main__":
    main()
