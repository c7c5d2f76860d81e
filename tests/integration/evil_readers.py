"""Format adapters that do what they must not: each reads files of its own suffix in its own bad way."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.msgpack import encode
from msgspec.structs import replace

from cadml_core import (
    BoundingBox,
    CadDocument,
    FeatureSlot,
    FeatureVersion,
    FormatAdapter,
    MalformedFile,
    Metric,
    ReadLimits,
)
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import CadmlError
from cadml_core.isolation.protocol import Answer, Failure, message
from cadml_core.reading.reading import Reading

BOX = BoundingBox((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))


def document(name: str, **fields: Any) -> CadDocument:
    """A small document."""
    return CadDocument(format=name, **{"entity_counts": {"LINE": 4}, "bounding_box": BOX, **fields})


class Evil:
    """An adapter for files that begin with its name."""

    version = "1"
    media_types: tuple[str, ...] = ()

    def __init__(self, name: str, deed: Callable[[Path, ReadLimits], CadDocument]) -> None:
        self.name = name
        self.suffixes: tuple[str, ...] = (f".{name}",)
        self.deed = deed

    def sniff(self, head: bytes) -> bool:
        """Compare the first word."""
        return head.split(b"\n")[0] == self.name.encode()

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Do the deed."""
        return self.deed(path, limits)


class Stubborn(Exception):
    """Cannot be pickled, nor made from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("no")
        self.lock = sys.stdout


class OwnRefusal(MalformedFile):
    """An adapter's own class, unknown to the host."""


def good(path: Path, limits: ReadLimits) -> CadDocument:
    """Behave."""
    return document("good", properties={"pid": os.getpid(), "mesh": limits.mesh is not None})


def segfault(path: Path, limits: ReadLimits) -> CadDocument:
    """Die as a kernel does on a damaged file."""
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def killed(path: Path, limits: ReadLimits) -> CadDocument:
    """Die as under the machine's OOM killer."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def leaves(path: Path, limits: ReadLimits) -> CadDocument:
    """End the process with an exit code."""
    os._exit(3)


def exits(path: Path, limits: ReadLimits) -> CadDocument:
    """Raise SystemExit."""
    sys.exit("goodbye")


def hangs(path: Path, limits: ReadLimits) -> CadDocument:
    """Never return, deaf to every signal that can be blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL})
    while True:
        pass


def labours(path: Path, limits: ReadLimits) -> CadDocument:
    """Use the processor for 0.7 s."""
    start = time.process_time()
    while time.process_time() - start < 0.7:
        pass
    return document("labours", properties={"pid": os.getpid()})


def spins(path: Path, limits: ReadLimits) -> CadDocument:
    """Never return, as a kernel does that follows a loop in a file."""
    while True:
        pass


def dozes(path: Path, limits: ReadLimits) -> CadDocument:
    """Take two seconds on the clock and no processor, as on a machine with other things to do."""
    time.sleep(2.0)
    return document("dozes")


def sleeps(path: Path, limits: ReadLimits) -> CadDocument:
    """Take half a second."""
    time.sleep(0.5)
    return document("sleeps")


def devours(path: Path, limits: ReadLimits) -> CadDocument:
    """Take memory without end."""
    hoard = []
    while True:
        hoard.append(bytearray(16 * 1024**2))


def devours_quietly(path: Path, limits: ReadLimits) -> CadDocument:
    """Hide the MemoryError behind a refusal, as a broad except does."""
    try:
        return devours(path, limits)
    except MemoryError as error:
        raise MalformedFile("something went wrong") from error


def unchecked(path: Path, limits: ReadLimits) -> CadDocument:
    """Take memory up to the limit, then die by a segmentation fault, as a kernel that does not check."""
    hoard = []
    try:
        while True:
            hoard.append(bytearray(4 * 1024**2))
    except MemoryError:
        os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def heavy(path: Path, limits: ReadLimits) -> CadDocument:
    """Take nearly all of the limit, give it back, and read."""
    bytearray(int(0.8 * limits.max_memory_mb) * 1024**2)
    return document("heavy", properties={"pid": os.getpid()})


