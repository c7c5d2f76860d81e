"""Decision trees, gradient boosting and histogram gradient boosting: nodes point forward and inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cadml_core import Made
from cadml_plugins.policies._arrays import made_label
from cadml_plugins.policies.structures._view import Array, Unsound, View, need

_LEAF = -1
_COST_OF_LEVEL = 20_000  # in bytes looked at in the same time
_TREE = "sklearn.tree._tree:Tree"
_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor:TreePredictor"


def tree(found: Made, view: View) -> None:
    """Check the nodes and sizes of one decision tree."""
    need(len(found.arguments) == 3 and found.states, "a tree needs sizes and a state")
    features = view.integer(found.arguments[0], "n_features")
    classes = view.array(found.arguments[1], "n_classes", 1, "iu")
    outputs = view.integer(found.arguments[2], "n_outputs", 1)
    need(len(classes) == outputs and classes.min(initial=1) >= 1, "n_classes does not fit n_outputs")
    state = view.state(found)
    nodes = view.array(state.get("nodes"), "nodes", 1, "V")
    values = view.array(state.get("values"), "values", 3, "f")
    count = view.integer(state.get("node_count"), "node_count", 1)
    need(len(nodes) == count, "node_count is not the number of nodes")
    need(values.shape == (count, outputs, int(classes.max())), "values do not fit nodes and classes")
    left, right = nodes["left_child"], nodes["right_child"]
    leaf = left == _LEAF
    need(np.array_equal(leaf, right == _LEAF), "a node has one child only")
    depth = _depth_of(left, right, leaf, view)
    feature = nodes["feature"][~leaf]
    need(((feature >= 0) & (feature < features)).all(), "a node asks for a feature that does not exist")
    deepest = view.integer(state.get("max_depth"), "max_depth")
    need(depth <= deepest <= count, "max_depth is not the depth of the tree")


def _depth_of(left: Array, right: Array, leaf: Array, view: View) -> int:
    """Return the depth of a binary tree whose children come after their parents."""
    index = np.arange(len(left))
    for child in (left, right):
        inside = leaf | ((child > index) & (child < len(left)))
        need(inside.all(), "a child is not a later node of the tree")
    level, depth = index[:1], 0
    for _ in index:
        view.arrays.spend(_COST_OF_LEVEL)
        level = level[~leaf[level]]
        if not len(level):
            return depth
        level, depth = np.concatenate([left[level], right[level]]), depth + 1
        need(len(level) <= len(left), "nodes share their children")
    raise Unsound("the tree has no end")


def decision_tree(found: Made, view: View) -> None:
    """Check that an estimator checks its input for as many features as its tree reads."""
    state = view.state(found)
    if "tree_" in state:
        _width_of(found, view)


def _width_of(found: Any, view: View) -> int:
    """Return how many features a fitted decision tree takes."""
    state = view.state(found, "sklearn.tree._classes:")
    inner = state.get("tree_")
    if not isinstance(inner, Made) or made_label(inner) != _TREE:
        raise Unsound("tree_ is not a tree")
    view.own(inner)
    features, _, outputs = inner.arguments
    width = view.integer(state.get("n_features_in_"), "n_features_in_")
    need(width == features, "n_features_in_ is not that of the tree")
    need(view.integer(state.get("n_outputs_"), "n_outputs_") == outputs, "n_outputs_ is not that of the tree")
    return width


def gradient_boosting(found: Made, view: View) -> None:
    """Check that all trees take the same row, and write to as many columns as there are."""
    state = view.state(found)
    if "estimators_" not in state:
        return
    items, shape = view.objects(state["estimators_"], "estimators_")
    need(len(shape) == 2 and min(shape) >= 1, "estimators_ is not a table of trees")
    widths = {_width_of(item, view) for item in items}
    widths.add(view.integer(state.get("n_features_in_"), "n_features_in_"))
    need(len(widths) == 1, "the trees take different numbers of features")
    for item in items:
        need(view.state(item)["tree_"].arguments[2] == 1, "a tree of gradient boosting has several outputs")
    columns = shape[1]
    per_iteration = state.get("n_trees_per_iteration_", columns)
    need(view.integer(per_iteration, "n_trees_per_iteration_") == columns, "n_trees_per_iteration_ is wrong")
    multiclass = (made_label(state.get("_loss")) or "").endswith(":HalfMultinomialLoss")
    need(multiclass == (columns > 1), "the loss does not fit the number of trees per iteration")
    _check_init(state, columns, view)


def _check_init(state: Mapping[str, Any], columns: int, view: View) -> None:
    init = state.get("init_")
    if init == "zero":
        return
    inner = view.state(init, "sklearn.dummy:Dummy")
    need(view.integer(inner.get("n_outputs_"), "n_outputs_") == 1, "init_ has several outputs")
    if "class_prior_" in inner:
        need(inner.get("_strategy") == "prior", "init_ does not predict the priors")
        known = len(view.array(inner["class_prior_"], "class_prior_", 1))
        need(known == columns or (columns == 1 and known <= 2), "init_ knows another number of classes")
    else:
        need(columns == 1, "init_ predicts one column")
        need(view.array(inner.get("constant_"), "constant_").size == 1, "init_ predicts one number")


def predictor(found: Made, view: View) -> None:
    """Check the nodes of one tree of histogram gradient boosting."""
    state = view.state(found)
    nodes = view.array(state.get("nodes"), "nodes", 1, "V")
    need(len(nodes) >= 1, "a tree has no nodes")
    # A wider number would be cut when it is loaded: 256 becomes 0.
    need(nodes["is_leaf"].dtype.itemsize == 1, "is_leaf is not a byte")
    leaf = nodes["is_leaf"].astype(bool)
    _depth_of(nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), leaf, view)
    sets = view.array(state.get("raw_left_cat_bitsets"), "raw_left_cat_bitsets", 2, "u")
    categorical = ~leaf & nodes["is_categorical"].astype(bool)
    need(not categorical.any() or sets.shape[1] == 8, "bit sets have 8 words")
    chosen = nodes["bitset_idx"][categorical]
    need((chosen < len(sets)).all(), "a node asks for a bit set that does not exist")
    need((nodes["feature_idx"][~leaf] >= 0).all(), "a node asks for a feature that does not exist")


def histogram_boosting(found: Made, view: View) -> None:
    """Check that the trees read features that exist, and categories of categorical ones only."""
    state = view.state(found)
    if "_predictors" not in state:
        return
    width = view.integer(state.get("n_features_in_"), "n_features_in_")
    mapper = view.state(state.get("_bin_mapper"), "binning:_BinMapper")
    categorical = view.array(mapper.get("is_categorical_"), "is_categorical_", 1).astype(bool)
    need(len(categorical) == width, "is_categorical_ does not fit n_features_in_")
    for index in np.flatnonzero(categorical):
        thresholds = view.array(mapper["bin_thresholds_"][index], "bin_thresholds_", 1)
        need(((thresholds >= 0) & (thresholds <= 255)).all(), "a category is not from 0 to 255")
    for iteration in state["_predictors"]:
        for one in iteration:
            nodes = view.array(view.state(one, _PREDICTOR).get("nodes"), "nodes", 1, "V")
            view.own(one)
            feature = nodes["feature_idx"][~nodes["is_leaf"].astype(bool)]
            need((feature < width).all(), "a node asks for a feature that does not exist")
            split = nodes["feature_idx"][
                nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)
            ]
            need(categorical[split].all(), "a node splits a number by categories")


OWNED = frozenset({_TREE, _PREDICTOR})
