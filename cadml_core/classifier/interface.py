"""Check that an object can serve as a model: it predicts one label from one row of numbers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray


class Answer(msgspec.Struct, frozen=True):
    """What a model says of one row."""

    label: str
    probabilities: dict[str, float] | None = None
    """Label -> probability, where the model estimates them."""


class InterfaceProblem(Exception):
    """The object cannot serve as a model; the message says why."""


def input_width(model: Any, expected: int | None) -> int:
    """Return how many numbers a row has: what the model was fitted to, else what is expected."""
    width = getattr(model, "n_features_in_", expected)
    if isinstance(width, int | np.integer) and 1 <= width <= 1_000_000:
        return int(width)
    raise InterfaceProblem(f"it does not say how many numbers it takes (n_features_in_ is {width!r:.40})")


def probe(model: Any, expected: int | None) -> int:
    """Ask the model for the label of a row of zeros, and return the row's length.

    Raises:
        InterfaceProblem: It has no ``predict``, is a class, was not fitted, or answers something else
            than one label.
    """
    if isinstance(model, type):
        raise InterfaceProblem(f"it is the class {model.__name__}, not an instance; pickle a fitted model")
    if not callable(getattr(model, "predict", None)):
        raise InterfaceProblem(f"an object of type {type(model).__name__} has no callable predict")
    width = input_width(model, expected)
    ask(model, np.zeros((1, width)))
    return width


def ask(model: Any, row: NDArray[np.floating[Any]]) -> Answer:
    """Return the model's answer to one row, (1, n).

    Raises:
        InterfaceProblem: It raises, or answers something else than one label.
    """
    try:
        predicted = np.asarray(model.predict(row)).reshape(-1)
        if predicted.size != 1:
            raise InterfaceProblem(f"predict answers {predicted.size} values for one row")
        return Answer(str(predicted[0]), _probabilities(model, row))
    except InterfaceProblem:
        raise
    # The model is third-party code: it may raise anything.
    except Exception as error:  # noqa: BLE001
        raise InterfaceProblem(f"predict raises {type(error).__name__}: {str(error)[:300]}") from None


def _probabilities(model: Any, row: NDArray[np.floating[Any]]) -> dict[str, float] | None:
    classes = getattr(model, "classes_", None)
    if classes is None or not callable(getattr(model, "predict_proba", None)):
        return None
    values = np.asarray(model.predict_proba(row), dtype=float).reshape(-1)
    if len(values) != len(classes) or not np.isfinite(values).all():
        return None
    return {str(label): float(value) for label, value in zip(classes, values, strict=True)}
