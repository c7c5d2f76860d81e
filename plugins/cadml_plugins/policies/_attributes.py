"""Which attributes a whitelisted class may have, and what they may hold; the table is generated."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any

import msgspec

from cadml_core import Made
from cadml_plugins.policies._arguments import ARGUMENT_RULES
from cadml_plugins.policies._arrays import Arrays, items_of, made_label
from cadml_plugins.policies._kinds import KindsOf, text_problem

MAX_LABELS = 10_000
MAX_LABEL = 200
"""Characters."""
_VERSION = re.compile(r"text \d+(\.\w+){1,5}\Z")
_THRESHOLD = re.compile(r"text (\d+(\.\d+)?\s*\*\s*)?(mean|median)\Z")
_FREE = frozenset(
    {
        "fill_value",
        "missing_values",
        "pos_label",
        "refit",
        "owner",
        "constant",
        "outlier_label",
        "outlier_label_",
    }
)
"""Attributes that hold a text of the user's, such as a label or the name of a metric."""
_EVERY_ESTIMATOR = frozenset(
    {"n_features_in_", "feature_names_in_", "_sklearn_version", "_sklearn_output_config", "_metadata_request"}
)
_WRAPPED = frozenset(
    {"base_estimator", "classifier", "estimator", "estimator_", "final_estimator", "regressor", "transformer"}
)
"""Attributes that hold any estimator, also where those who made the table gave none."""
_MAYBE_SPARSE = frozenset({"_fit_X", "coef_"})
_LARGEST = {
    "degree": 25, "_max_degree": 25, "n_output_features_": 1_000_000, "_n_features_out": 1_000_000,
    "n_features_in_": 1_000_000, "n_outputs_": 100_000, "n_components": 1_000_000, "n_neighbors": 1_000_000,
    "max_iter": 1_000_000, "transform_max_iter": 1_000_000, "max_doc_update_iter": 1_000_000,
}  # fmt: skip
"""Numbers that an answer allocates by, or counts to."""
_LABELS = frozenset({"classes_", "labels_", "categories_"})
_OUTPUTS = frozenset({"default", "pandas", "polars"})


class AttributeData(msgspec.Struct, frozen=True):
    """The table, as ``contrib/scripts/generate_whitelist.py`` writes it."""

    made_with: tuple[str, ...]
    estimators: frozenset[str]
    classes: dict[str, dict[str, tuple[str, ...]]]
    """Class -> attribute -> kinds, see ``KindsOf.of``."""


@functools.cache
def attribute_data() -> AttributeData:
    """Return the table."""
    text = resources.files("cadml_plugins.policies").joinpath("_attributes.json").read_bytes()
    return msgspec.json.decode(text, type=AttributeData)


def unknown(objects: Iterable[Made], arrays: Arrays, trusted: frozenset[str]) -> Iterator[tuple[Made, str]]:
    """Yield objects with a state that no release of scikit-learn gives to their class.

    Args:
        objects: What the pickle makes.
        arrays: Reads the arrays of that pickle.
        trusted: Classes that the settings allow, and whose attributes nobody else knows.
    """
    data = attribute_data()
    kinds = KindsOf(data.estimators, arrays)
    for found in objects:
        label = made_label(found) or ""
        table = data.classes.get(label)
        if label in trusted or found.label in trusted or (table is None and _has_rule(label)):
            continue
        if len(found.states) > 1:
            yield found, "it is given a state twice"
        for state in found.states:
            if isinstance(state, dict):
                for name, value in state.items():
                    if reason := _problem(name, value, table or {}, label in data.estimators, kinds, arrays):
                        yield found, reason


def _has_rule(label: str) -> bool:
    return (label, "BUILD") in ARGUMENT_RULES


def _problem(
    name: Any,
    value: Any,
    table: Mapping[str, tuple[str, ...]],
    estimator: bool,
    kinds: KindsOf,
    arrays: Arrays,
) -> str | None:
    """Return what is wrong with one attribute, None where nothing is."""
    if not isinstance(name, str) or not (name in table or (estimator and name in _EVERY_ESTIMATOR)):
        return f"the attribute {str(name)[:60]!r} is not one of this class"
    for kind in kinds.of(value):
        if not _is_allowed(name, kind, table.get(name, ())):
            return f"{name} is {kind[:80]!r}, which models of this class do not have"
    if name in _LARGEST and not _is_within(arrays.plain(value), _LARGEST[name]):
        return f"{name} is over {_LARGEST[name]:,}"
    if name in _LABELS:
        return _label_problem(name, value, arrays)
    if name == "_sklearn_output_config" and not _OUTPUTS.issuperset(map(str, dict(value or {}).values())):
        return f"{name} is none of {', '.join(sorted(_OUTPUTS))}"
    return None


def _is_within(value: Any, largest: int) -> bool:
    numbers = value if isinstance(value, tuple) else (value,)
    return all(not isinstance(number, int | float) or number <= largest for number in numbers)


def _is_allowed(name: str, kind: str, known: tuple[str, ...]) -> bool:
    if kind in known:
        return True
    if kind.startswith("text "):
        if name == "_sklearn_version":
            return bool(_VERSION.match(kind))
        if name == "threshold" and _THRESHOLD.match(kind):
            return True
        return name in _FREE
    if kind == "estimator":
        return name in _WRAPPED
    if kind == "splitter":
        return name in ("cv", "_checked_cv_orig")
    if kind == "sparse":
        return name in _MAYBE_SPARSE
    return kind == "random" and ("random_state" in name or name == "_rng")


def _label_problem(name: str, value: Any, arrays: Arrays) -> str | None:
    groups = value if isinstance(value, list) else [value]
    for group in groups[:MAX_LABELS]:
        items = arrays.objects(group)
        if items is None:
            array = arrays.read(group)
            if array is None or array.dtype.kind != "U":
                if array is not None and name == "classes_" and array.size > MAX_LABELS:
                    return f"{name} holds {array.size:,} labels; {MAX_LABELS:,} are allowed"
                continue
            items = array.ravel().tolist()
        if len(items) > MAX_LABELS:
            return f"{name} holds {len(items):,} labels; {MAX_LABELS:,} are allowed"
        arrays.spend(100 * len(items))
        for item in items:
            if isinstance(item, str) and (problem := text_problem(item, MAX_LABEL)):
                return f"{name} holds {problem}"
            if not isinstance(item, str) and items_of(item) is not None:
                return f"{name} holds a container, not a label"
    return None
