"""What the host and a model's process send one another: numbers and short texts, checked on arrival.

The process is not trusted once it has seen a model. Nothing that it sends is unpickled or evaluated; types,
lengths and ranges are checked before anything is used.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from cadml_core.documents.arrays import FloatMatrix
from cadml_core.isolation.protocol import distrusted

MAX_ANSWER = 4 * 1024**2
MAX_LABELS = 10_000
MAX_LABEL = 200
"""Characters of one label."""
LOAD, PREDICT = b"L", b"P"
"""The first byte of a request; after it a ``LoadJob``, or the row as float64."""

Label = Annotated[str, Meta(max_length=MAX_LABEL)]
Text = Annotated[str, Meta(max_length=1000)]


class LoadJob(msgspec.Struct, frozen=True):
    """A model to load and to try out."""

    data: bytes
    allowed: tuple[str, ...]
    """The globals that the scan saw."""
    width: int | None
    """How many numbers a row has, where the model does not say."""
    rows: bytes
    """Rows to try out, as float64, each of ``width`` numbers."""
    seed: int
    """For rows of another width, should the model want one."""


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """It loads and predicts."""

    width: Annotated[int, Meta(ge=1, le=1_000_000)]
    model_type: Text
    labels: Annotated[tuple[Label, ...], Meta(max_length=MAX_LABELS)] = ()
    """Those it can answer, in the order of its probabilities; empty where it does not say."""
    warnings: Annotated[tuple[Text, ...], Meta(max_length=8)] = ()


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It cannot be loaded, or does not answer."""

    code: Annotated[str, Meta(pattern="^(MODEL_LOAD_FAILED|MODEL_INTERFACE_INVALID)$")]
    message: Text


class Predicted(msgspec.Struct, frozen=True, tag=True):
    """What it says of one row."""

    label: Label
    probabilities: Annotated[tuple[float, ...], Meta(max_length=MAX_LABELS)] = ()


class Unloaded(msgspec.Struct, frozen=True, tag=True):
    """The process holds no model; it is another one than the model was loaded in."""


Message = Loaded | Refused | Predicted | Unloaded
_messages = msgspec.msgpack.Decoder(Message)


def decoded(body: bytes) -> Message:
    """Check and return what a model's process sent.

    Raises:
        ValueError: It is no message, or is not plausible.
    """
    message: Message = distrusted(body, _messages)
    texts: tuple[str, ...] = message.labels if isinstance(message, Loaded) else ()
    if isinstance(message, Predicted):
        texts = (message.label,)
    if not all(map(str.isprintable, texts)):
        raise ValueError("a label with characters that cannot be shown")
    if isinstance(message, Predicted) and not all(map(_is_probability, message.probabilities)):
        raise ValueError("a probability that is none")
    return message


def _is_probability(value: float) -> bool:
    return math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6


def row_bytes(rows: FloatMatrix) -> bytes:
    """Encode rows of numbers."""
    return rows.astype("<f8", order="C").tobytes()
