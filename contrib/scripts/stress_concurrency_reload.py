"""Reload models from many threads at once, good and damaged ones, and watch the number of the serving model.

    python contrib/scripts/stress_concurrency_reload.py --threads 10     # JSON; exit 1 where it failed

Every successful reload must get a number of its own, one after the other without a gap; a refused one must
change nothing and leave its reason. Needs scikit-learn (`pip install cadml[train]`).
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np

from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import CadmlError
from cadml_core.runtime import build_runtime
from cadml_core.settings import load_settings
from cadml_core.testing.stress import StressReport, main, raised, watched

GOOD = ("bolt.pkl", "nut.pkl")
REFUSALS = {
    "torn.pkl": "MODEL_MALFORMED",
    "text.pkl": "MODEL_MAGIC_INVALID",
    "absent.pkl": "DATA_NOT_FOUND",
    "hostile.pkl": "MODEL_OPCODE_BLOCKED",
}
"""Models that must not serve, with the code of their refusal."""
CONTENTS = {
    "torn.pkl": b"\x80\x04\x95\xff\xff",
    "text.pkl": b"this is not a pickle",
    "hostile.pkl": b"cos\nsystem\n(S'true'\ntR.",
}


def write_models(folder: Path, width: int) -> None:
    """Write two good models and the damaged ones."""
    from sklearn.dummy import DummyClassifier

    folder.mkdir()
    for name in GOOD:
        label = name.removesuffix(".pkl")
        model = DummyClassifier(strategy="most_frequent").fit(np.zeros((2, width)), [label, label])
        (folder / name).write_bytes(pickle.dumps(model))
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)


class Threads:
    """Threads that reload in turn; what they saw."""

    def __init__(self, registry: ModelRegistry, turns: int) -> None:
        self._registry = registry
        self._turns = turns
        self._lock = threading.Lock()
        self.numbers: list[int] = []
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.regressions = 0

    def work(self, seed: int) -> None:
        """Reload good and damaged models in a random order."""
        rng = np.random.default_rng(seed)
        names = [*GOOD, *REFUSALS]
        seen = 0
        for name in rng.choice(names, self._turns).tolist():
            try:
                number = self._registry.reload(name).load_seq
            except CadmlError as error:
                with self._lock:
                    self.refused[error.code] += 1
                    if error.code != REFUSALS.get(name):
                        self.wrong.append(f"{name}: {error.code}: {error.message}")
            else:
                with self._lock:
                    self.numbers.append(number)
                    if name in REFUSALS:
                        self.wrong.append(f"{name} was loaded")
            now = self._registry.version().load_seq
            with self._lock:
                self.regressions += now < seen
            seen = now


def check(arguments: argparse.Namespace, report: StressReport) -> None:
    """Reload from many threads and compare the numbers with what succeeded."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        settings = load_settings({"data_dir": folder, "model_dir": str(models), "safe_mode": True})
        with build_runtime(settings) as runtime:
            write_models(models, len(runtime.feature.slots))
            registry = runtime.models.registry
            registry.reload(GOOD[0])
            first = registry.version().load_seq
            threads = Threads(registry, arguments.reloads)
            with watched(report):
                running = [
                    threading.Thread(
                        target=raised, args=(threads.wrong, lambda seed=seed: threads.work(seed))
                    )
                    for seed in range(arguments.threads)
                ]
                for thread in running:
                    thread.start()
                for thread in running:
                    thread.join()
            last = registry.version()
            answer = registry.predict(np.zeros(len(runtime.feature.slots)))
    succeeded = len(threads.numbers)
    report.found |= {
        "reloads": arguments.threads * arguments.reloads,
        "succeeded": succeeded,
        "refused": dict(threads.refused),
        "load_seq": {"first": first, "last": last.load_seq},
        "last_error": last.last_error.code if last.last_error else None,
        "label": answer.label,
    }
    report.require(not threads.wrong, f"{len(threads.wrong)} reloads ended wrongly: {threads.wrong[:3]}")
    report.require(
        sorted(threads.numbers) == list(range(first + 1, last.load_seq + 1)),
        f"{succeeded} reloads got the numbers {sorted(threads.numbers)} of {first + 1} to {last.load_seq}",
    )
    report.require(threads.regressions == 0, f"load_seq went back {threads.regressions} times")
    report.require(answer.label in ("bolt", "nut"), f"the model that serves says {answer.label!r}")


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    made = argparse.ArgumentParser(prog=Path(__file__).name, description=__doc__)
    made.add_argument("--threads", type=int, default=10)
    made.add_argument("--reloads", type=int, default=10, help="of each thread")
    return made


if __name__ == "__main__":
    sys.exit(main(check, parser()))
