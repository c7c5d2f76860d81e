"""How many files and functions of the product four everyday requests pass through in the host process.

    python tests/architecture/journeys.py            # a table
    python tests/architecture/journeys.py search     # and every function of one journey, in order

A newcomer who follows a request through the code opens about as many files as are counted here. Each journey
runs once to warm up (imports, index, reader processes) and is counted the second time. Reader and model
processes are not counted: what they run is a journey of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(
    f"{ROOT / package}{os.sep}"
    for package in ("cadml_core", "plugins/cadml_plugins", "hostapp/cadml_hostapp")
)
# An upload asks the table of refused contents, writes the words by which its part is found, and asks which
# process of a model answers, each a file of its own, and passes reading/reading.py: the host checks what a
# reader process says before it believes it. A reload passes seven files for the state of a model: the
# stand-ins that make it visible, denied names, entries of the setting, dangerous attributes, arrays,
# descriptions of calls, and the view of the policies on all these. It starts a process, in the sandbox and on
# rows from the catalogue.
# Both write or read raw values, by the packing that the catalogue and migrations share.
# An upload passes the feature cache, and the module by which the intake uses it.
# Values are extracted, and the step is noted for those who wait, in modules of their own; and a search checks
# an embedding by the contract of feature versions, so that no index is blamed for it.
# A file that is read, and a model that is asked, pass the lanes of the queue, which keep long ones from
# holding up short ones, and the turns in each lane.
# Every search passes the check of what the index answered.
# An upload checks that what was drawn is harmless before it keeps it, and records what its reading and its
# drawing took.
# What an operator has switched on another server is followed before an answer is given.
LIMITS = {"upload": 41, "search": 17, "ingest": 9, "reload": 44}
"""Most files of each journey: an upload with similarity, a search by id, an ingest of an unchanged file, and
a reload of a model. An ingest says which of the files that could not be read are settled."""


BESIDE_REQUESTS = {"cadml-cache", "cadml-models", "cadml-index", "cadml-reader-lanes", "cadml-model-lanes"}
"""Threads that do by the clock what no request waits for; whether they run meanwhile is chance."""


class Journey(NamedTuple):
    """What one request passed through."""

    files: int
    functions: int
    moves: int
    """How often the next call was into another file."""
    steps: tuple[str, ...]
    """Every function once, as ``file:function``, in the order of their first calls."""


class Recorder:
    """Records calls into the product, in every thread that starts after it was made."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, str]] = []
        self._recording = False
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if not self._recording or threading.current_thread().name in BESIDE_REQUESTS:
            return
        if event == "call" and code.co_filename.startswith(PACKAGES):
            self._calls.append((code.co_filename, code.co_qualname))

    def count(self, request: Callable[[], Any]) -> Journey:
        """Make a request twice and count the second time."""
        request()
        self._calls.clear()
        self._recording = True
        request()
        self._recording = False
        calls = [call for call in self._calls if call[1] != "<module>"]
        steps = dict.fromkeys(f"{name.removeprefix(str(ROOT))[1:]}:{function}" for name, function in calls)
        moves = sum(one[0] != other[0] for one, other in itertools.pairwise(calls))
        return Journey(len({name for name, _ in calls}), len(steps), moves, tuple(steps))

    def close(self) -> None:
        """Record nothing more."""
        sys.setprofile(None)
        threading.setprofile(None)


@contextlib.contextmanager
def journeys(folder: Path) -> Iterator[dict[str, Journey]]:
    """Count every journey, with the data in this folder."""
    recorder = Recorder()
    try:
        yield _counted(recorder, folder)
    finally:
        recorder.close()


def _counted(recorder: Recorder, folder: Path) -> dict[str, Journey]:
    # Imported here: functions that run at import are not part of a journey.
    from litestar.testing import TestClient

    from cadml_hostapp.app import create_app
    from tests.integration.http.server import (
        ADMIN_HEADERS,
        HEADERS,
        settings_for,
        tetrahedron,
        wait_until_ready,
    )

    sizes = itertools.count(10)

    def upload() -> Any:
        answer = client.post(
            "/api/v1/analyze",
            headers=HEADERS,
            files={"file": ("part.stl", tetrahedron(next(sizes)))},
            data={"options": '{"calculate_similarity": true}', "id": f"part-{next(sizes)}"},
        )
        assert answer.status_code == 201, answer.text
        return answer

    def search() -> None:
        answer = client.post("/api/v1/vectors/search", headers=HEADERS, json={"id": first, "k": 5})
        assert len(answer.json()["hits"]) > 1, answer.text

    def reload() -> None:
        path = f"model-{next(sizes)}.pkl"
        _write_model(folder / "models" / path, next(sizes))
        answer = client.post("/api/v1/model/reload", headers=ADMIN_HEADERS, json={"path": path})
        assert answer.status_code == 200, answer.text

    with TestClient(create_app(settings_for(folder))) as client:
        wait_until_ready(client)
        while client.get("/health").json()["sandbox"] is None:  # it is tried out beside the requests
            time.sleep(0.05)
        found = {"upload": recorder.count(upload)}
        first = upload().json()["id"]
        # On a busy machine the upload before may still be coming to its end beside it.
        found["search"] = min(recorder.count(search), recorder.count(search))
        found["ingest"] = _ingest(recorder, folder)
        found["reload"] = recorder.count(reload)
    return found


def _ingest(recorder: Recorder, folder: Path) -> Journey:
    """Ingest a folder of one file again and again."""
    from cadml_core.runtime import build_runtime
    from tests.integration.http.server import settings_for, tetrahedron

    parts = folder / "parts"
    parts.mkdir()
    (parts / "part.stl").write_bytes(tetrahedron())
    with build_runtime(settings_for(folder / "ingest")) as runtime:

        def ingest() -> Any:
            return ingest_again(runtime, parts)

        assert ingest().added == 1
        return recorder.count(ingest)


def ingest_again(runtime: Any, folder: Path) -> Any:
    """Ingest a folder."""
    from cadml_core.intake.ingest import ingest
    from cadml_core.intake.ingest_report import IngestOptions

    return ingest([folder], intake=runtime.intake, options=IngestOptions(versions=("v3",)))


def _write_model(path: Path, seed: int) -> None:
    """Train a small forest on noise."""
    import numpy as np
    from sklearn.ensemble import ExtraTreesClassifier

    rows = np.random.default_rng(seed).normal(size=(20, 22))
    model = ExtraTreesClassifier(2, random_state=seed).fit(rows, ["a", "b"] * 10)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(model, protocol=5))


def main(shown: list[str]) -> int:
    """Print the table; 1 where a journey is longer than it should be."""
    with tempfile.TemporaryDirectory() as folder, journeys(Path(folder)) as found:
        print(f"{'journey':10} {'files':>5} {'at most':>7} {'functions':>9} {'moves':>5}")
        for name, journey in found.items():
            print(f"{name:10} {journey.files:5} {LIMITS[name]:7} {journey.functions:9} {journey.moves:5}")
        for name in shown:
            print(f"\n{name}:", *found[name].steps, sep="\n  ")
    return int(any(found[name].files > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]
    sys.exit(main(sys.argv[1:]))
