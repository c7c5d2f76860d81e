"""What the host, the launcher and the workers say to one another: length-prefixed msgpack frames."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec

from cadml_core import errors
from cadml_core.contracts import ReadLimits
from cadml_core.errors import CadmlError
from cadml_core.extraction.reading import Reading

MAX_FRAME = 64 * 1024**2
"""Largest answer in bytes; a document summary is a few kilobytes."""

_LENGTH = struct.Struct("!I")
EXIT = struct.Struct("!iQ")
"""How the launcher reports a worker's end: wait status, peak resident memory in KiB."""


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


_encoder = msgspec.msgpack.Encoder(enc_hook=str)


def frame(message: msgspec.Struct) -> bytes:
    """Encode a message with its length in front. A context value of a foreign type becomes text."""
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
        message=error.message,
        context=error.context,
        traceback=traceback,
    )


def error_of(failure: Failure) -> CadmlError:
    """Make the error again."""
    kind: type[CadmlError] = vars(errors)[failure.kind]
    return errors.rebuild(kind, failure.message, failure.code, failure.stage, failure.context)
