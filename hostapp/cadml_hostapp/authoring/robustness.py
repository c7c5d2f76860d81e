"""What damaged files do to a format adapter: each must be read, or refused with a reason."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.errors import CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.records import PluginRecord
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import load_settings
from cadml_hostapp.authoring.subjects import provided

if TYPE_CHECKING:
    from cadml_hostapp.authoring.scorecard import Check

COUNT = 200
LIMITS = ReadLimits(max_cpu_seconds=5.0, max_seconds=20.0, max_memory_mb=1024)
_FAULTS = {
    "INTERNAL_ERROR": "raised something else than the errors of the contract",
    "PARSE_CRASHED": "ended their process",
    "PARSE_TIMEOUT": f"took longer than {LIMITS.max_cpu_seconds:g} s",
}


def checks(record: PluginRecord, sample: Path | None) -> Iterator[Check]:
    """Read ``COUNT`` damaged copies of a sample in reader processes; the same ones each time."""
    from cadml_hostapp.authoring.scorecard import Check

    formats = [name for kind, name in provided(record) if kind.field == "formats"]
    if not formats or sample is None:
        return
    adapters = load_plugins(load_settings()).registry.formats
    for name in formats:
        outcomes = _outcomes(sample, name, {name: adapters[name]})
        faults = {code: count for code, count in outcomes.items() if code in _FAULTS}
        told = ", ".join(f"{count} {_FAULTS[code]}" for code, count in faults.items())
        refused = outcomes.total() - outcomes["read"] - sum(faults.values())
        detail = f"{outcomes['read']} read, {refused} refused with a reason" + (told and f"; {told}")
        title = f"{COUNT} damaged copies of {sample.name}"
        yield Check("robustness", name, title, "failed" if faults else "passed", detail)


def _outcomes(sample: Path, name: str, adapters: dict[str, FormatAdapter]) -> Counter[str]:
    good = sample.read_bytes()
    with tempfile.TemporaryDirectory(prefix="cadml-damaged-") as folder:
        paths = []
        for number in range(COUNT):
            path = Path(folder) / f"{number}{sample.suffix}"
            path.write_bytes(damaged(good, Random(number)))
            paths.append(path)
        with ReaderPool(adapters, {}, limits=LIMITS, workers=os.cpu_count() or 1) as pool:
            found = pool.map(paths, adapters=dict.fromkeys(paths, name))
            return Counter(result.code if isinstance(result, CadmlError) else "read" for _, result in found)


def damaged(good: bytes, random: Random) -> bytes:
    """Return a copy with one damage: flipped bits, random bytes, a piece lost or repeated, or the end cut."""
    if not good:
        return random.randbytes(64)
    start = random.randrange(len(good))
    end = min(len(good), start + random.randint(1, 64))
    return random.choice(
        (
            good[:start] + bytes(byte ^ 1 << random.randrange(8) for byte in good[start:end]) + good[end:],
            good[:start] + random.randbytes(end - start) + good[end:],
            good[:start] + good[end:],
            good[:end] + good[start:end] * random.randint(1, 50) + good[end:],
            good[:start],
            good[:start] + b"-1e308" + good[end:],
        )
    )
