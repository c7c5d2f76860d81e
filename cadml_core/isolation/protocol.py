"""What the host, the launcher and the workers say to one another: length-prefixed msgpack frames."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from cadml_core import errors
from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import CadmlError
from cadml_core.reading.identity import FileIdentity
from cadml_core.reading.reading import Reading

MAX_FRAME = 64 * 1024**2
"""Largest answer in bytes; a document summary is a few kilobytes."""

_LENGTH = struct.Struct("!I")
EXIT = struct.Struct("!iQ")
"""How the launcher reports a worker's end: wait status, and by how many bytes it had grown at its peak."""


class Start(msgspec.Struct, frozen=True):
    """Host to launcher, once."""

    readers: bytes
    """The pickled mappings of format adapters and feature versions."""
    limits: ReadLimits
    folder: bytes
    """Where temporary files go."""


class Ready(msgspec.Struct, frozen=True):
    """Launcher to host, once: it can fork workers, or why it cannot."""

    error: str = ""
    warnings: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True):
    """Host to worker: one file."""

    path: bytes
    versions: tuple[str, ...]
    identity: FileIdentity | None = None
    adapter: str | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A ``CadmlError`` on its way to the host, which may not know the class that raised it."""

    kind: str
    code: str
    stage: str
    message: str
    context: dict[str, Any]
    traceback: str = ""
    """For the log, where the error was unforeseen."""
    memory: bool = False
    """The worker met its memory limit."""


class Answer(msgspec.Struct, frozen=True):
    """Worker to host: exactly one of reading and failure."""

    reading: Reading | None = None
    failure: Failure | None = None
    retires: bool = False
    """The worker ends itself after this answer, to give back memory."""


_encoder = msgspec.msgpack.Encoder()
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_TEXT = 2000
_INTEGERS = range(-(2**63), 2**63)


def frame(message: msgspec.Struct) -> bytes:
    """Encode a message with its length in front."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Collects received bytes until a frame is complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Add bytes; return the body of the frame once it is complete.

        Raises:
            ValueError: The frame claims to be longer than ``MAX_FRAME``.
        """
        self._buffer += data
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME:
            raise ValueError(f"a frame of {length:,} bytes; allowed {MAX_FRAME:,}")
        end = _LENGTH.size + length
        return bytes(self._buffer[_LENGTH.size : end]) if len(self._buffer) >= end else None


def receive(read: Callable[[int], bytes]) -> bytes | None:
    """Read one frame by blocking calls; None where the other side is gone."""
    frames = Frames()
    while chunk := read(65536):
        if (body := frames.feed(chunk)) is not None:
            return body
    return None


def failure_of(error: CadmlError, traceback: str = "") -> Failure:
    """Describe an error by the nearest class that every host knows."""
    known = next(kind for kind in type(error).__mro__ if vars(errors).get(kind.__name__) is kind)
    return Failure(
        kind=known.__name__,
        code=error.code,
        stage=error.stage,
        message=showable(error.message),
        context={showable(str(key)): plain(value) for key, value in error.context.items()},
        traceback=showable(traceback, 10 * _LONGEST_TEXT),
    )


def showable(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return text that any encoder and terminal accepts.

    Messages quote damaged files. Control characters and badly decoded bytes become escapes; of a
    text that is too long the middle is left out.
    """
    if len(text) > longest:
        text = f"{text[: longest // 2]} ... {text[-longest // 4 :]}"
    return _UNSHOWABLE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def plain(value: Any) -> Any:
    """Return a value as plain data that any encoder accepts; what is no plain data becomes text."""
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {showable(str(key)): plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, int) and value in _INTEGERS:
        return int(value)
    return showable(str(value))


def error_of(failure: Failure) -> CadmlError:
    """Make the error again."""
    kind: type[CadmlError] = vars(errors)[failure.kind]
    return errors.rebuild(kind, failure.message, failure.code, failure.stage, failure.context)
