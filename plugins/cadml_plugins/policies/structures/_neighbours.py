"""Nearest neighbours: ball trees, k-d trees, and the rows that they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cadml_core import Made
from cadml_plugins.policies._arrays import global_label, is_array, made_label, parts_of
from cadml_plugins.policies.structures._view import Array, View, need

_KD, _BALL = "sklearn.neighbors._kd_tree:newObj", "sklearn.neighbors._ball_tree:newObj"
_METRIC = "sklearn.metrics._dist_metrics:newObj"
OWNED = frozenset({_KD, _BALL, _METRIC})


def space_tree(found: Made, view: View) -> None:
    """Check one tree: its nodes cover the rows in order, and inner nodes have two children."""
    need(len(found.states) == 1 and len(found.states[0]) == 13, "a tree needs its thirteen parts")
    data, order, nodes, bounds, leaf_size, levels, count, *_, metric, weights = found.states[0]
    points = view.array(data, "data", 2, "f")
    rows, width = points.shape
    index = view.array(order, "idx_array", 1, "i")
    need(np.array_equal(np.sort(index), np.arange(rows)), "idx_array is not an order of the rows")
    view.integer(leaf_size, "leaf_size", 1)
    need(rows >= 1 and width >= 1, "the tree holds no rows")
    known = view.integer(count, "n_nodes", 1)
    need(known == 2 ** min(view.integer(levels, "n_levels", 1), 40) - 1, "n_nodes does not fit n_levels")
    sides = 2 if made_label(found) == _KD else 1
    need(view.array(bounds, "node_bounds", 3, "f").shape == (sides, known, width), "node_bounds do not fit")
    _check_nodes(view.array(nodes, "node_data", 1, "V"), known, rows)
    if weights is not None:
        need(view.array(weights, "sample_weight", 1, "f").shape == (rows,), "sample_weight does not fit")
    _check_metric(metric, width, view)


def _check_nodes(nodes: Array, count: int, rows: int) -> None:
    need(len(nodes) == count, "n_nodes is not the number of nodes")
    start, end, leaf = nodes["idx_start"], nodes["idx_end"], nodes["is_leaf"].astype(bool)
    need(((start >= 0) & (start <= end) & (end <= rows)).all(), "a node covers rows that do not exist")
    inner = np.flatnonzero(~leaf)
    need((2 * inner + 2 < count).all(), "an inner node has no children")


def _check_metric(metric: Any, width: int, view: View) -> None:
    need(made_label(metric) == _METRIC and len(metric.states) == 1, "the tree has no metric")
    view.own(metric)
    name = (global_label(metric.arguments[0]) or "").partition(":")[2]
    _, vector, matrix = metric.states[0]
    if name.startswith("Minkowski"):
        weighted = view.array(vector, "w", 1, "f").shape
        need(weighted in ((0,), (width,)), "the weights do not fit the rows")
    if name.startswith("Haversine"):
        need(width == 2, "this distance is of two numbers")
    if name.startswith("SEuclidean"):
        need(view.array(vector, "V", 1, "f").shape == (width,), "the variances do not fit the rows")
    if name.startswith("Mahalanobis"):
        need(view.array(matrix, "VI", 2, "f").shape == (width, width), "the covariances do not fit the rows")


def neighbours(found: Made, view: View) -> None:
    """Check that rows, labels and tree of an estimator belong together."""
    state = view.state(found)
    for attribute in ("metric_params", "effective_metric_params_"):
        _check_parameters(state.get(attribute), attribute, state, view)
    inner = state.get("_tree", state.get("tree_"))
    if inner is not None:
        need(made_label(inner) in (_KD, _BALL), "the tree is no k-d or ball tree")
        view.own(inner)
    if "_fit_X" not in state:
        return
    rows, width = _size_of(state["_fit_X"], view)
    if inner is not None:
        need(view.array(inner.states[0][0], "data", 2, "f").shape == (rows, width), "tree and rows differ")
    need(width == view.integer(state.get("n_features_in_"), "n_features_in_"), "the rows have another width")
    need(view.integer(state.get("n_samples_fit_"), "n_samples_fit_") == rows, "n_samples_fit_ is wrong")
    if "_y" in state:
        shape = (parts_of(state["_y"]) or (None, ()))[1]
        need(isinstance(shape, tuple) and shape[:1] == (rows,), "there is not one target for each row")
        if "classes_" in state:
            _check_labels(view.array(state["_y"], "_y"), state, view)


def _check_parameters(given: Any, name: str, state: Mapping[str, Any], view: View) -> None:
    """Check what is passed on to native code, which takes lengths of rows among it as they are."""
    if given is None:
        return
    need(isinstance(given, dict) and set(given) <= {"p", "w", "V", "VI"}, f"{name} holds something else")
    for key in given.keys() - {"p"}:
        if given[key] is not None:
            width = view.integer(state.get("n_features_in_"), "n_features_in_")
            shape = (width, width) if key == "VI" else (width,)
            need(view.array(given[key], key).shape == shape, f"{key} in {name} does not fit the rows")


def birch(found: Made, view: View) -> None:
    """Check that each centre has one squared length, which native code takes as given."""
    state = view.state(found)
    if "_subcluster_norms" in state:
        count = view.array(state.get("subcluster_centers_"), "subcluster_centers_", 2, "f").shape[0]
        norms = view.array(state["_subcluster_norms"], "_subcluster_norms", 1, "f")
        need(len(norms) == count, "_subcluster_norms do not fit")


def _size_of(rows: Any, view: View) -> tuple[int, int]:
    if is_array(rows):
        shape = view.array(rows, "_fit_X", 2).shape
        return int(shape[0]), int(shape[1])
    height, width = view.state(rows, "scipy.sparse.").get("_shape", (0, 0))
    return view.integer(height, "rows"), view.integer(width, "columns")


def _check_labels(target: Array, state: Mapping[str, Any], view: View) -> None:
    need(target.dtype.kind in "iu", "the targets are not numbers of labels")
    columns = target.reshape(len(target), -1).T
    groups = state["classes_"] if isinstance(state["classes_"], list) else [state["classes_"]]
    need(len(groups) == len(columns), "there is not one set of labels for each target")
    for column, labels in zip(columns, groups, strict=True):
        items, array = view.arrays.objects(labels), view.arrays.read(labels)
        known = items if items is not None else array
        need(known is not None and len(column), "the labels cannot be read")
        need(column.min() >= 0 and column.max() < len(known), "a target is no label")  # type: ignore[arg-type]
