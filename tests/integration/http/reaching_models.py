"""Models that try to get out while they answer, and say in their label whether they could."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.classifier.tiny import Constant
from tests.unit.isolation.deeds import DEEDS

DID = "did:"
"""How a label begins that tells of a deed that worked."""


class Reaches(Constant):
    """Does a deed at every question."""

    def __init__(self, deed: str, argument: str) -> None:
        super().__init__("good")
        self.deed = deed
        self.argument = argument

    def predict(self, rows: Any) -> Any:
        """Tell what came of it."""
        argument = str(os.getppid()) if self.argument == "parent" else self.argument
        try:
            done = DEEDS[self.deed](argument)
        except (OSError, MemoryError, ValueError, ImportError):
            return super().predict(rows)
        return np.array([f"{DID} {self.deed} {done[:40]!r}"] * len(rows))


class ReachesWhenLoaded(Reaches):
    """Does a deed while it is loaded."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)
        self.label = str(self.predict([0])[0])


class Babbles(Constant):
    """Answers what is no answer: of a kind."""

    def __init__(self, kind: str) -> None:
        super().__init__("good")
        self.kind = kind
        self.classes_ = np.array(["good", "bad"])

    def predict(self, rows: Any) -> Any:
        """Answer oddly."""
        odd = {
            "escape": "a\x1b[2J",
            "bidi": "\u202eb",
            "newline": "a\nb",
            "huge": "x" * 10_000_000,
            "surrogate": "\ud800",
        }
        if self.kind == "rows":
            return np.array(["good"] * 1000)
        if self.kind == "nothing":
            return None
        return np.array([odd.get(self.kind, "good")] * len(rows), dtype=object)

    def predict_proba(self, rows: Any) -> Any:
        """Answer oddly."""
        odd = {"nan": [np.nan, 1.0], "many": [0.1] * 1_000_000, "negative": [-5.0, 6.0]}
        return np.array([odd.get(self.kind, [0.5, 0.5])] * len(rows))


class Writes(Constant):
    """Writes to every descriptor that it holds, whatever is there: answers, lengths and garbage."""

    def __init__(self, content: bytes) -> None:
        super().__init__("good")
        self.content = content

    def predict(self, rows: Any) -> Any:
        """Write, then answer."""
        for descriptor in range(100):
            try:
                os.write(descriptor, self.content)
            except OSError:
                continue
        return super().predict(rows)


class Prints(Constant):
    """Prints without end."""

    def predict(self, rows: Any) -> Any:
        """Print a hundred megabytes."""
        for _ in range(100):
            sys.stdout.write("x" * 1_000_000)
        return super().predict(rows)


def deeds(folder: Path, data: Path, host: int) -> dict[str, Any]:
    """Return models that try everything that a confined process may not, by what they try.

    Args:
        folder: Where the file ``secret`` is, a socket ``d`` and whatever else is to stay as it is.
        data: The data folder of the server.
        host: Process id of the server.
    """
    secret = str(folder / "secret")
    tried = [
        *(("read", path) for path in (secret, "/etc/passwd", "/proc/self/environ", f"/proc/{host}/environ")),
        *(("read", str(path)) for path in sorted(data.glob("*.db*"))),
        *(
            ("write", str(at / "written"))
            for at in (folder, data, data / "models", Path("/tmp"), Path("/dev/shm"))
        ),
        ("write", secret),
        ("write", "written"),
        ("remove", secret),
        ("change_unopened", secret),
        ("watch", str(folder)),
        ("connect", "127.0.0.1:80"),
        ("datagram", str(folder / "d")),
        ("send_from_own", str(folder / "d")),
        ("ask_system", "true"),
        ("unpickle", secret),
        ("map_file", str(folder / "mapped")),
        *((deed, "parent") for deed in ("attach", "kill", "signal_by_file", "read_memory", "limit_other")),
        *((deed, str(host)) for deed in ("attach", "kill", "signal_by_file", "read_memory")),
        *(
            (deed, "")
            for deed in ("fork_bomb", "program", "replace_itself", "clone", "leave_group", "outlive")
        ),
        *((deed, "") for deed in ("ring", "namespace", "hoard_shared", "hoard_file")),
    ]
    found = {
        f"{'loading: ' if kind is ReachesWhenLoaded else ''}{deed} {argument}": kind(deed, argument)
        for kind in (Reaches, ReachesWhenLoaded)
        for deed, argument in tried
    }
    odd = ("escape", "bidi", "newline", "huge", "surrogate", "rows", "nothing", "nan", "many", "negative")
    babbling = {f"answers {kind}": Babbles(kind) for kind in odd}
    nested = b"\x00\x00\xff\xff" + b"\x91" * 0xFFFF
    lies = (b"\xff" * 100_000, b"\x00" * 8, b"\x00\x00\x00\x01\xc0", nested, b"\x00\x10\x00\x00" + b"a" * 10)
    writing = {f"writes {content[:6]!r}": Writes(content) for content in lies}
    return {**found, **babbling, **writing, "prints": Prints("good"), "threads": Reaches("threads", "100000")}
