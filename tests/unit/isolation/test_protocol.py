"""Frames and errors on their way between the host and its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cadml_core.errors import CadmlError, DimensionMismatch, LimitExceeded, MalformedFile, UnreadableInput
from cadml_core.isolation.protocol import Answer, Failure, Frames, decoded, error_of, failure_of, message
from tests.integration.evil_readers import OwnRefusal


def through(error: CadmlError) -> CadmlError:
    """Send an error over the wire."""
    body = message(Answer(failure=failure_of(error)))[4:]
    failure = decoded(body).failure
    assert isinstance(failure, Failure)
    return error_of(failure)


@pytest.mark.parametrize(
    "error",
    [
        MalformedFile("line 7", line=7),
        LimitExceeded("max_entities", found=3, allowed=2),
        DimensionMismatch(expected=7, found=8),
        UnreadableInput("gone", path="x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_as_it_was(error: CadmlError) -> None:
    """Class, code, stage, message and context are kept, whatever the class's own arguments are."""
    there = through(error)
    assert type(there) is type(error)
    assert there.problem().__class__ is error.problem().__class__
    assert (there.code, there.stage, there.message, there.context) == (
        error.code, error.stage, error.message, error.context,
    )  # fmt: skip
    assert str(there) == str(error)


def test_a_class_that_the_host_does_not_know_arrives_as_its_nearest_base() -> None:
    """A plugin's own error class needs no import in the host."""
    assert type(through(OwnRefusal("own"))) is MalformedFile


def test_a_context_of_foreign_types_becomes_text() -> None:
    """What is no plain data is shown as text instead of failing."""
    assert through(MalformedFile("x", where=Path("a/b"), odd={1, 2})).context["where"] == "a/b"


def test_a_message_that_quotes_a_damaged_file_can_be_shown() -> None:
    """Badly decoded bytes and terminal escapes are made visible, and a long line is shortened."""
    context: dict[str, Any] = {"line": "\udc80", "k\udc81": 1}
    there = through(MalformedFile("bad \udcff line \x1b[2J\n\ttab", **context))
    assert there.message == "bad \\udcff line \\x1b[2J\n\ttab"
    assert there.context == {"line": "\\udc80", "k\\udc81": 1}
    assert 1000 < len(through(MalformedFile("x" * 10**6)).message) < 2000


def test_a_context_may_hold_any_numbers() -> None:
    """What no encoder takes, or JSON has no word for, becomes text."""
    found: dict[str, Any] = {"nan": float("nan"), "huge": 10**30, "deep": {"list": [1, (2.5, None, True)]}}
    there = through(MalformedFile("x", **found))
    assert there.context == {"nan": "nan", "huge": str(10**30), "deep": {"list": [1, [2.5, None, True]]}}


def test_frames_are_put_together_from_any_pieces() -> None:
    """A frame may arrive byte by byte."""
    data = message(Answer(retires=True))
    frames = Frames(longest=1000)
    assert [frames.feed(data[i : i + 1]) for i in range(len(data) - 1)] == [None] * (len(data) - 1)
    body = frames.feed(data[-1:])
    assert body is not None
    assert msgspec.msgpack.decode(body, type=Answer) == Answer(retires=True)


def test_a_frame_that_claims_too_much_is_refused_at_once() -> None:
    """A worker whose memory is damaged cannot make the host allocate gigabytes."""
    with pytest.raises(ValueError, match="a frame of"):
        Frames(longest=1000).feed((1001).to_bytes(4, "big"))
