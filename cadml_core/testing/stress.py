"""What stress checks share: memory watched while they run, and a report with a verdict."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry, write_to_textfile

from cadml_core.metrics import stress_memory_growth_ratio
from cadml_core.settings import load_settings
from cadml_core.testing.memory import CollectionClock, Memory, resident_mib, sample

MOST_GROWTH = {"peak": 1.5, "end": 1.1}
"""Most memory during a check and after it, over that before."""


class StressReport(msgspec.Struct, kw_only=True):
    """The outcome of one check, as JSON."""

    check: str
    parameters: dict[str, Any]
    seconds: float = 0.0
    found: dict[str, Any] = {}
    """What the check counted and measured."""
    failures: list[str] = []
    """What went wrong; never allowed."""
    memory: Memory = msgspec.field(default_factory=Memory)
    memory_growth: dict[str, float] = {}
    excesses: list[str] = []
    """Where memory grew by more than is wanted: a failure in strict mode, else a remark."""
    strict: bool = False

    @property
    def passed(self) -> bool:
        """Whether the exit status is 0."""
        return not self.failures and not (self.strict and self.excesses)

    def require(self, met: bool, otherwise: str) -> None:
        """Note a failure where a condition is not met."""
        if not met:
            self.failures.append(otherwise)


@contextmanager
def watched(report: StressReport, *, trace: bool = False) -> Iterator[None]:
    """Measure time and memory of what runs inside, and judge them in the report.

    Args:
        report: Where they are noted.
        trace: Whether Python's allocations are traced, which takes memory and time of its own.
    """
    memory = report.memory
    clock, done = CollectionClock(memory), threading.Event()
    gc.collect()
    if trace:
        tracemalloc.start()
    traced = tracemalloc.get_traced_memory()[0] if trace else 0
    memory.before = memory.peak = resident_mib()
    sampler = threading.Thread(target=sample, args=(memory, done), name="cadml-stress", daemon=True)
    gc.callbacks.append(clock)
    sampler.start()
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds = round(time.perf_counter() - start, 3)
        done.set()
        sampler.join()
        gc.callbacks.remove(clock)
        gc.collect()
        memory.end = resident_mib()
        memory.peak = max(memory.peak, memory.end)
        if trace:
            memory.traced_growth = (tracemalloc.get_traced_memory()[0] - traced) / 1024**2
            tracemalloc.stop()
        report.memory_growth = memory.growth
        for phase, ratio in report.memory_growth.items():
            stress_memory_growth_ratio.labels(phase=phase).set(ratio)
            if ratio > MOST_GROWTH[phase]:
                report.excesses.append(f"memory, {phase}: {ratio:.2f} times, allowed {MOST_GROWTH[phase]}")


def main(
    check: Callable[[argparse.Namespace, StressReport], None],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a check from the command line, print its report, and return the exit status.

    0: passed. 1: something failed; or memory grew too much, in strict mode (``STRESS_STRICT=1``).
    """
    parser.add_argument("--output", type=Path, help="write the report to this file as well")
    parser.add_argument(
        "--textfile", type=Path, help="write the metric, for node_exporter's textfile collector"
    )
    chosen = parser.parse_args(arguments)
    shown = {name: value for name, value in vars(chosen).items() if not isinstance(value, Path | None)}
    report = StressReport(
        check=Path(parser.prog).stem, parameters=shown, strict=load_settings().stress_strict
    )
    check(chosen, report)
    text = msgspec.json.format(msgspec.json.encode({"passed": report.passed, **msgspec.to_builtins(report)}))
    print(text.decode())
    if chosen.output:
        chosen.output.write_bytes(text + b"\n")
    if chosen.textfile:
        alone = CollectorRegistry()
        alone.register(stress_memory_growth_ratio)
        write_to_textfile(os.fspath(chosen.textfile), alone)
    return 0 if report.passed else 1


def counted(name: str, **labels: str) -> float:
    """Return a metric as it stands."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def raised(problems: list[str], action: Callable[[], Any]) -> None:
    """Do something in a thread and note what it raises, whatever that is."""
    with contextlib.suppress(SystemExit):
        try:
            action()
        except Exception as error:  # noqa: BLE001 - reported, whatever it is
            problems.append(f"{type(error).__name__}: {error}")
