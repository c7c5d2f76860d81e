"""One-hot encoders: native code writes to the columns that they name, without looking."""

from __future__ import annotations

from typing import Any

from cadml_core import Made
from cadml_plugins.policies._arrays import items_of, parts_of
from cadml_plugins.policies.structures._view import View, need


def one_hot(found: Made, view: View) -> None:
    """Check that every category of a feature has a column among those of the feature."""
    state = view.state(found)
    if "_n_features_outs" not in state:
        return
    categories = _listed(state.get("categories_"), view)
    columns = _listed(state["_n_features_outs"], view)
    none = [None] * len(categories)
    mappings = _listed(state.get("_default_to_infrequent_mappings"), view) or none
    dropped = _listed(state.get("_drop_idx_after_grouping", state.get("drop_idx_")), view) or none
    need(len(columns) == len(mappings) == len(dropped) == len(categories), "a feature lacks its columns")
    for known, count, mapping, drop in zip(categories, columns, mappings, dropped, strict=True):
        shape: Any = (parts_of(known) or (None, ()))[1]
        need(isinstance(shape, tuple) and len(shape) == 1, "categories_ are not lists")
        last = int(shape[0]) - 1
        if mapping is not None:
            indices = view.array(mapping, "mapping", 1, "iu")
            need(len(indices) == shape[0] and indices.min(initial=0) >= 0, "a mapping does not fit")
            last = int(indices.max(initial=0))
        gone = drop is not None and view.integer(drop, "drop_idx_") <= last
        need(
            view.integer(count, "_n_features_outs") >= last + (0 if gone else 1), "there are too few columns"
        )


def _listed(value: Any, view: View) -> list[Any]:
    """Return the items of a list, or of an array."""
    if value is None:
        return []
    items = view.arrays.objects(value)
    if items is None and parts_of(value) is not None:
        return [int(one) for one in view.array(value, "drop_idx_", 1, "iu")]
    return list(items if items is not None else items_of(value) or ())
