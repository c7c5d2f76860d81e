"""What host, fork server and workers send one another: length-prefixed frames, and errors as plain data."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from cadml_core import errors
from cadml_core.errors import CadmlError
from cadml_core.isolation.limits import Limits
from cadml_core.printable import printable

T = TypeVar("T")
_LENGTH = struct.Struct("!I")
EXIT = struct.Struct("!iQ")
"""The report of a worker's end: its wait status, and by how many bytes its memory had grown at its peak."""


class Start(msgspec.Struct, frozen=True):
    """Host to fork server, once."""

    program: bytes
    """A pickled ``Program``."""
    limits: Limits
    folder: bytes
    """Where temporary files go."""


class Ready(msgspec.Struct, frozen=True):
    """Fork server to host, once: it can fork workers, or why it cannot."""

    error: str = ""
    warnings: tuple[str, ...] = ()


class Fault:
    """Mixed into an error class: third-party code broke its contract, so the host logs the traceback."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A ``CadmlError`` on its way to the host, which may not know the class that raised it."""

    kind: str
    code: str
    stage: str
    message: str
    context: dict[str, Any]
    traceback: str = ""
    """For the log, where the error was unforeseen."""


class Answer(msgspec.Struct, frozen=True):
    """Worker to host: a body, or a failure, or neither where the worker reached its memory limit."""

    body: bytes | None = None
    failure: Failure | None = None
    retires: bool = False
    """The worker ends itself after this answer, to give back memory."""


_encoder = msgspec.msgpack.Encoder()
_LONGEST_TEXT = 2000
_LONGEST_FAILURE = 1024**2
_answers = msgspec.msgpack.Decoder(Answer)
_INTEGERS = range(-(2**63), 2**63)


def frame(body: bytes) -> bytes:
    """Put the length in front of a message."""
    return _LENGTH.pack(len(body)) + body


def message(content: msgspec.Struct) -> bytes:
    """Encode a message as a frame."""
    return frame(_encoder.encode(content))


class Frames:
    """Collects received bytes until a frame is complete.

    Args:
        longest: The longest body that is accepted, in bytes.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Add bytes; return the body of the frame once it is complete.

        Raises:
            ValueError: The frame claims to be longer than allowed.
        """
        self._buffer += data
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > self._longest:
            raise ValueError(f"a frame of {length:,} bytes; allowed {self._longest:,}")
        end = _LENGTH.size + length
        return bytes(self._buffer[_LENGTH.size : end]) if len(self._buffer) >= end else None


def receive(read: Callable[[int], bytes]) -> bytes | None:
    """Read one frame by blocking calls, from a peer that is trusted; None where it is gone."""
    head = _exactly(read, _LENGTH.size)
    return None if head is None else _exactly(read, _LENGTH.unpack(head)[0])


def _exactly(read: Callable[[int], bytes], size: int) -> bytes | None:
    """Read so many bytes and not one of the next frame; None where the peer is gone before."""
    found = bytearray()
    while len(found) < size:
        chunk = read(min(size - len(found), 1024**2))
        if not chunk:
            return None
        found += chunk
    return bytes(found)


def grant(readable: Iterable[str]) -> bytes:
    """Encode the files and folders that a worker may read: the host's first message to it."""
    return frame(_encoder.encode([os.fsencode(path) for path in readable]))


def granted(body: bytes) -> list[str]:
    """Return what a worker may read."""
    return [os.fsdecode(path) for path in msgspec.msgpack.decode(body, type=list[bytes])]


def failure_of(error: CadmlError, traceback: str = "") -> Failure:
    """Describe an error by the nearest class that every host knows."""
    known = next(kind for kind in type(error).__mro__ if vars(errors).get(kind.__name__) is kind)
    return Failure(
        kind=known.__name__,
        code=error.code,
        stage=error.stage,
        message=shown(error.message),
        context={shown(str(key)): plain(value) for key, value in error.context.items()},
        traceback=shown(traceback, 10 * _LONGEST_TEXT),
    )


def shown(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return text that any encoder and terminal accepts.

    Messages quote damaged files. Control characters and badly decoded bytes become escapes; of a
    text that is too long the middle is left out.
    """
    if len(text) > longest:
        text = f"{text[: longest // 2]} ... {text[-longest // 4 :]}"
    return printable(text, lines=True)


def plain(value: Any) -> Any:
    """Return a value as plain data that any encoder accepts; other objects become text."""
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {shown(str(key)): plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, int) and value in _INTEGERS:
        return int(value)
    return shown(str(value))


def decoded(body: bytes) -> Answer:
    """Decode what a worker sent as its answer. It may be compromised, and send anything.

    Raises:
        ValueError: It is no answer, or a failure of an unknown kind or code, or one that no honest worker
            sends: too long, too deep, or of other than plain data.
    """
    answer = distrusted(body, _answers)
    return answer if answer.failure is None else _believed(answer, answer.failure, len(body))


def distrusted(body: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Decode what a process has sent that may be compromised.

    Raises:
        ValueError: It is not what the decoder expects, or is nested deeper than Python goes.
    """
    try:
        return decoder.decode(body)
    except RecursionError:
        raise ValueError("an answer that is nested too deeply") from None


def _believed(answer: Answer, failure: Failure, size: int) -> Answer:
    kind = vars(errors).get(failure.kind)
    if not (isinstance(kind, type) and issubclass(kind, CadmlError)):
        raise ValueError("a failure of an unknown kind")
    if failure.code not in errors.ERROR_CODES:
        raise ValueError("a failure with an unknown code")
    if answer.body is not None:
        raise ValueError("a failure together with a body")
    longest = max(map(len, (failure.message, failure.stage))), len(failure.traceback)
    if longest[0] > _LONGEST_TEXT or longest[1] > 10 * _LONGEST_TEXT or size > _LONGEST_FAILURE:
        raise ValueError(f"a failure of {size:,} bytes")
    texts = failure.message, failure.stage, failure.traceback
    try:
        is_plain = plain(failure.context) == failure.context
    except RecursionError:
        is_plain = False
    if not is_plain or any(shown(text, 10 * _LONGEST_TEXT) != text for text in texts):
        raise ValueError("a failure that is not plain data")
    return answer


def error_of(failure: Failure) -> CadmlError:
    """Make the error again."""
    kind: type[CadmlError] = vars(errors)[failure.kind]
    return errors.rebuild(kind, failure.message, failure.code, failure.stage, failure.context)
