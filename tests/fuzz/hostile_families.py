"""Families of hostile state: well-formed pickles of known classes that would harm whoever predicts with them.

They are data here: building one runs nothing of it. ``families(folder)`` names paths below ``folder``,
which a test of the sandbox can fill with canaries.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tests.fuzz.hostile_state import (
    DATA,
    Calls,
    at,
    dump,
    first_k,
    instance,
    narrow,
    set_raw,
    with_arguments,
    with_part,
    with_state,
)
from tests.unit.classifier.assemble import (
    BUILD,
    EMPTY_DICT,
    EMPTY_TUPLE,
    REDUCE,
    STOP,
    TUPLE1,
    op,
    proto,
    stack_global,
    text,
)

Made = Iterator[tuple[str, bytes]]


class Family(msgspec.Struct, frozen=True):
    """One technique."""

    group: str
    name: str
    data: bytes


def families(folder: Path) -> Iterator[Family]:
    """Yield every family. Needs scikit-learn.

    Args:
        folder: Where the files would be that the models reach for.
    """
    for group, make in _GROUPS.items():
        given = (folder,) if inspect.signature(make).parameters else ()
        for name, data in make(*given):
            yield Family(group, name, data)


_PACKAGES = (
    ("ezdxf.addons.odafc", "convert"),
    ("ezdxf.filemanagement", "readfile"),
    ("pygments.lexers", "load_lexer_from_file"),
    ("prometheus_client.exposition", "write_to_textfile"),
    ("anyio", "run_process"),
    ("faiss.swigfaiss", "write_index"),
    ("OCP.OSD", "OSD_File"),
    ("msgspec.json", "decode"),
    ("structlog.processors", "CallsiteParameterAdder"),
    ("fontTools.ttLib", "TTFont"),
    ("threadpoolctl", "threadpool_limits"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
    ("joblib.parallel", "Parallel"),
    ("joblib.memory", "Memory"),
    ("sklearn.datasets._svmlight_format_io", "load_svmlight_file"),
    ("scipy.io._fast_matrix_market", "mmread"),
)


def _foreign() -> Made:
    """Helpers of packages that are installed anyway."""
    for module, name in _PACKAGES:
        called = stack_global(module, name) + text("x") + TUPLE1 + REDUCE
        yield f"{module}:{name} called", proto(4) + called + STOP
    for module, name in _PACKAGES[:4]:
        yield f"{module}:{name} as data", proto(4) + stack_global(module, name) + STOP


def _files(folder: Path) -> Made:
    """Attributes that name files."""
    from joblib import Memory
    from sklearn import cluster, ensemble, linear_model, naive_bayes, pipeline, preprocessing
    from sklearn.feature_extraction import text as words

    secret = str(folder / "secret")
    logistic = linear_model.LogisticRegression()
    counted = words.CountVectorizer(vocabulary={"a": 0, "b": 1}, input="filename")
    line = pipeline.Pipeline([("files", counted), ("bayes", naive_bayes.MultinomialNB())])
    stack = DATA.fit(ensemble.StackingClassifier([("a", logistic)], cv=2))
    turned = pipeline.Pipeline([("turn", preprocessing.FunctionTransformer(np.asarray)), ("files", counted)])
    yield "stacking over a vectorizer of files", dump(set_raw(stack, estimators_=[turned]))
    yield "pipeline with a vectorizer of files", dump(line, 2)
    yield "TF-IDF of open files", dump(words.TfidfVectorizer(input="file"), 5)
    yield "hashing of files", dump(words.HashingVectorizer(input="filename"), 0)
    yield (
        "pipeline with a cache",
        dump(DATA.fit(pipeline.make_pipeline(logistic)).set_params(memory=secret), 3),
    )
    with_memory = set_raw(DATA.fit(pipeline.make_pipeline(logistic)), memory=Memory(None))
    yield "pipeline with joblib's cache", dump(with_memory)
    yield "clusters with a cache", dump(cluster.FeatureAgglomeration(memory=secret), 1)
    yield "solver that is a path", dump(set_raw(DATA.fit(logistic), solver=secret))
    yield "label that is a path object", dump(set_raw(DATA.fit(logistic), class_weight=Path(secret)))
    yield "memory-mapped array", dump({"a": Calls(np.memmap, secret)})
    yield "array from a file", dump(Calls(np.fromfile, secret))
    yield "FIFO as a standard stream", dump(Calls(open, "/dev/stdin"))
    yield "device without an end", dump(Calls(np.fromfile, "/dev/zero"), 0)
    yield "bytes as the name of a file", dump(set_raw(DATA.fit(logistic), solver=secret.encode()))


def _functions() -> Made:
    """Functions where a model calls what it holds."""
    from sklearn import (
        cluster,
        decomposition,
        feature_selection,
        gaussian_process,
        linear_model,
        neighbors,
        svm,
    )
    from sklearn.preprocessing import FunctionTransformer

    yield "transformer that loads", dump(FunctionTransformer(np.load))
    yield "transformer that reads text", dump(FunctionTransformer(np.genfromtxt), 2)
    yield "transformer whose inverse saves", dump(FunctionTransformer(inverse_func=np.savetxt), 0)
    yield "transformer with a partial call", dump(FunctionTransformer(functools.partial(np.full, 1 << 40)), 5)
    yield "transformer with any function of numpy", dump(FunctionTransformer(np.zeros))
    yield "SVM with a kernel that is called", dump(set_raw(DATA.fit(svm.SVC()), kernel=np.zeros), 3)
    yield "kernel PCA with a kernel that is called", dump(decomposition.KernelPCA(kernel=np.ones))
    process = DATA.fit(gaussian_process.GaussianProcessClassifier())
    yield "Gaussian process with a function as kernel", dump(set_raw(process, kernel=np.ones))
    near = DATA.fit(neighbors.KNeighborsClassifier(algorithm="brute"))
    yield "neighbours with a metric that is called", dump(set_raw(near, effective_metric_=np.full), 1)
    parameters = {"func": np.zeros}
    yield (
        "neighbours with a function beside the metric",
        dump(set_raw(near, effective_metric_params_=parameters)),
    )
    near = DATA.fit(neighbors.KNeighborsClassifier())
    yield "neighbours with weights that are called", dump(set_raw(near, weights=np.zeros))
    yield "selection by a function", dump(feature_selection.SelectKBest(np.zeros), 2)
    yield (
        "selection by a path of attributes",
        dump(feature_selection.SelectFromModel(linear_model.Ridge(), importance_getter="__class__.__init__")),
    )
    yield "clusters pooled by a function", dump(cluster.FeatureAgglomeration(pooling_func=np.full))
    yield "vectorized function", dump(instance(np.vectorize, pyfunc=np.zeros, signature=None))
    yield (
        "method put together",
        dump(
            set_raw(DATA.fit(linear_model.LogisticRegression()), predict=functools.partial(np.full, 1 << 40))
        ),
    )
    yield (
        "method that is another function",
        dump(set_raw(DATA.fit(svm.LinearSVC()), decision_function=np.zeros)),
    )
    yield "distribution that executes its state", dump(_distribution())


def _distribution() -> Any:
    from scipy import stats
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import RandomizedSearchCV

    return RandomizedSearchCV(LogisticRegression(), {"C": stats.randint(1, 3)})


def _methods() -> Made:
    """Names of methods that do more than answer."""
    from sklearn import ensemble, linear_model, model_selection, multioutput

    logistic = DATA.fit(linear_model.LogisticRegression(), DATA.labels > 0)
    fixed = DATA.fit(model_selection.FixedThresholdClassifier(logistic), DATA.labels > 0)
    yield "threshold that fits", dump(set_raw(fixed, response_method="fit"))
    yield "threshold that sets parameters", dump(set_raw(fixed, response_method="set_params"), 0)
    tuned = DATA.fit(model_selection.TunedThresholdClassifierCV(logistic, cv=2), DATA.labels > 0)
    yield "tuned threshold that fits", dump(set_raw(tuned, response_method="partial_fit"), 2)
    stack = DATA.fit(ensemble.StackingClassifier([("a", linear_model.LogisticRegression())], cv=2))
    yield "stack that fits", dump(set_raw(stack, stack_method_=["fit"]), 5)
    chain = multioutput.ClassifierChain(linear_model.LogisticRegression(), order=[0, 1])
    targets = np.column_stack([DATA.labels > 0, DATA.labels > 1])
    yield "chain that fits", dump(set_raw(DATA.fit(chain, targets), chain_method_="fit"))
    yield (
        "output in an unknown container",
        dump(set_raw(logistic, _sklearn_output_config={"transform": "os"})),
    )


def _workers() -> Made:
    """Workers and threads."""
    from sklearn import cluster, ensemble, neighbors, tree

    small = tree.DecisionTreeClassifier(max_depth=2)
    yield (
        "bagging with loky",
        dump(DATA.fit(ensemble.BaggingClassifier(small, n_estimators=2)).set_params(n_jobs=-1)),
    )
    forest = DATA.fit(ensemble.RandomForestClassifier(2, max_depth=2))
    yield "forest with 64 workers", dump(set_raw(forest, n_jobs=64), 0)
    yield (
        "voting with workers",
        dump(set_raw(DATA.fit(ensemble.VotingClassifier([("a", small)])), n_jobs=8), 2),
    )
    near = DATA.fit(neighbors.KNeighborsClassifier())
    yield "neighbours with a million workers", dump(set_raw(near, n_jobs=np.int64(1_000_000)))
    means = DATA.fit(cluster.KMeans(2, n_init=1))
    yield "k-means with a million threads", dump(set_raw(means, _n_threads=1_000_000), 3)
    yield "forest with a text as workers", dump(set_raw(forest, n_jobs="all"))


def _trees() -> Made:
    """Decision trees."""
    from sklearn import ensemble, tree

    model = DATA.fit(tree.DecisionTreeClassifier(max_depth=3, random_state=0))
    inner = int(np.flatnonzero(model.tree_.children_left != -1)[-1])

    def nodes(field: str, value: int, index: int = inner) -> dict[str, Any]:
        return {"Tree": with_state(nodes=at(index, value, field))}

    yield "child that is its parent", dump(model, 0, **nodes("left_child", inner))
    yield "circle to the root", dump(model, 1, **nodes("right_child", 0))
    yield "child outside of the tree", dump(model, 2, **nodes("right_child", 1_000_000))
    yield "negative child", dump(model, 3, **nodes("left_child", -70_000))
    yield "one child", dump(model, 4, **nodes("left_child", -1))
    yield "feature that does not exist", dump(model, 5, **nodes("feature", 1_000_000))
    yield "negative feature", dump(model, 4, **nodes("feature", -3))
    yield "too few values", dump(model, 4, Tree=with_state(values=first_k(1)))
    yield "count of nodes that lies", dump(model, 4, Tree=with_state(node_count=1000))
    yield "depth that lies", dump(model, 4, Tree=with_state(max_depth=0))
    yield "classes that are too few", dump(model, 4, Tree=with_arguments(6, np.zeros(0, np.intp), 1))
    yield "outputs without number", dump(model, 4, Tree=with_arguments(6, np.array([3]), 1 << 28))
    yield "tree that is wider than its estimator", dump(set_raw(model, n_features_in_=2), 4)
    unchecked = DATA.fit(tree.DecisionTreeClassifier(max_depth=2))
    del unchecked.n_features_in_
    yield "tree without a width", dump(unchecked, 4)
    yield "tree alone", dump(DATA.fit(tree.DecisionTreeClassifier()).tree_, 4)
    forest = DATA.fit(ensemble.RandomForestClassifier(3, max_depth=3))
    yield "one tree of a forest", dump(forest, 4, **nodes("left_child", 0, 0))
    outliers = ensemble.IsolationForest(n_estimators=3, random_state=0).fit(DATA.rows)
    yield "tree of an isolation forest", dump(outliers, 4, **nodes("right_child", 5_000, 0))


def _boosting() -> Made:
    """Gradient boosting."""
    from sklearn import ensemble, linear_model, tree

    def fitted() -> Any:
        return DATA.fit(ensemble.GradientBoostingClassifier(n_estimators=2, max_depth=2))

    yield "fewer columns than trees", dump(set_raw(fitted(), n_trees_per_iteration_=1, init_="zero"))
    yield "another first guess", dump(set_raw(fitted(), init_=DATA.fit(linear_model.LogisticRegression())), 2)
    two = DATA.fit(ensemble.GradientBoostingClassifier(n_estimators=2), DATA.labels > 0)
    yield "first guess of fewer columns", dump(set_raw(fitted(), init_=two.init_), 5)
    yield "loss of fewer columns", dump(set_raw(fitted(), _loss=two._loss))
    wide = tree.DecisionTreeRegressor(max_depth=2).fit(np.hstack([DATA.rows] * 3)[:, ::-1], DATA.labels)
    mixed = fitted()
    mixed.estimators_[1, 1] = wide
    yield "one wider tree", dump(mixed, 0)
    table = np.array([[1.0, None, "a"]], dtype=object)
    yield "things that are no trees", dump(set_raw(fitted(), estimators_=table))


def _histograms() -> Made:
    """Histogram gradient boosting."""
    from sklearn import ensemble

    numeric = DATA.fit(ensemble.HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=3))
    rows = DATA.rows.copy()
    rows[:, 0] = DATA.labels * 2
    mixed = ensemble.HistGradientBoostingClassifier(
        max_iter=2, min_samples_leaf=3, categorical_features=[0]
    ).fit(rows, DATA.labels)
    set_raw(mixed, _preprocessor=None)  # a release before 1.4 has none

    def nodes(field: str, value: Any) -> dict[str, Any]:
        return {"TreePredictor": with_state(nodes=at(0, value, field))}

    yield "circle", dump(numeric, 4, **nodes("left", 0))
    yield "child outside of the nodes", dump(numeric, 0, **nodes("right", 1_000_000))
    yield "feature that does not exist", dump(numeric, 2, **nodes("feature_idx", 1_000_000))
    yield "negative feature", dump(numeric, 5, **nodes("feature_idx", -1000))
    yield "categories of a number", dump(numeric, 4, **nodes("is_categorical", 1))
    yield "bit set that does not exist", dump(mixed, 4, **nodes("bitset_idx", 1_000_000))
    mapper = {"_BinMapper": with_state(bin_thresholds_=lambda known: [np.array([4000.0]), *known[1:]])}
    yield "category beyond its bits", dump(mixed, 4, **mapper)
    yield "narrow map of categories", dump(mixed, 4, _BinMapper=with_state(is_categorical_=first_k(2)))
    yield "threads without number", dump(mixed, 4, _BinMapper=with_state(n_threads=1 << 20))
    yield "tree alone", dump(numeric._predictors[0][0], 4)


def _neighbours() -> Made:
    """Nearest neighbours."""
    from sklearn import neighbors

    for kind, title in (("kd_tree", "k-d tree"), ("ball_tree", "ball tree")):
        model = DATA.fit(neighbors.KNeighborsClassifier(algorithm=kind, leaf_size=5))
        name = type(model._tree).__name__

        def part(index: int, change: Callable[[Any], Any], name: str = name) -> dict[str, Any]:
            return {name: with_part(index, change)}

        yield f"{title}: row that does not exist", dump(model, 4, **part(1, at(7, 1_000_000)))
        yield f"{title}: node over other rows", dump(model, 2, **part(2, at(2, 1_000_000, "idx_end")))
        yield f"{title}: negative start", dump(model, 0, **part(2, at(1, -40_000, "idx_start")))
        yield f"{title}: inner node without children", dump(model, 5, **part(2, at(-1, 0, "is_leaf")))
        yield f"{title}: bounds that are too few", dump(model, 4, **part(3, narrow))
        yield f"{title}: nodes without number", dump(model, 4, **part(6, lambda _: 1 << 30))
        yield f"{title}: fewer rows", dump(model, 4, **part(0, first_k(3)))
        yield f"{title}: alone", dump(model._tree, 4)
    scaled = DATA.fit(
        neighbors.KNeighborsClassifier(
            algorithm="ball_tree", metric="seuclidean", metric_params={"V": np.ones(DATA.rows.shape[1])}
        )
    )
    metric = type(scaled._tree.dist_metric).__name__ if hasattr(scaled._tree, "dist_metric") else ""
    metric = metric or "SEuclideanDistance64"
    yield "variances that are too few", dump(scaled, 4, **{metric: with_part(1, first_k(1))})
    plain = DATA.fit(neighbors.KNeighborsClassifier(algorithm="brute"))
    yield "target that is no label", dump(plain, 4, KNeighborsClassifier=with_state(_y=at(3, 1 << 40)))
    yield "targets that are too few", dump(plain, 0, KNeighborsClassifier=with_state(_y=first_k(2)))
    yield "rows that are too narrow", dump(plain, 2, KNeighborsClassifier=with_state(_fit_X=narrow))


def _vectors() -> Made:
    """Support vectors, centres and splines."""
    from sklearn import cluster, preprocessing, svm

    model = DATA.fit(svm.SVC())
    counts = np.array(model._n_support)
    yield (
        "negative number of vectors",
        dump(model, 4, SVC=with_state(_n_support=counts + np.array([-100, 100, 0], counts.dtype))),
    )
    yield "coefficients that are too few", dump(model, 0, SVC=with_state(_dual_coef_=narrow))
    yield "intercepts that are too few", dump(model, 2, SVC=with_state(_intercept_=first_k(1)))
    yield "vectors that are too narrow", dump(model, 5, SVC=with_state(support_vectors_=narrow))
    square = svm.SVC(kernel="precomputed").fit(DATA.rows @ DATA.rows.T, DATA.labels)
    yield "column that does not exist", dump(square, 4, SVC=with_state(support_=at(0, 1 << 30)))
    yield "sparse vectors", dump(set_raw(DATA.fit(svm.SVC()), _sparse=True))
    means = DATA.fit(cluster.KMeans(3, n_init=1))
    yield "centres that are too narrow", dump(means, 4, KMeans=with_state(cluster_centers_=narrow))
    curve = DATA.fit(preprocessing.SplineTransformer())
    # Since scipy 1.18 a spline holds an object that whitelist mode refuses whatever is in it.
    if isinstance(curve.bsplines_[0].__reduce_ex__(2)[2], dict):
        yield "spline with too few coefficients", dump(curve, 4, BSpline=with_state(_c=first_k(1)))
        yield "spline with knots that are no numbers", dump(curve, 2, BSpline=with_state(_t=at(4, np.nan)))


def _tables() -> Made:
    """Sparse matrices, generators and arrays."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    rows = sparse.csr_matrix(np.eye(6))
    for name, attribute, change in (
        ("index outside", "indices", at(2, 1_000_000)),
        ("pointer outside", "indptr", at(6, 1_000_000)),
        ("pointers that descend", "indptr", at(3, 5)),
        ("values that are too few", "data", first_k(1)),
    ):
        for layout in ("csr", "csc"):
            matrix = getattr(sparse, f"{layout}_matrix")(rows)
            setattr(matrix, attribute, change(getattr(matrix, attribute)))
            model = set_raw(DATA.fit(LogisticRegression()), coef_=matrix)
            yield f"{layout}: {name}", dump(model, 2 if layout == "csr" else 0)
    blocks = sparse.bsr_matrix(np.eye(6), blocksize=(2, 2))
    blocks.indices = at(1, 1 << 20)(blocks.indices)
    yield "bsr: block outside", dump(blocks)
    state = np.random.RandomState(3)
    yield (
        "generator beyond its buffer",
        dump(
            state, 4, MT19937=lambda r: _moved(r, "pos", 1 << 28), RandomState=with_state(state=_at_position)
        ),
    )
    random = np.random.Generator(np.random.Philox(1))
    yield "Philox beyond its buffer", dump(random, 4, Philox=lambda r: _moved(r, "buffer_pos", 1 << 20))
    objects = np.array([1, 2, 3], dtype=object)
    yield (
        "array of objects that are too few",
        dump(objects, 4, ndarray=lambda r: (*r[:2], (*r[2][:4], r[2][4][:1]), *r[3:])),
    )


