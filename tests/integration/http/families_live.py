"""Load every family of hostile state into a live server, one by one, and see that nothing comes of it.

    python -m tests.integration.http.families_live [--modes blacklist,whitelist,audit] [--each]

Each is written as a pickle, under joblib's extension, and as joblib compresses it; loaded; and, where it
serves, asked three times. In audit mode the policies stop nothing, so the sandbox alone holds what they would
refuse, and models that try to get out. Fails where a file outside is opened or changed, a process is left, an
answer holds a secret, or an operator's request takes longer than a second.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pickle
import socket
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.fuzz.hostile_families import families
from tests.fuzz.hostile_state import DATA
from tests.integration.http.reaching_models import DID, deeds
from tests.integration.http.server import ADMIN, ADMIN_HEADERS, KEY, LiveServer, tetrahedron
from tests.unit.classifier.tiny import Constant

ROOT = Path(__file__).parents[3]
LONGEST = 1.0
"""Seconds that an operator's request may take."""
SECRET = "canary-1f7c9b"
WIDTH = 22
_OPENED = 0x20 | 0x01 | 0x02 | 0x04 | 0x100 | 0x200 | 0x40 | 0x80
"""inotify: opened, read, written, changed in mode or time, made, removed, moved."""


class Canary:
    """A folder with a secret that nobody may touch, and the kernel's record of who did."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "secret").write_text(SECRET)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "d"))
        self._socket.setblocking(False)
        libc = ctypes.CDLL(None)
        self._watch = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._watch, str(folder).encode(), _OPENED) >= 0

    def touched(self) -> str:
        """Return what happened to the folder, empty where nothing did."""
        found = []
        with suppress(BlockingIOError):
            found.append(f"the folder was touched: {os.read(self._watch, 1000)!r}")
        with suppress(BlockingIOError):
            found.append(f"a message arrived: {self._socket.recv(100)!r}")
        return "; ".join(found)


class Operator:
    """Looks at the server all the time, and remembers the slowest answer and every process."""

    def __init__(self, server: LiveServer) -> None:
        self.slowest = 0.0
        self.problems: list[str] = []
        self.seen: set[psutil.Process] = set()
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        host = psutil.Process(self._server.process.pid)
        with self._server.client() as client:
            client.headers.update(ADMIN_HEADERS)
            while not self._stop.wait(0.05):
                for path in ("/ready", "/api/v1/model/version"):
                    self.ask(lambda path=path: client.get(path), path)  # type: ignore[misc]
                self.seen.update(host.children(recursive=True))

    def ask(self, request: Callable[[], httpx.Response], name: str) -> None:
        """Send a request that must not wait."""
        start = time.perf_counter()
        try:
            answer = request()
        except httpx.HTTPError as error:
            self.problems.append(f"{name}: {type(error).__name__}")
            return
        took = time.perf_counter() - start
        self.slowest = max(self.slowest, took)
        if took > LONGEST or answer.status_code not in (200, 404):
            self.problems.append(f"{name}: {answer.status_code} after {took:.2f} s")

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join()


class Trial:
    """One server in one mode, and what came of each model."""

    def __init__(self, folder: Path, mode: str, canary: Canary) -> None:
        self.folder, self.mode, self.canary = folder, mode, canary
        self.outcomes: dict[str, Counter[str]] = {}
        self.problems: list[str] = []
        self.slowest = 0.0
        self._size = 1.0

    def run(self, models: Iterator[tuple[str, str, dict[str, bytes]]], each: bool) -> None:
        """Load every model in a server with a good one."""
        (self.folder / "models").mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        (self.folder / "models" / "good.pkl").write_bytes(pickle.dumps(Constant("good")))
        with self._served() as (client, operator):
            self._answered(client.post("/api/v1/model/reload", json={"path": "good.pkl"}))
            for group, name, files in models:
                for suffix, data in files.items():
                    outcome = self._tried(client, operator, f"{group}: {name}", suffix, data)
                    self.outcomes.setdefault(group, Counter())[outcome] += 1
                    if each:
                        print(f"   {self.mode:10}{outcome:10}{group}: {name}{suffix}", flush=True)
            answer = client.post("/api/v1/model/reload", json={"path": "good.pkl"})
            if answer.status_code != 200 or self._label(client) != "good":
                self.problems.append(f"the good model is lost: {answer.text}")
            operator.close()
            self.slowest = operator.slowest
            self.problems += operator.problems
        _, alive = psutil.wait_procs(list(operator.seen), timeout=10)
        self.problems += [f"left running: {process}" for process in alive]
        self.problems += [f"left on disk: {path}" for path in (self.folder / "tmp").iterdir()]

    @contextmanager
    def _served(self) -> Iterator[tuple[httpx.Client, Operator]]:
        entries = {"blacklist": "tests.*", "whitelist": GOOD}
        with LiveServer(
            self.folder,
            PYTHONPATH=str(ROOT),
            TMPDIR=str(self.folder / "tmp"),
            MODEL_OPCODE_MODE=self.mode,
            MODEL_OPCODE_WHITELIST=entries.get(self.mode, ""),
            MODEL_PREDICT_TIMEOUT_SECONDS="1",
            MODEL_LOAD_TIMEOUT_SECONDS="10",
            MODEL_MEMORY_MB="1024",
            CADML_LOG_LEVEL="error",
        ) as server:
            operator = Operator(server)
            try:
                with server.client() as client:
                    client.headers.update(ADMIN_HEADERS)
                    yield client, operator
            finally:
                operator.close()

    def _tried(self, client: httpx.Client, operator: Operator, name: str, suffix: str, data: bytes) -> str:
        (self.folder / "models" / f"hostile{suffix}").write_bytes(data)
        answer = client.post("/api/v1/model/reload", json={"path": f"hostile{suffix}"})
        said = self._answered(answer)
        outcome = "served" if answer.status_code == 200 else "refused"
        if answer.status_code != 200 and answer.json().get("code") in (
            "MODEL_LOAD_FAILED",
            "MODEL_INTERFACE_INVALID",
        ):
            outcome = "failed"
        if outcome == "served":
            said += "".join(self._answered(self._analyze(client)) for _ in range(3))
            operator.ask(lambda: client.post("/api/v1/model/rollback"), "rollback")
        wrong = [
            self.canary.touched(),
            *(f"its answer holds {secret!r}" for secret in (SECRET, ADMIN, KEY, DID) if secret in said),
        ]
        self.problems += [f"{self.mode}: {name}{suffix}: {problem}" for problem in wrong if problem]
        return outcome

    def _analyze(self, client: httpx.Client) -> httpx.Response:
        self._size += 0.001
        return client.post("/api/v1/analyze", files={"file": ("a.stl", tetrahedron(self._size))})

    def _label(self, client: httpx.Client) -> str | None:
        found = self._analyze(client).json()["classification"]
        return found["label"] if found else None

    def _answered(self, answer: httpx.Response) -> str:
        if answer.status_code >= 500 and answer.json().get("code") != "MODEL_LOAD_FAILED":
            self.problems.append(f"{self.mode}: {answer.status_code} {answer.text[:300]}")
        return answer.text


GOOD = f"{Constant.__module__}:{Constant.__qualname__}"


def written(data: bytes) -> dict[str, bytes]:
    """Return the files of one pickle by their extension."""
    return {".pkl": data, ".joblib": data, ".z.joblib": zlib.compress(data)}


def models(mode: str, folder: Path, canary: Path) -> Iterator[tuple[str, str, dict[str, bytes]]]:
    """Yield group, name and files of everything that is tried in a mode."""
    for family in list(families(canary)):  # fitting them takes the processor
        yield family.group, family.name, written(family.data)
    if mode != "whitelist":
        for name, model in deeds(canary, folder, os.getpid()).items():
            yield "reaching out", name, {".pkl": pickle.dumps(model)}


def main() -> int:
    """Print the table; 1 where something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", default="whitelist,blacklist,audit")
    parser.add_argument("--each", action="store_true", help="a line for every file")
    arguments = parser.parse_args()
    DATA.widen(WIDTH)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for mode in arguments.modes.split(","):
            folder = Path(name) / mode
            canary = Canary(Path(name) / f"canary of {mode}")
            trial = Trial(folder, mode, canary)
            trial.run(models(mode, folder, canary.folder), arguments.each)
            table(trial)
            wrong += trial.problems
    print(*wrong, sep="\n")
    return bool(wrong)


def table(trial: Trial) -> None:
    """Print what came of each group."""
    kinds = ("refused", "failed", "served")
    print(f"{trial.mode:20}" + "".join(f"{kind:>10}" for kind in kinds))
    total: Counter[str] = sum(trial.outcomes.values(), Counter())
    for group, counts in [*trial.outcomes.items(), ("all", total)]:
        print(f"  {group:18}" + "".join(f"{counts[kind]:>10}" for kind in kinds))
    print(
        f"  slowest answer to the operator {1000 * trial.slowest:.0f} ms; {len(trial.problems)} problems",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
