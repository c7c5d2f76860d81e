"""Ask a model for one label of a row of numbers, and see whether it can serve. Runs in its process."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_core.classifier.messages import MAX_LABEL, MAX_LABELS, Predicted
from cadml_core.documents.arrays import FloatMatrix

Row = NDArray[np.floating[Any]]
_SINGLE_ROWS_SECONDS = 2.0
"""How long single rows are tried, after all of them at once."""


class InterfaceProblem(Exception):
    """The object cannot serve as a model; the message says why."""


def input_width(model: Any, expected: int | None) -> int:
    """Return how many numbers a row has: what the model was fitted to, else what is expected."""
    width = getattr(model, "n_features_in_", expected)
    if isinstance(width, int | np.integer) and 1 <= width <= 1_000_000:
        return int(width)
    raise InterfaceProblem(f"it does not say how many numbers it takes (n_features_in_ is {width!r:.40})")


def labels_of(model: Any) -> tuple[str, ...]:
    """Return the labels that a model can answer, empty where it does not say or they are too many to list.

    Raises:
        InterfaceProblem: One is too long, or cannot be shown.
    """
    classes = getattr(model, "classes_", None)
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) > MAX_LABELS:
        return ()
    return tuple(map(_label, classes))


def require_interface(model: Any) -> None:
    """Check that an object has what a model must have.

    Raises:
        InterfaceProblem: It has no ``predict``, or is a class.
    """
    if isinstance(model, type):
        raise InterfaceProblem(f"it is the class {model.__name__}, not an instance; pickle a fitted model")
    if not callable(getattr(model, "predict", None)):
        raise InterfaceProblem(f"an object of type {type(model).__name__} has no callable predict")


def try_out(model: Any, rows: FloatMatrix) -> Predicted:
    """Ask a model about rows to try it on, (n, width); return the answer to the first.

    It must answer the first one. It may refuse others, as ordinary models do where a number becomes infinite;
    whether it survives them is what is tried here.

    Raises:
        InterfaceProblem: It raises for the first, or answers something else than one label for a row.
    """
    first = ask(model, rows[:1])
    with contextlib.suppress(Exception):
        model.predict(rows)
        if callable(getattr(model, "predict_proba", None)):
            model.predict_proba(rows)
    until = time.monotonic() + _SINGLE_ROWS_SECONDS
    for row in rows[1:]:
        if time.monotonic() > until:
            break
        with contextlib.suppress(RowRefused):
            ask(model, row[None])
    return first


class RowRefused(InterfaceProblem):
    """It raises for this row."""


def ask(model: Any, row: Row) -> Predicted:
    """Return the model's answer to one row, (1, n).

    Raises:
        RowRefused: It raises.
        MemoryError: It takes more than it may.
        InterfaceProblem: It answers something else than one label.
    """
    try:
        predicted = np.asarray(model.predict(row)).reshape(-1)
        probabilities = _probabilities(model, row)
    except MemoryError:
        raise
    # The model is third-party code: it may raise anything.
    except Exception as error:
        raise RowRefused(f"predict raises {type(error).__name__}: {str(error)[:300]}") from error
    if predicted.size != 1:
        raise InterfaceProblem(f"predict answers {predicted.size} values for one row")
    return Predicted(_label(predicted[0]), probabilities)


def _label(value: Any) -> str:
    text = str(value)
    if len(text) > MAX_LABEL or not text.isprintable():
        raise InterfaceProblem(
            f"it has a label of {len(text)} characters that cannot be shown; allowed: {MAX_LABEL}, printable"
        )
    return text


def _probabilities(model: Any, row: Row) -> tuple[float, ...]:
    classes = getattr(model, "classes_", None)
    if classes is None or not callable(getattr(model, "predict_proba", None)):
        return ()
    values = np.asarray(model.predict_proba(row), dtype=float).reshape(-1)
    if len(values) != len(classes) or len(values) > MAX_LABELS or not np.isfinite(values).all():
        return ()
    return tuple(values.tolist())
