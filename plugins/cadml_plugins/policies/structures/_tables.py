"""Support vector machines, k-means, splines, sparse matrices and random generators: sizes that must agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from cadml_core import Made
from cadml_plugins.policies._arrays import items_of, made_label
from cadml_plugins.policies.structures._view import View, need

_MAX_SPLINE_DEGREE = 25
_POSITIONS = {"pos": 624, "buffer_pos": 4}
"""How far a generator may be inside its buffer."""


def libsvm(found: Made, view: View) -> None:
    """Check that libsvm gets as many coefficients as its counts of vectors say."""
    state = view.state(found)
    if "support_vectors_" not in state:
        return
    need(state.get("_sparse") is False, "it was fitted to sparse rows; fit it to arrays")
    vectors = view.array(state["support_vectors_"], "support_vectors_", 2, "f")
    support = view.array(state.get("support_"), "support_", 1, "i")
    width = view.integer(state.get("n_features_in_"), "n_features_in_")
    counts = view.array(state.get("_n_support"), "_n_support", 1, "i")
    total, groups = len(support), len(counts)
    if state.get("kernel") == "precomputed":
        need(((support >= 0) & (support < width)).all(), "support_ names columns that do not exist")
    else:
        need(vectors.shape == (total, width), "support_vectors_ do not fit")
    need((counts >= 0).all(), "a number of support vectors is negative")
    machines = groups * (groups - 1) // 2
    if "classes_" in state:
        need(groups >= 2 and counts.sum() == total, "the numbers of support vectors do not add up")
    else:
        need(groups == 2 and (counts == total).all(), "the numbers of support vectors do not add up")
    coefficients = view.array(state.get("_dual_coef_"), "_dual_coef_", 2, "f")
    need(coefficients.shape == (groups - 1, total), "_dual_coef_ does not fit")
    need(
        view.array(state.get("_intercept_"), "_intercept_", 1, "f").size == machines,
        "_intercept_ does not fit",
    )
    for name in ("_probA", "_probB", "probA_", "probB_"):
        if name in state:
            need(view.array(state[name], name, 1, "f").size in (0, machines), f"{name} does not fit")


def centres(found: Made, view: View) -> None:
    """Check that the centres of k-means are as wide as the rows."""
    state = view.state(found)
    if "cluster_centers_" in state:
        width = view.integer(state.get("n_features_in_"), "n_features_in_")
        shape = view.array(state["cluster_centers_"], "cluster_centers_", 2, "f").shape
        need(shape[1] == width and shape[0] >= 1, "cluster_centers_ do not fit n_features_in_")


def spline(found: Made, view: View) -> None:
    """Check that a spline has the knots and coefficients that its degree asks for."""
    state = view.state(found)
    knots = view.array(state.get("_t", state.get("t")), "knots", 1, "f")
    values = view.array(state.get("_c", state.get("c")), "coefficients", None, "f")
    degree = view.integer(state.get("k"), "degree")
    need(
        degree <= _MAX_SPLINE_DEGREE and view.integer(state.get("axis"), "axis") == 0, "degree or axis is odd"
    )
    need(np.isfinite(knots).all() and (np.diff(knots) >= 0).all(), "the knots do not ascend")
    need(len(knots) >= 2 * degree + 2 and values.ndim >= 1, "there are too few knots")
    need(len(values) >= len(knots) - degree - 1, "there are too few coefficients")


def compressed(found: Made, view: View) -> None:
    """Check rows, columns and pointers of a sparse matrix."""
    state = view.state(found)
    if not state:
        return
    layout = (made_label(found) or "").partition(":")[2].partition("_")[0]
    shape = state.get("_shape", ())
    need(isinstance(shape, tuple) and 1 <= len(shape) <= 2, "a sparse matrix has no shape")
    sizes = [view.integer(size, "shape") for size in shape]
    if layout in ("csr", "csc", "bsr"):
        _check_pointers(state, sizes, layout, view)
    elif layout == "coo":
        _check_coordinates(state, sizes, view)
    elif layout == "dia":
        data = view.array(state.get("data"), "data", 2, "iufcb")
        need(len(view.array(state.get("offsets"), "offsets", 1, "i")) == len(data), "offsets do not fit")
    elif layout == "lil":
        _check_lists(state, sizes, view)


def _check_pointers(state: Any, sizes: list[int], layout: str, view: View) -> None:
    indptr, indices = (view.array(state.get(name), name, 1, "i") for name in ("indptr", "indices"))
    data = view.array(state.get("data"), "data", 3 if layout == "bsr" else 1, "iufcb")
    rows, columns = sizes if len(sizes) == 2 else (1, *sizes)
    if layout == "csc":
        rows, columns = columns, rows
    if layout == "bsr":
        need(min(data.shape[1:]) >= 1, "blocks are empty")
        need(rows % data.shape[1] == 0 and columns % data.shape[2] == 0, "blocks do not fit the shape")
        rows, columns = rows // data.shape[1], columns // data.shape[2]
    need(len(indptr) == rows + 1 and indptr[0] == 0, "indptr does not fit the shape")
    need((np.diff(indptr) >= 0).all(), "indptr does not ascend")
    need(indptr[-1] <= len(indices) and indptr[-1] <= len(data), "indptr points beyond the data")
    need(((indices >= 0) & (indices < columns)).all(), "an index is outside of the shape")


def _check_coordinates(state: Any, sizes: list[int], view: View) -> None:
    data = view.array(state.get("data"), "data", 1, "iufcb")
    coordinates = state.get("coords", (state.get("row"), state.get("col")))
    need(len(coordinates) == len(sizes), "coordinates do not fit the shape")
    for values, size in zip(coordinates, sizes, strict=True):
        found = view.array(values, "coordinates", 1, "i")
        need(len(found) == len(data), "coordinates do not fit the data")
        need(((found >= 0) & (found < size)).all(), "a coordinate is outside of the shape")


def _check_lists(state: Any, sizes: list[int], view: View) -> None:
    rows, _ = view.objects(state.get("rows"), "rows")
    data, _ = view.objects(state.get("data"), "data")
    need(len(rows) == len(data) == sizes[0], "rows do not fit the shape")
    for columns, values in zip(rows, data, strict=True):
        need(isinstance(columns, list) and isinstance(values, list), "a row is not a list")
        need(len(columns) == len(values), "a row has other lengths")
        need(all(type(one) is int and 0 <= one < sizes[1] for one in columns), "an index is outside")


def generator(found: Made, view: View) -> None:
    """Check that a random generator stands inside its buffer."""
    for state in found.states:
        pending, seen = [state], 0
        while pending and seen < 100:
            seen += 1
            one = pending.pop()
            if isinstance(one, dict):
                for key, value in one.items():
                    if key in _POSITIONS:
                        need(view.integer(value, key) <= _POSITIONS[key], f"{key} is beyond the buffer")
                pending += [value for value in one.values() if isinstance(value, dict)]
            elif isinstance(one, tuple):
                pending += items_of(one) or ()
