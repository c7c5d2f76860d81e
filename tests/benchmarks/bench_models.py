"""The pickle scan against picklescan and fickling: what they refuse, how fast, in how much memory.

python tests/benchmarks/bench_models.py [--quick]

Both are compared where they are installed (pip install picklescan fickling); scikit-learn provides the
ordinary models. Hostile samples are bytes written by the tests; nothing loads them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import multiprocessing
import pickle
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import CadmlError
from cadml_core.pickles.scan import scan_pickle
from cadml_core.settings import Settings
from cadml_plugins.policies.audit import Audit
from cadml_plugins.policies.blacklist import Blacklist
from cadml_plugins.policies.whitelist import Whitelist
from tests.fuzz.scanners import Scanner, cadml, fickling, is_installed, picklescan, verdict
from tests.unit.classifier.hostile import HOSTILE, MALFORMED
from tests.unit.classifier.tiny import Constant


def scanners() -> dict[str, Scanner]:
    """Return our modes, and the public scanners that are installed."""
    found: dict[str, Scanner] = {}
    for policy in (Whitelist(), Blacklist()):
        found[f"cadml {policy.name}"] = cadml(policy)
    if is_installed("picklescan"):
        found["picklescan"] = picklescan()
        found["picklescan --strict"] = picklescan(strict=True)
    if is_installed("fickling"):
        found["fickling"] = fickling()
    return found


def security(found: Mapping[str, Scanner], quick: bool) -> None:
    """Print what each scanner refuses."""
    hostile = list(HOSTILE.values())[:: 40 if quick else 4] + list(HOSTILE.values())[-60:]
    bombs = {"too many opcodes", "deep lists", "deep tuples", "tuple laughs", "many open MARKs"}
    malformed = [data for name, data in MALFORMED.items() if name not in bombs]
    ordinary = ordinary_models()
    print(
        f"\n{'scanner':21}{'hostile refused':>18}{'malformed refused':>20}"
        f"{'ordinary refused':>20}{'errors':>8}"
    )
    for name, scanner in found.items():
        rows = [Counter(verdict(scanner, data) for data in group) for group in (hostile, malformed, ordinary)]
        errors = sum(row["error"] for row in rows)
        print(
            f"{name:22}{len(hostile) - rows[0]['allowed']:>12}/{len(hostile):<5}"
            f"{len(malformed) - rows[1]['allowed']:>14}/{len(malformed):<5}"
            f"{len(ordinary) - rows[2]['allowed']:>14}/{len(ordinary):<5}{errors:>8}"
        )


def ordinary_models() -> list[bytes]:
    """Return pickles of fitted models, none where scikit-learn is missing."""
    if not importlib.util.find_spec("sklearn"):
        return []
    from tests.unit.classifier.zoo import pickles

    return [data for _, _, data in pickles()]


def dense_files() -> dict[str, bytes]:
    """Return about a megabyte each of files that are opcodes rather than arrays."""
    rows = [{f"k{i}": [i, i * 0.5, None, (i, "x")], "s": f"part {i}"} for i in range(22_000)]
    words = {f"word{i:06}": i for i in range(60_000)}
    return {
        "rows of mixed data": pickle.dumps(rows, 4),
        "vocabulary": pickle.dumps(words, 5),
        "numbers, protocol 0": pickle.dumps(list(range(150_000)), 0),
        "small integers": pickle.dumps([i % 250 for i in range(480_000)], 2),
    }


def speed(found: Mapping[str, Scanner], quick: bool) -> None:
    """Print milliseconds per megabyte of opcode-dense files, best of three, and ratios to the whitelist."""
    files = dense_files()
    if quick:
        files = {"rows of mixed data": files["rows of mixed data"]}
    print(f"\n{'ms/MB, opcode-dense':28}" + "".join(f"{name:>28}" for name in found))
    for title, data in files.items():
        cells = []
        base = 0.0
        for scanner in found.values():
            best = min(_seconds(scanner, data) for _ in range(1 if len(data) > 1e6 and base else 3))
            per_mb = best * 1e3 / (len(data) / 1e6)
            base = base or per_mb
            cells.append(f"{per_mb:>18.0f} ({per_mb / base:>5.1f}x)")
        print(f"{title:28}" + "".join(f"{cell:>28}" for cell in cells))


def _seconds(scanner: Scanner, data: bytes) -> float:
    start = time.perf_counter()
    verdict(scanner, data)
    return time.perf_counter() - start


def large_models() -> dict[str, bytes]:
    """Return models of about 50 MB: one array, many arrays, and as many opcodes as are allowed."""
    random = np.random.default_rng(2)
    blocks = [random.normal(size=(40, 100)) for _ in range(1500)]
    text = {f"{i:06}" + "x" * 60: i for i in range(560_000)}
    return {
        "one array": pickle.dumps(random.normal(size=6_000_000), 5),
        "1,500 arrays": pickle.dumps(blocks, 4),
        "one array, protocol 2": pickle.dumps(random.normal(size=4_000_000), 2),
        "long vocabulary": pickle.dumps(text, 4),
    }


def memory() -> None:
    """Print time and peak memory of scanning files of 50 MB, each in a fresh process."""
    print(f"\n{'large file':28}{'MB':>8}{'opcodes':>12}{'seconds':>10}{'peak / file':>14}")
    context = multiprocessing.get_context("spawn")
    for title, data in large_models().items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.pkl"
            path.write_bytes(data)
            with context.Pool(1) as pool:
                seconds, ratio, opcodes = pool.apply(scan_file, (str(path),))
        print(f"{title:28}{len(data) / 1e6:>8.1f}{opcodes:>12,}{seconds:>10.2f}{ratio:>14.2f}")


def scan_file(path: str) -> tuple[float, float, int]:
    """Read and scan one file; return seconds of the scan, peak growth over the file's size, opcodes."""
    policy = Whitelist()
    policy.judge(scan_pickle(pickle.dumps(1)))
    before = _peak()
    data = Path(path).read_bytes()
    start = time.perf_counter()
    scan = scan_pickle(data)
    policy.judge(scan)
    seconds = time.perf_counter() - start
    assert not scan.malformed, scan.malformed
    return seconds, (_peak() - before) / len(data), sum(scan.opcode_counts.values())


