"""Which structural rule holds for which class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cadml_core import Made
from cadml_plugins.policies._arrays import Arrays, made_label
from cadml_plugins.policies.structures import _encoders, _neighbours, _tables, _trees
from cadml_plugins.policies.structures._view import Unsound, View

Rule = Callable[[Made, View], None]

_BY_CLASS: dict[str, Rule] = {
    "sklearn.tree._tree:Tree": _trees.tree,
    "sklearn.ensemble._hist_gradient_boosting.predictor:TreePredictor": _trees.predictor,
    "sklearn.neighbors._kd_tree:newObj": _neighbours.space_tree,
    "sklearn.neighbors._ball_tree:newObj": _neighbours.space_tree,
    "sklearn.cluster._kmeans:KMeans": _tables.centres,
    "sklearn.cluster._kmeans:MiniBatchKMeans": _tables.centres,
    "sklearn.cluster._bisect_k_means:BisectingKMeans": _tables.centres,
    "sklearn.cluster._birch:Birch": _neighbours.birch,
    "sklearn.preprocessing._encoders:OneHotEncoder": _encoders.one_hot,
    "scipy.interpolate._bsplines:BSpline": _tables.spline,
    "numpy.random._pickle:__bit_generator_ctor": _tables.generator,
    "numpy.random._pickle:__randomstate_ctor": _tables.generator,
    "numpy.random._pickle:__generator_ctor": _tables.generator,
}
_BY_MODULE: dict[str, Rule] = {
    "sklearn.tree._classes": _trees.decision_tree,
    "sklearn.ensemble._gb": _trees.gradient_boosting,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting": _trees.histogram_boosting,
    "sklearn.neighbors._classification": _neighbours.neighbours,
    "sklearn.neighbors._regression": _neighbours.neighbours,
    "sklearn.neighbors._unsupervised": _neighbours.neighbours,
    "sklearn.neighbors._lof": _neighbours.neighbours,
    "sklearn.neighbors._graph": _neighbours.neighbours,
    "sklearn.neighbors._kde": _neighbours.neighbours,
}
_OWNED = _trees.OWNED | _neighbours.OWNED
_LIBSVM = frozenset(
    f"sklearn.svm._classes:{name}" for name in ("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM")
)


def rule_of(label: str) -> Rule | None:
    """Return the rule for a class, None where native code does not follow its numbers."""
    if label in _LIBSVM:
        return _tables.libsvm
    if label.startswith("scipy.sparse."):
        return _tables.compressed
    return _BY_CLASS.get(label) or _BY_MODULE.get(label.partition(":")[0])


def unsound(objects: Iterable[Made], arrays: Arrays) -> Iterator[tuple[Made, str]]:
    """Yield every object that native code would go wrong with, and why.

    Trees and metrics must belong to an estimator, since only it checks the width of what they are given.
    """
    view = View(arrays)
    parts = []
    for found in objects:
        label = made_label(found) or ""
        if label in _OWNED:
            parts.append(found)
        if rule := rule_of(label):
            try:
                rule(found, view)
            except Unsound as error:
                yield found, str(error)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
                yield found, f"its state has another form than scikit-learn writes ({type(error).__name__})"
    for found in parts:
        if id(found) not in view.owned:
            yield found, "it does not belong to an estimator"
