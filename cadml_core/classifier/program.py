"""What a model's process does: load one model, then answer about one row after the other."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from cadml_core.classifier.interface import (
    InterfaceProblem,
    ask,
    input_width,
    labels_of,
    require_interface,
    try_out,
)
from cadml_core.classifier.messages import LOAD, Loaded, LoadJob, Message, Refused, Unloaded
from cadml_core.classifier.rows import trial_rows
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.pickles.loader import load_restricted

_MAX_WARNINGS = 5


class ModelProgram:
    """Holds a model; the program of its confined process."""

    def __init__(self) -> None:
        self._model: Any = None

    def prepare(self) -> Sequence[str]:
        """Import nothing ahead: what a model needs is known when it is loaded, by a confined process."""
        return ()

    def answer(self, request: bytes) -> bytes:
        """Load a model, or ask the one that is loaded."""
        if request[:1] == LOAD:
            answer = self._load(msgspec.msgpack.decode(request[1:], type=LoadJob))
        else:
            answer = self._ask(np.frombuffer(request, "<f8", offset=1).reshape(1, -1).copy())
        return msgspec.msgpack.encode(answer)

    def _load(self, job: LoadJob) -> Message:
        self._model = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            try:
                model = load_restricted(job.data, job.allowed)
            # Loading runs the code of the model's classes, which may raise anything.
            except BaseException as error:  # noqa: BLE001
                return Refused("MODEL_LOAD_FAILED", _shown(f"loading raises {_described(error)}"))
            told = tuple(dict.fromkeys(_shown(str(warning.message), 300) for warning in caught))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                loaded = _tried(model, job, told[:_MAX_WARNINGS])
            except InterfaceProblem as problem:
                return Refused(
                    "MODEL_INTERFACE_INVALID", _shown(f"the object cannot serve as a model: {problem}")
                )
            except BaseException as error:  # noqa: BLE001 - as above
                return Refused(
                    "MODEL_INTERFACE_INVALID", _shown(f"probing the model raises {_described(error)}")
                )
        self._model = model
        return loaded

    def _ask(self, row: FloatMatrix) -> Message:
        if self._model is None:
            return Unloaded()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return ask(self._model, row)
            except InterfaceProblem as problem:
                return Refused("MODEL_INTERFACE_INVALID", _shown(str(problem)))


def _tried(model: Any, job: LoadJob, told: tuple[str, ...]) -> Loaded:
    require_interface(model)
    width = input_width(model, job.width)
    if width == job.width:
        rows = np.frombuffer(job.rows, "<f8").reshape(-1, width).copy()
    else:
        rows = trial_rows(width, job.seed)
    answer, labels, kind = try_out(model, rows), labels_of(model), type(model)
    # Where its answers are not among the labels that it lists, nothing is known of these.
    known = labels if answer.label in labels else ()
    return Loaded(width, _shown(f"{kind.__module__}.{kind.__qualname__}"), known, told)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def _shown(text: str, longest: int = 900) -> str:
    return text.encode("utf-8", "replace").decode()[:longest]
