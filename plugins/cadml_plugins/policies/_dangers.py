"""Attributes that make a model read files, start workers or call what the file names, in every class.

These hold in blacklist mode too. They look at what numpy, scipy, scikit-learn and the boosters restore; what
a class of one's own does with its attributes, only its author knows.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from cadml_core import Made
from cadml_plugins.policies._arrays import ITEMS, Arrays, global_label, items_of, made_label

METHODS = frozenset({"predict", "predict_proba", "predict_log_proba", "decision_function", "auto"})
"""What a model may be asked by a name in its state: methods that only answer."""
MOST_THREADS = 256
_SHADOWED = frozenset(
    {
        *(METHODS - {"auto"}), "fit", "fit_predict", "fit_transform", "transform", "inverse_transform",
        "score", "partial_fit", "get_params", "set_params", "score_samples", "kneighbors", "apply",
        "query", "read",
    }
)  # fmt: skip
_PATHS = frozenset(
    {
        "memory", "cachedir", "cache_dir", "location", "filename", "filenames", "file", "path", "mmap_mode",
        "store_backend", "backend", "temp_folder", "train_dir", "model_file", "tokenizer_path",
    }
)  # fmt: skip
_CALLED = frozenset(
    {
        "func", "inverse_func", "kernel", "metric", "analyzer", "preprocessor", "tokenizer", "weights",
        "score_func", "pooling_func", "fun", "distance", "affinity", "optimizer", "importance_getter",
        "scoring", "scorer", "scorer_", "feature_names_out", "callback", "callbacks", "init", "loss", "link",
        "effective_metric_", "effective_metric_params_", "metric_params", "objective", "fobj", "feval",
        "eval_metric", "custom_metric", "handler", "refit", "pyfunc", "g",
    }
)  # fmt: skip
_BY_NAME = frozenset({"response_method", "_response_method", "stack_method", "stack_method_", "chain_method",
                      "chain_method_"})  # fmt: skip
_ROOTS = frozenset({"numpy", "scipy", "sklearn", "xgboost", "lightgbm", "catboost", "joblib"})
_MOST_CALLED = 100
_HARMLESS = frozenset({"sklearn.utils.validation:check_array"})  # in histogram boosting with categories
_MAPPINGS = ITEMS | {"collections:Counter", "sklearn.utils._bunch:Bunch", "sklearn.utils:Bunch"}
_CALLABLES = ("functools:partial", "numpy:vectorize")


def dangers(objects: Iterable[Made], harmless: Callable[[str], bool]) -> Iterator[tuple[Made, str]]:
    """Yield objects with an attribute that reaches out of the model, and what it does.

    Args:
        objects: What the pickle makes.
        harmless: Tells of a global's label whether a model may call it.
    """
    arrays = Arrays(1 << 26)
    for found in objects:
        if (made_label(found) or "").partition(".")[0].partition(":")[0] not in _ROOTS:
            continue
        if any(made_label(state) in _MAPPINGS for state in found.states):
            yield found, "its state is an object, not a dict; what it sets is not looked at"
        for name, value in attributes_of(found):
            if reason := _danger(name, arrays.plain(value), harmless):
                yield found, reason


def attributes_of(found: Made) -> Iterator[tuple[str, Any]]:
    """Yield every attribute that the states of an object set."""
    for state in found.states:
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        for part in parts:
            if isinstance(part, dict):
                yield from ((name, value) for name, value in part.items() if isinstance(name, str))


def _danger(name: str, value: Any, harmless: Callable[[str], bool]) -> str | None:
    if value is None:
        return None
    if name in ("n_jobs", "_n_jobs"):
        return None if value == 1 else f"{name} starts workers; set it to None or 1 before saving the model"
    if name in ("_n_threads", "n_threads"):
        right = isinstance(value, int) and 1 <= value <= MOST_THREADS
        return None if right else f"{name} is not a number of threads up to {MOST_THREADS}"
    if name in _PATHS:
        return f"{name} names a file or a cache; set it to None before saving the model"
    if name == "input" and value != "content":
        return "input makes a vectorizer read the files that its input names"
    if name in _SHADOWED and not (_is_request(value) or isinstance(value, int | float)):
        return f"{name} hides a method of the class"
    if name in _BY_NAME and not _methods_only(value):
        return f"{name} calls a method that does more than answer"
    return _called(name, value, harmless)


def _called(name: str, value: Any, harmless: Callable[[str], bool]) -> str | None:
    inside = itertools.islice(items_of(value) or (), _MOST_CALLED) if name in _CALLED else ()
    for item in (value, *inside):
        if made_label(item) in _CALLABLES and not _calls_only(item, harmless):
            return f"{name} is a call that the file puts together"
        if name in _CALLED and (label := global_label(item)) is not None and not harmless(label):
            return f"{name} is the function {label}, which is not known to be harmless"
    return None


def _calls_only(value: Made, harmless: Callable[[str], bool]) -> bool:
    """Tell whether a partial call, as made and as its state says, is of harmless functions only."""
    given = [value.arguments[:1], *value.states]
    functions = [global_label(one[0]) if isinstance(one, tuple) and one else None for one in given]
    return all(label is not None and (label in _HARMLESS or harmless(label)) for label in functions)


def _methods_only(value: Any) -> bool:
    items = items_of(value)
    return all(isinstance(item, str) and item in METHODS for item in ([value] if items is None else items))


def _is_request(value: Any) -> bool:
    """Tell whether this is metadata about a method, which scikit-learn keeps under the method's name."""
    return (made_label(value) or "").startswith("sklearn.utils._metadata_requests:")


@functools.cache
def is_ufunc(label: str) -> bool:
    """Tell whether a global is one of numpy's functions of single numbers."""
    module, _, name = label.partition(":")
    known = module in ("numpy", "numpy._core._multiarray_umath")
    return known and isinstance(getattr(np, name, None), np.ufunc)
