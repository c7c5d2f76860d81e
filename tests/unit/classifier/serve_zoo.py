"""Load, try and ask every ordinary model in its confined process, beside the same model in this one.

    python -m tests.unit.classifier.serve_zoo [--protocols 0,5]

Prints what each kind of model came to, and ends with 1 where one that has ``predict`` for rows of numbers is
not served, or answers otherwise than here.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections import Counter
from typing import Any

from cadml_core.classifier.messages import LoadJob, row_bytes
from cadml_core.classifier.process import ModelProcess, ProcessLimits
from cadml_core.classifier.rows import trial_rows
from cadml_core.errors import CadmlError
from cadml_core.pickles.loader import scanned_globals
from cadml_core.pickles.scan import scan_pickle
from tests.unit.classifier.zoo import models, training_data

LABELS = frozenset({"bolt", "bracket", "housing"})


def served(data: bytes, row: Any) -> str:
    """Return the label that a model answers in a process of its own.

    Raises:
        CadmlError: It cannot be loaded, or gives no answer.
    """
    width = row.shape[1]
    rows = row_bytes(trial_rows(width, 1))
    job = LoadJob(data, scanned_globals(scan_pickle(data)), width, rows, 1)
    process = ModelProcess(job, ProcessLimits(), lambda _told: None)
    try:
        process.load()
        return process.predict(row, lambda predicted: predicted).result(30).label
    finally:
        process.close()


def main() -> int:
    """Print the table; 1 where an ordinary model is not served as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocols", default="0,5")
    protocols = [int(number) for number in parser.parse_args().protocols.split(",")]
    row = training_data()[0][:1]
    counts: Counter[str] = Counter()
    wrong = []
    for name, model in models():
        if not hasattr(model, "predict") or set(getattr(model, "classes_", ())) != LABELS:
            counts["no classifier of rows"] += 1
            continue
        expected = str(model.predict(row)[0])
        for protocol in protocols:
            try:
                answer = served(pickle.dumps(model, protocol), row)
            except CadmlError as error:
                answer = f"{error.code}: {error.message}"
            counts["served alike" if answer == expected else "wrong"] += 1
            if answer != expected:
                wrong.append(f"{name}, protocol {protocol}: {answer}, expected {expected}")
    print(*(f"{kind:24}{count:6}" for kind, count in counts.items()), *wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
