"""Ordinary models, fitted here and now: what whitelist mode must let in, whoever the user is."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def training_data() -> tuple[Any, Any, Any]:
    """Return features (80, 6), positive; labels (80,) of three kinds; and numbers (80,)."""
    random = np.random.default_rng(11)
    kinds = np.arange(80) % 3
    features = np.abs(random.normal(size=(80, 6))) + kinds[:, None]
    labels = np.array(["bracket", "bolt", "housing"])[kinds]
    return features, labels, features @ np.arange(1.0, 7.0)


def models() -> Iterator[tuple[str, Any]]:
    """Yield name and fitted model."""
    features, labels, numbers = training_data()
    kinds = (
        ({**_classifiers(), **_combined()}, (features, labels)),
        (_regressors(), (features, numbers)),
        (_others(), (features,)),
    )
    # One thread: with so few rows the others would only wait, and OpenMP waits by spinning.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for unfitted, data in kinds:
            for name, model in unfitted.items():
                yield name, model.fit(*data)
    yield from _values().items()


def _classifiers() -> dict[str, Any]:
    from sklearn import (
        discriminant_analysis,
        ensemble,
        gaussian_process,
        linear_model,
        naive_bayes,
        neighbors,
        neural_network,
        svm,
        tree,
    )

    return {
        "decision tree": tree.DecisionTreeClassifier(max_depth=4),
        "extra tree": tree.ExtraTreeClassifier(),
        "random forest": ensemble.RandomForestClassifier(12, class_weight="balanced"),
        "extra trees": ensemble.ExtraTreesClassifier(8, bootstrap=True, oob_score=False),
        "bagging": ensemble.BaggingClassifier(n_estimators=4),
        "AdaBoost": ensemble.AdaBoostClassifier(n_estimators=5),
        "gradient boosting": ensemble.GradientBoostingClassifier(n_estimators=4),
        "histogram gradient boosting": ensemble.HistGradientBoostingClassifier(max_iter=4),
        "histogram gradient boosting, stopped early": ensemble.HistGradientBoostingClassifier(
            max_iter=5, early_stopping=True, random_state=3
        ),
        "SVC": svm.SVC(),
        "SVC with probabilities": svm.SVC(kernel="poly", degree=2, random_state=1),
        "NuSVC": svm.NuSVC(nu=0.2),
        "linear SVC": svm.LinearSVC(),
        "logistic regression": linear_model.LogisticRegression(C=0.5),
        "logistic regression, cross-validated": linear_model.LogisticRegressionCV(Cs=2, cv=2),
        "ridge classifier": linear_model.RidgeClassifier(),
        "SGD hinge": linear_model.SGDClassifier(random_state=np.random.RandomState(4)),
        "SGD logistic": linear_model.SGDClassifier(loss="log_loss"),
        "SGD modified Huber": linear_model.SGDClassifier(loss="modified_huber", average=True),
        "perceptron": linear_model.Perceptron(),
        "Gaussian naive Bayes": naive_bayes.GaussianNB(),
        "multinomial naive Bayes": naive_bayes.MultinomialNB(),
        "complement naive Bayes": naive_bayes.ComplementNB(),
        "Bernoulli naive Bayes": naive_bayes.BernoulliNB(),
        "nearest neighbours": neighbors.KNeighborsClassifier(3),
        "nearest neighbours, KD tree": neighbors.KNeighborsClassifier(
            algorithm="kd_tree", weights="distance"
        ),
        "nearest neighbours, ball tree": neighbors.KNeighborsClassifier(
            algorithm="ball_tree", metric="manhattan"
        ),
        "nearest neighbours, brute": neighbors.KNeighborsClassifier(algorithm="brute", metric="cosine"),
        "nearest centroid": neighbors.NearestCentroid(),
        "multilayer perceptron": neural_network.MLPClassifier((6, 4), max_iter=15),
        "multilayer perceptron, SGD": neural_network.MLPClassifier((5,), solver="sgd", max_iter=10),
        "multilayer perceptron, L-BFGS": neural_network.MLPClassifier((5,), solver="lbfgs", max_iter=10),
        "linear discriminant": discriminant_analysis.LinearDiscriminantAnalysis(),
        "quadratic discriminant": discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1),
        "Gaussian process": gaussian_process.GaussianProcessClassifier(),
    }


def _combined() -> dict[str, Any]:
    from sklearn import (
        calibration,
        compose,
        decomposition,
        ensemble,
        feature_selection,
        linear_model,
        model_selection,
        multiclass,
        neighbors,
        pipeline,
        preprocessing,
        svm,
        tree,
    )

    small = tree.DecisionTreeClassifier(max_depth=3)
    logistic = linear_model.LogisticRegression()
    members = [("tree", small), ("line", logistic), ("near", neighbors.KNeighborsClassifier())]
    scaled = pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(3), svm.SVC())
    columns = compose.ColumnTransformer(
        [
            ("scale", preprocessing.StandardScaler(), [0, 1]),
            ("bins", preprocessing.KBinsDiscretizer(3), [2]),
            ("power", preprocessing.PowerTransformer(), slice(3, 5)),
        ],
        remainder="passthrough",
    )
    return {
        "pipeline": scaled,
        "pipeline of columns": pipeline.Pipeline(
            [("columns", columns), ("forest", ensemble.RandomForestClassifier(4))]
        ),
        "selection by chi squared": pipeline.make_pipeline(
            feature_selection.SelectKBest(feature_selection.chi2, k=3), logistic
        ),
        "selection by importance": pipeline.make_pipeline(
            feature_selection.SelectFromModel(small, threshold="0.5*mean"), logistic
        ),
        "boosting on samples": ensemble.GradientBoostingClassifier(n_estimators=3, subsample=0.7),
        "rare categories": pipeline.make_pipeline(
            preprocessing.OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2), small
        ),
        "pipeline with selection": pipeline.make_pipeline(feature_selection.SelectKBest(k=3), logistic),
        "feature union": pipeline.make_pipeline(
            pipeline.make_union(preprocessing.MinMaxScaler(), decomposition.PCA(2)), small
        ),
        "grid search": model_selection.GridSearchCV(
            scaled, {"svc__C": [0.1, 1], "svc__kernel": ["rbf", "linear"]}, cv=2
        ),
        "random search": model_selection.RandomizedSearchCV(
            small, {"max_depth": [2, 3], "criterion": ["gini", "entropy"]}, n_iter=2, cv=2, random_state=5
        ),
        "grid search with splitter": model_selection.GridSearchCV(
            logistic,
            {"C": np.logspace(-1, 1, 3)},
            cv=model_selection.StratifiedKFold(2, shuffle=True, random_state=1),
        ),
        "calibrated": calibration.CalibratedClassifierCV(small, cv=2),
        "calibrated isotonic": calibration.CalibratedClassifierCV(svm.LinearSVC(), method="isotonic", cv=2),
        "voting": ensemble.VotingClassifier(members),
        "soft voting": ensemble.VotingClassifier(members, voting="soft"),
        "stacking": ensemble.StackingClassifier(members, cv=2),
        "one against the rest": multiclass.OneVsRestClassifier(logistic),
        "one against one": multiclass.OneVsOneClassifier(svm.LinearSVC()),
        "boosted trees": ensemble.AdaBoostClassifier(small, n_estimators=3),
        "bagged neighbours": ensemble.BaggingClassifier(neighbors.KNeighborsClassifier(), n_estimators=3),
    }


def _regressors() -> dict[str, Any]:
    from sklearn import ensemble, gaussian_process, kernel_ridge, linear_model, neighbors, svm, tree

    return {
        "linear regression": linear_model.LinearRegression(),
        "ridge": linear_model.Ridge(),
        "lasso": linear_model.Lasso(),
        "elastic net": linear_model.ElasticNet(),
        "Bayesian ridge": linear_model.BayesianRidge(),
        "Huber": linear_model.HuberRegressor(),
        "Poisson": linear_model.PoissonRegressor(),
        "RANSAC": linear_model.RANSACRegressor(random_state=2),
        "SGD regressor": linear_model.SGDRegressor(loss="epsilon_insensitive"),
        "tree regressor": tree.DecisionTreeRegressor(max_depth=4),
        "forest regressor": ensemble.RandomForestRegressor(4),
        "boosting regressor": ensemble.GradientBoostingRegressor(n_estimators=3, loss="huber"),
        "histogram boosting, quantile": ensemble.HistGradientBoostingRegressor(
            loss="quantile", quantile=0.4, max_iter=3
        ),
        "SVR": svm.SVR(),
        "neighbours regressor": neighbors.KNeighborsRegressor(),
        "kernel ridge": kernel_ridge.KernelRidge(kernel="rbf"),
        "Gaussian process regressor": gaussian_process.GaussianProcessRegressor(),
    }


def _others() -> dict[str, Any]:
    from sklearn import (
        cluster,
        covariance,
        decomposition,
        ensemble,
        manifold,
        mixture,
        neighbors,
        preprocessing,
        svm,
    )

    return {
        "k-means": cluster.KMeans(3, n_init=2),
        "mini-batch k-means": cluster.MiniBatchKMeans(3, n_init=1),
        "DBSCAN": cluster.DBSCAN(),
        "agglomerative": cluster.AgglomerativeClustering(3),
        "Birch": cluster.Birch(threshold=0.8),
        "Gaussian mixture": mixture.GaussianMixture(2),
        "isolation forest": ensemble.IsolationForest(n_estimators=4),
        "one-class SVM": svm.OneClassSVM(),
        "local outlier factor": neighbors.LocalOutlierFactor(novelty=True),
        "PCA": decomposition.PCA(2),
        "truncated SVD": decomposition.TruncatedSVD(2),
        "NMF": decomposition.NMF(2),
        "t-SNE": manifold.TSNE(perplexity=5, max_iter=250),
        "isomap": manifold.Isomap(n_neighbors=8),
        "standard scaler": preprocessing.StandardScaler(),
        "robust scaler": preprocessing.RobustScaler(),
        "quantile transformer": preprocessing.QuantileTransformer(n_quantiles=10),
        "power transformer": preprocessing.PowerTransformer(),
        "one-hot encoder": preprocessing.OneHotEncoder(handle_unknown="ignore"),
        "elliptic envelope": covariance.EllipticEnvelope(),
    }


def _values() -> dict[str, Any]:
    from scipy import sparse
    from sklearn.preprocessing import LabelEncoder, MultiLabelBinarizer

    return {
        "numbers": np.linspace(0, 1, 50),
        "integers": np.arange(10, dtype=np.int16),
        "booleans": np.array([True, False]),
        "complex": np.array([1 + 2j]),
        "half": np.ones(3, dtype=np.float16),
        "big-endian": np.arange(4, dtype=">i4"),
        "words": np.array(["bolt", "nut"]),
        "bytes": np.array([b"bolt"]),
        "objects": np.array(["bolt", None, (1, 2), 3.5], dtype=object),
        "records": np.array([(1, 2.0, "a")], dtype=[("a", "i4"), ("b", "f8"), ("c", "U4")]),
        "records with objects": np.array([("a", 2.0)], dtype=[("a", "O"), ("b", "f8")]),
        "nested records": np.zeros(2, dtype=[("p", [("x", "f4"), ("y", "f4")]), ("q", "f8", (3,))]),
        "nested records with objects": np.zeros(2, dtype=[("p", [("x", "O")]), ("q", "O", (2,))]),
        "aligned records": np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        "void": np.zeros(2, dtype="V5"),
        "dates": np.array(["2026-01-01", "2026-02-03"], dtype="M8[D]"),
        "Fortran order": np.asfortranarray(np.ones((3, 4))),
        "empty array": np.zeros((0, 4)),
        "masked array": np.ma.masked_array([1.0, 2.0], mask=[False, True]),
        "scalars": {"a": np.float64(1.5), "b": np.int32(3), "c": np.bool_(True), "d": np.str_("bolt")},
        "sparse": sparse.csr_matrix(np.eye(4)),
        "sparse array": sparse.csc_array(np.eye(4)),
        "random state": np.random.RandomState(3),
        "generator": np.random.default_rng(3),
        "label encoder": LabelEncoder().fit(["bolt", "nut"]),
        "label binarizer": MultiLabelBinarizer().fit([{"a", "b"}, {"c"}]),
        "plain data": {"a": [1, 2.5, "x", b"\xff", None, True, (1, 2), {3}, frozenset({4}), 1 << 70, 1 + 2j]},
        "estimators by name": {
            "range": range(3),
            "slice": slice(1, 9, 2),
            "array": bytearray(b"ab"),
            "empty": b"",
        },
    }


def pickles() -> Iterator[tuple[str, int, bytes]]:
    """Yield name, protocol and pickle of every model."""
    for name, model in models():
        for protocol in PROTOCOLS:
            yield name, protocol, pickle.dumps(model, protocol)