def _at_position(known: Any) -> Any:
    return {**known, "pos": 1 << 28}


def _moved(reduced: Any, name: str, value: int) -> Any:
    state = reduced[2]
    found = dict(state[0] if isinstance(state, tuple) else state)
    inner = found if name in found else found["state"]
    changed = {**inner, name: value}
    found = changed if name in found else {**found, "state": changed}
    return (*reduced[:2], (found, *state[1:]) if isinstance(state, tuple) else found, *reduced[3:])


def _labels() -> Made:
    """Labels and texts that are shown to people."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import LabelEncoder

    def labelled(labels: Any) -> bytes:
        return dump(set_raw(DATA.fit(LogisticRegression()), classes_=labels))

    yield "a million labels", labelled(np.arange(1_000_000))
    yield "label of a megabyte", labelled(np.array(["a" * 1_000_000, "b", "c"], dtype=object))
    yield "label with an escape sequence", labelled(np.array(["bolt\x1b[2J", "b", "c"]))
    yield "label with a newline", labelled(np.array(["bolt\nok", "b", "c"], dtype=object))
    yield "label written from right to left", labelled(np.array(["\u202etlob", "b", "c"]))
    yield "label that cannot be encoded", labelled(np.array(["\ud800", "b", "c"], dtype=object))
    beyond = np.array([0x7FFFFFFF, 97, 98], dtype="<u4").view("<U1")
    yield "label of no character", labelled(beyond)
    yield "label that is a list", labelled(np.array([["a"], ("b", "c"), None], dtype=object))
    yield "encoder with an escape sequence", dump(LabelEncoder().fit(["a\x07", "b"]), 0)
    names = np.array(["x" * 5000] * 6, dtype=object)
    yield "feature names without end", dump(set_raw(DATA.fit(LogisticRegression()), feature_names_in_=names))
    yield "version that is a path", dump(DATA.fit(LogisticRegression()), 4, **_versioned("/etc/passwd"))


def _versioned(text_: str) -> Any:
    return {"LogisticRegression": with_state(_sklearn_version=text_)}


def _shapes() -> Made:
    """What holds itself, what is built twice, and attributes that no class has."""
    from sklearn import ensemble, linear_model, pipeline, preprocessing, svm
    from sklearn.utils import Bunch

    logistic = DATA.fit(linear_model.LogisticRegression())
    loop = pipeline.make_pipeline(logistic)
    loop.steps.append(("again", loop))
    yield "pipeline in itself", dump(loop)
    doubled: Any = logistic
    for _ in range(25):
        doubled = set_raw(ensemble.VotingClassifier([]), estimators_=[doubled, doubled], estimators=[])
    yield "votes that double 25 times", dump(doubled, 2)
    yield "unknown attribute", dump(set_raw(DATA.fit(svm.LinearSVC()), extra="x"))
    yield "attribute with a name of Python", dump(set_raw(DATA.fit(svm.LinearSVC()), __class__="x"))
    yield "estimator that is a bunch", dump(set_raw(DATA.fit(linear_model.Ridge()), coef_=Bunch(predict=1)))
    yield "state given twice", _built_twice()
    powers = preprocessing.PolynomialFeatures(2).fit(DATA.rows)
    yield (
        "powers without number",
        dump(set_raw(powers, _max_degree=60, degree=60, n_output_features_=1 << 40)),
    )
    yield "search by a function", dump(_search())
    yield (
        "random state that is a text",
        dump(set_raw(DATA.fit(linear_model.Ridge()), random_state="/dev/random")),
    )


def _search() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    model = DATA.fit(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2))
    return set_raw(model, scorer_=np.zeros)


def _built_twice() -> bytes:
    ridge = stack_global("sklearn.linear_model._ridge", "Ridge") + EMPTY_TUPLE + op("NEWOBJ")
    state = EMPTY_DICT + text("alpha") + op("NONE") + op("SETITEM") + BUILD
    return proto(4) + ridge + state + state + STOP


def _unseen() -> Made:
    """Arrays that native code takes as they are, and states that are no dicts."""
    from collections import OrderedDict

    from sklearn import cluster, ensemble, linear_model, neighbors, pipeline, preprocessing

    def encoder(rare: int | None = None) -> Any:
        kind = "ignore" if rare is None else "infrequent_if_exist"
        made = preprocessing.OneHotEncoder(handle_unknown=kind, min_frequency=rare, sparse_output=False)
        return made.fit(np.round(DATA.rows))

    columns = [1] * DATA.rows.shape[1]
    yield "one-hot: columns that are too few", dump(set_raw(encoder(), _n_features_outs=columns))
    grouped = encoder(3)
    far = [
        None if one is None else np.full_like(one, 1 << 28) for one in grouped._default_to_infrequent_mappings
    ]
    yield "one-hot: column outside", dump(set_raw(grouped, _default_to_infrequent_mappings=far), 2)
    bins = preprocessing.KBinsDiscretizer(3, encode="onehot-dense").fit(DATA.rows)
    set_raw(bins._encoder, _n_features_outs=columns)
    yield "bins: columns that are too few", dump(bins, 5)
    birch = cluster.Birch(threshold=0.3).fit(DATA.rows)
    yield (
        "Birch: lengths that are too few",
        dump(set_raw(birch, _subcluster_norms=birch._subcluster_norms[:1].copy())),
    )
    for name, value in (("Y_norm_squared", np.zeros(1)), ("out", np.zeros((1, 60))), ("w", np.ones(1))):
        near = DATA.fit(neighbors.KNeighborsClassifier(algorithm="brute"))
        yield (
            f"neighbours: {name} beside the metric",
            dump(set_raw(near, effective_metric_params_={name: value})),
        )
    width = {"w": np.ones(DATA.rows.shape[1])}
    near = DATA.fit(neighbors.KNeighborsClassifier(algorithm="ball_tree", p=1.5, metric_params=width))
    yield "weights that are too few", dump(near, 4, MinkowskiDistance64=with_part(1, first_k(1)))
    boosted = DATA.fit(ensemble.HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=3))
    yield "leaf that is cut to none", dump(boosted, 4, TreePredictor=with_state(nodes=_wide_leaves))
    line = pipeline.Pipeline([("a", linear_model.Ridge())], memory="/tmp/cache")
    call = (copyreg._reconstructor, (pipeline.Pipeline, object, None))  # type: ignore[attr-defined]
    yield (
        "state that is an ordered dict",
        dump(Calls(*call[:1], *call[1], state=OrderedDict(line.__dict__)), 2),
    )


def _wide_leaves(nodes: Any) -> Any:
    kinds = [(name, "u8" if name == "is_leaf" else nodes.dtype[name].str) for name in nodes.dtype.names]
    wide = np.zeros(len(nodes), kinds)
    for name in nodes.dtype.names:
        wide[name] = nodes[name]
    wide["is_leaf"][wide["is_leaf"] == 1] = 256
    wide["left"][-1] = wide["right"][-1] = 4_000_000
    return wide


_GROUPS: dict[str, Callable[..., Made]] = {
    "foreign code": _foreign,
    "files": _files,
    "functions": _functions,
    "methods": _methods,
    "workers": _workers,
    "trees": _trees,
    "boosting": _boosting,
    "histograms": _histograms,
    "neighbours": _neighbours,
    "vectors": _vectors,
    "tables": _tables,
    "labels": _labels,
    "shapes": _shapes,
    "unseen": _unseen,
}