def aborts(path: Path, limits: ReadLimits) -> CadDocument:
    """Die as C++ does where an allocation fails."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def sockets() -> Iterator[int]:
    """Every socket that this process has."""
    for descriptor in range(3, 100):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                yield descriptor


def babbles(path: Path, limits: ReadLimits) -> CadDocument:
    """Write over the connection to the host, as damaged memory might."""
    for descriptor in sockets():
        os.write(descriptor, b"\0\0\0\x05babble")
    return document("babbles")


def forge(answer: Answer) -> None:
    """Send this answer to the host, as a reader that a file has taken over may do."""
    data = message(answer)
    senders = []
    for descriptor in sockets():
        # In threads, as nobody may listen at the other end of one that is not the one of the host.
        senders.append(threading.Thread(target=os.write, args=(descriptor, data), daemon=True))
        senders[-1].start()
    for sender in senders:
        sender.join(0.3)


def forges(path: Path, limits: ReadLimits) -> CadDocument:
    """Send an answer of the right form that holds no reading, and then read."""
    forge(Answer(body=b"not a reading"))
    return document("forges")


DEEP = b"\x91" * 100_000 + b"\xc0"
"""A list in a list in a list, in MessagePack."""
FAILURE = Failure(kind="MalformedFile", code="PARSE_FAILED", stage="parse", message="bad", context={})
HONEST = Reading(
    sha256="0" * 64,
    size=1,
    format="good",
    adapter_version="1",
    document=CadDocument(format="good"),
    vectors={},
    seconds=0.0,
    read_seconds=0.0,
    extract_seconds={},
)
FORGED = {
    "unknown kind": Answer(failure=replace(FAILURE, kind="Nonsuch")),
    "a kind that is no error": Answer(failure=replace(FAILURE, kind="ERROR_CODES")),
    "a kind that is no class of ours": Answer(failure=replace(FAILURE, kind="datetime")),
    "unknown code": Answer(failure=replace(FAILURE, code="ALL_IS_WELL")),
    "long message": Answer(failure=replace(FAILURE, message="a" * 5000)),
    "long stage": Answer(failure=replace(FAILURE, stage="a" * 5000)),
    "large context": Answer(failure=replace(FAILURE, context={"a": "a" * 2**20})),
    "deep context": Answer(failure=replace(FAILURE, context={"a": msgspec.Raw(DEEP)})),
    "a context nobody can print": Answer(
        failure=replace(FAILURE, context={"a": msgspec.msgpack.Ext(1, b"")})
    ),
    "a context that is no number": Answer(failure=replace(FAILURE, context={"a": float("nan")})),
    "a message that moves the cursor": Answer(failure=replace(FAILURE, message="\x1b[2J")),
    "deep reading": Answer(body=b"\x81\xa1x" + DEEP),
    "failure and body": Answer(failure=FAILURE, body=b""),
    "unknown format": Answer(body=encode(replace(HONEST, format="nonsuch"))),
    "another version": Answer(body=encode(replace(HONEST, adapter_version="666"))),
    "vectors nobody wanted": Answer(body=encode(replace(HONEST, vectors={"v": [1.0]}))),
    "another content": Answer(body=encode(HONEST)),
    "no content": Answer(body=encode(replace(HONEST, sha256="../../x"))),
}


def forges_by_name(path: Path, limits: ReadLimits) -> CadDocument:
    """Send the answer that the file names."""
    forge(FORGED[path.read_text().partition("\n")[2].strip()])
    return document("forges_by_name")


def verbose(path: Path, limits: ReadLimits) -> CadDocument:
    """Return far more than a document may hold."""
    return document("verbose", layers=tuple(f"layer {number:060}" for number in range(1_200_000)))


def stubborn(path: Path, limits: ReadLimits) -> CadDocument:
    """Raise what no other process can rebuild."""
    raise Stubborn(1, 2)


def refuses(path: Path, limits: ReadLimits) -> CadDocument:
    """Refuse properly, with a class of its own and a context that is no JSON."""
    raise OwnRefusal("line 7: no such entity", line=7, where=Path("x"))


def chatters(path: Path, limits: ReadLimits) -> CadDocument:
    """Write to standard output, from C and from Python."""
    os.write(1, b"*** kernel says hello ***\n")
    print("and so does Python", flush=True)
    return document("chatters")


def peeks(path: Path, limits: ReadLimits) -> CadDocument:
    """Tell the environment."""
    return document("peeks", layers=tuple(f"{name}={value}" for name, value in os.environ.items()))


def litters(path: Path, limits: ReadLimits) -> CadDocument:
    """Leave a temporary folder behind."""
    folder = tempfile.mkdtemp()
    Path(folder, "left").write_bytes(b"behind")
    return document("litters", properties={"folder": folder})


def breeds(path: Path, limits: ReadLimits) -> CadDocument:
    """Start a child process, then die."""
    subprocess.Popen(["sleep", "1000"])
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def nothing(path: Path, limits: ReadLimits) -> CadDocument:
    """Return no document."""
    return None  # type: ignore[return-value]


def infinite(path: Path, limits: ReadLimits) -> CadDocument:
    """Return an area that is no number."""
    return document("infinite", area=float("inf"))


def countless(path: Path, limits: ReadLimits) -> CadDocument:
    """Return a count that no database takes."""
    return document("countless", surface_count=2**69)


def quotes(path: Path, limits: ReadLimits) -> CadDocument:
    """Refuse with a message that quotes undecodable bytes of the file."""
    raise MalformedFile("line 7: '\udcff'", value="\udcff", found=10**30)


def surrogate(path: Path, limits: ReadLimits) -> CadDocument:
    """Return a name that was decoded badly."""
    return document("surrogate", layers=("caf\udce9",))


def touches(path: Path, limits: ReadLimits) -> CadDocument:
    """Change the file while reading it; where that is forbidden, wait until somebody else does."""
    with contextlib.suppress(PermissionError):
        path.write_bytes(b"touches\nand more\n")
    for _ in range(1000):
        if path.stat().st_size > len("touches\n"):
            break
        time.sleep(0.01)
    return document("touches")


def grows(path: Path, limits: ReadLimits) -> CadDocument:
    """Leak 300 MiB."""
    KEPT.append(bytearray(300 * 1024**2))
    return document("grows", properties={"pid": os.getpid()})


KEPT: list[bytearray] = []
DEEDS = (
    good, segfault, killed, leaves, exits, hangs, labours, spins, dozes, sleeps, devours, devours_quietly,
    unchecked, heavy, aborts, babbles, verbose, stubborn, refuses, chatters, peeks, litters, breeds, nothing,
    infinite, countless, quotes, surrogate, touches, grows, forges, forges_by_name,
)  # fmt: skip
FORMATS: dict[str, FormatAdapter] = {deed.__name__: Evil(deed.__name__, deed) for deed in DEEDS}


class Version:
    """A feature version that returns what it was made with."""

    metric: Metric = "l2"
    slots = tuple(FeatureSlot(name, "geometric", "v1", "mm", "A length.") for name in ("width", "height"))

    def __init__(self, name: str, values: list[float], needs_mesh: bool = False) -> None:
        self.name = name
        self.values = values
        self.needs_mesh = needs_mesh

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the values."""
        return np.array(self.values)

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Return them as they are."""
        return values.astype(np.float32)


class Raising(Version):
    """A feature version that raises."""

    def extract(self, document: CadDocument) -> FloatVector:
        """Raise."""
        raise CadmlError("no") if self.values else ZeroDivisionError("by zero")


FEATURES: dict[str, FeatureVersion] = {
    version.name: version
    for version in (
        Version("flat", [1.0, 2.0]),
        Version("meshed", [1.0, 2.0], needs_mesh=True),
        Version("nan", [1.0, float("nan")]),
        Version("short", [1.0]),
        Raising("raising", []),
    )
}
