"""What a model's process sends is not believed before it was checked."""

from __future__ import annotations

import msgspec
import pytest

from cadml_core.classifier.messages import Predicted, decoded

PREDICTED = {"type": "Predicted", "label": "bolt", "probabilities": [1.0]}


def test_an_honest_answer_is_taken() -> None:
    """The others differ from it by one thing."""
    assert decoded(msgspec.msgpack.encode(PREDICTED)) == Predicted("bolt", (1.0,))


@pytest.mark.parametrize(
    "change",
    [
        {"label": "a" * 201},
        {"label": "\x1b[2J"},
        {"probabilities": [2.0]},
        {"probabilities": [float("nan")]},
        {"probabilities": [0.0] * 10_001},
        {"type": "Trusted"},
        {"more": msgspec.Raw(b"\x91" * 100_000 + b"\xc0")},
    ],
    ids=["long", "controls", "above one", "not a number", "many", "unknown", "deep"],
)
def test_what_no_honest_process_sends_is_refused(change: dict[str, object]) -> None:
    """As the one error that its caller expects, whatever is wrong."""
    with pytest.raises(ValueError):  # msgspec's and ours
        decoded(msgspec.msgpack.encode(PREDICTED | change))
