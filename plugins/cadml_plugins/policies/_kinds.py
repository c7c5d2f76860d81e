"""What is worth judging about the value of an attribute: texts, functions and objects, not plain data."""

from __future__ import annotations

import unicodedata
from typing import Any

from cadml_plugins.policies._arrays import Arrays, global_label, is_array, items_of, made_label

MAX_TEXT = 1000
_NAMES_ONLY = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Objects that can stand for one another: any kernel may be part of another one.
_GROUPS = (
    ("sklearn.gaussian_process.kernels:", "kernel"),
    ("sklearn._loss.loss:", "loss"),
    ("sklearn.model_selection._split:", "splitter"),
    ("scipy.sparse.", "sparse"),
    ("numpy.random.", "random"),
)
_DATA = frozenset(
    {
        "_codecs:encode", "builtins:bytearray", "builtins:bytes", "builtins:complex", "builtins:slice",
        "builtins:range", "datetime:date", "datetime:datetime", "datetime:time", "datetime:timedelta",
        "numpy._core.multiarray:scalar", "numpy:dtype",
    }
)  # fmt: skip
Kinds = frozenset[str]
PLAIN: Kinds = frozenset()


def text_problem(text: str, longest: int = MAX_TEXT) -> str | None:
    """Return what is wrong with a text that may be shown to people, None where nothing is."""
    if len(text) > longest:
        return f"a text of {len(text):,} characters; {longest:,} are allowed"
    if not text.isprintable():
        for sign in text:
            if unicodedata.category(sign) in _NAMES_ONLY:
                return f"a text with the control character U+{ord(sign):04X}"
    return None


class KindsOf:
    """Describes the values of one pickle; shared containers are looked at once.

    Args:
        estimators: The classes whose objects count as estimators.
        arrays: Reads the arrays of that pickle.
    """

    def __init__(self, estimators: frozenset[str], arrays: Arrays) -> None:
        self._estimators = estimators
        self._arrays = arrays
        self._known: dict[int, Kinds] = {}

    def of(self, value: Any) -> Kinds:
        """Return the kinds of an attribute's value.

        None, numbers, arrays of numbers and containers of such have none. The others are ``text lbfgs``
        (not inside a container, where texts are names), ``bytes``, ``global numpy:float64``, ``estimator``,
        ``kernel``, ``loss``, ``splitter``, ``sparse``, ``random``, ``object module:name`` and
        ``bad`` with a reason.
        """
        value = self._arrays.plain(value)
        if isinstance(value, str):
            problem = text_problem(value)
            return frozenset({f"bad {problem}" if problem else f"text {value}"})
        if isinstance(value, bytes | bytearray) or self._arrays.bytes_of(value) is not None:
            return frozenset({"bytes"})
        return self._inside(value)

    def _inside(self, value: Any) -> Kinds:
        if value is None or isinstance(value, bool | int | float | complex | bytes | bytearray):
            return PLAIN
        if isinstance(value, str):
            problem = text_problem(value)
            return frozenset({f"bad {problem}"}) if problem else PLAIN
        if (label := global_label(value)) is not None:
            return frozenset({f"global {label}"})
        if id(value) not in self._known:
            self._known[id(value)] = PLAIN  # where it holds itself
            self._known[id(value)] = self._looked_at(value)
        return self._known[id(value)]

    def _looked_at(self, value: Any) -> Kinds:
        if is_array(value):
            return self._array(value)
        items = items_of(value)
        if items is not None:
            return PLAIN.union(*map(self._inside, items)) if items else PLAIN
        label = made_label(value)
        if label is None:
            return frozenset({f"bad a value of the type {type(value).__name__}"})
        if label in _DATA:
            return self._inside(plain) if (plain := self._arrays.plain(value)) is not value else PLAIN
        if label in self._estimators:
            return frozenset({"estimator"})
        return frozenset(
            {next((name for start, name in _GROUPS if label.startswith(start)), f"object {label}")}
        )

    def _array(self, value: Any) -> Kinds:
        if (items := self._arrays.objects(value)) is not None:
            return PLAIN.union(*map(self._inside, items)) if items else PLAIN
        array = self._arrays.read(value)
        if array is None:
            return frozenset({"bad an array that cannot be read"})
        if array.dtype.names is not None:
            return frozenset({"records"})
        if array.dtype.kind == "U":
            problems = filter(None, map(text_problem, array.ravel().tolist()))
            return frozenset(f"bad {problem}" for problem in problems)
        return PLAIN