def _peak() -> float:
    """Return the most memory this process ever held since it was started, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent held when it forked
        return 1024.0 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def reloads() -> None:
    """Print how a hundred reloads at once end, and whether answers went on meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "good.pkl").write_bytes(pickle.dumps(Constant("bolt")))
        (root / "nut.pkl").write_bytes(pickle.dumps(Constant("nut")))
        (root / "evil.pkl").write_bytes(HOSTILE["posix:system, STACK_GLOBAL"])
        (root / "junk.pkl").write_bytes(MALFORMED["second pickle"])
        with (root / "huge.pkl").open("wb") as stream:
            stream.truncate(500 * 1024**2)
        registry = ModelRegistry(
            Settings(model_dir=folder, model_opcode_whitelist=("tests.*",)),
            {p.name: p for p in (Audit(), Blacklist())},
            {},
        )
        registry.reload("good.pkl")
        names = ["good.pkl", "nut.pkl", "evil.pkl", "junk.pkl", "huge.pkl", "missing.pkl"]
        stop, answered = threading.Event(), Counter[str]()
        asker = threading.Thread(target=_ask, args=(registry, stop, answered))
        asker.start()
        start = time.perf_counter()
        with ThreadPoolExecutor(20) as pool:
            outcomes = list(pool.map(lambda i: _reload(registry, names[i % len(names)]), range(100)))
        seconds = time.perf_counter() - start
        stop.set()
        asker.join()
        registry.close()
    numbers = sorted(value for value in outcomes if isinstance(value, int))
    rising = numbers == list(range(2, len(numbers) + 2))
    print(f"\n100 reloads at once: {seconds:.1f} s, {len(numbers)} loaded, numbers strictly rising: {rising}")
    print(f"  refused: {dict(Counter(value for value in outcomes if isinstance(value, str)))}")
    print(f"  answers meanwhile: {dict(answered)}")


def _reload(registry: ModelRegistry, name: str) -> int | str:
    try:
        return registry.reload(name).load_seq
    except CadmlError as error:
        return error.code


def _ask(registry: ModelRegistry, stop: threading.Event, answered: Counter[str]) -> None:
    while not stop.is_set():
        try:
            answered[registry.predict(np.zeros(22)).label] += 1
        except CadmlError as error:
            answered[error.code] += 1


def main() -> None:
    """Print every table."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    arguments: Any = parser.parse_args()
    found = scanners()
    security(found, arguments.quick)
    speed(found, arguments.quick)
    memory()
    reloads()


if __name__ == "__main__":
    main()
