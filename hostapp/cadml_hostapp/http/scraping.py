"""What ``/metrics`` answers: the series of all server processes that live, and none of what is gone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from prometheus_client import REGISTRY, Metric, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from cadml_core.metrics import WITHDRAWN
from cadml_hostapp.metrics_folder import shared_folder


def exposition() -> bytes:
    """Return every series in Prometheus's text format."""
    return generate_latest(_Exposed(shared_folder()))


class _Exposed(Collector):
    """The metrics of this process, or of all that share a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Yield every metric without the series that were withdrawn."""
        for metric in REGISTRY.collect() if self._folder is None else _shared(self._folder):
            if metric.type == "gauge":
                metric.samples = [sample for sample in metric.samples if sample.value != WITHDRAWN]
            yield metric


def _shared(folder: Path) -> Iterator[Metric]:
    living = set()
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("*.db")}:
        if _lives(pid):
            living.add(pid)
        else:  # its counters still count, its gauges say nothing any more
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    yield from MultiProcessCollector(None, str(folder)).collect()  # type: ignore[no-untyped-call]
    yield from _of_processes(sorted(living))


def _of_processes(pids: Iterable[int]) -> Iterator[Metric]:
    """Yield the ``process_*`` of each process, told apart by the label ``pid``.

    How many files another process has open, only root may know; where it may not be known, it is left out.
    """
    found: dict[str, Metric] = {}
    for pid in pids:
        for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            first = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                first.add_sample(sample.name, {**sample.labels, "pid": str(pid)}, sample.value)
    yield from found.values()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
