"""Make the built-in whitelist from real fitted models, so that nobody types it by hand.

Two steps, because the models come from several releases of scikit-learn and numpy, each in an environment
of its own, while reading them needs cadml only::

    python contrib/scripts/generate_whitelist.py fit FOLDER        # once in each environment
    python contrib/scripts/generate_whitelist.py collect FOLDER    # once, where cadml is installed

``fit`` fits every estimator of scikit-learn, once for each of its documented options, and pickles it with
every protocol. ``collect`` scans those pickles and adds what they name, call and build to
``_whitelist.json``, and which attributes their objects have to ``_attributes.json``. So a release can be
added without the others.
"""

from __future__ import annotations

import argparse
import ast
import collections
import datetime
import functools
import hashlib
import importlib
import inspect
import itertools
import json
import pickle
import sys
import textwrap
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cadml_core import Made, PickleScan

PROTOCOLS = (0, 2, 4, 5)  # 1 and 3 write nothing that these do not
POLICIES = Path(__file__).resolve().parents[2] / "plugins/cadml_plugins/policies"
TARGET, ATTRIBUTES = POLICIES / "_whitelist.json", POLICIES / "_attributes.json"
# Classes that take text or call a function; the rows of a part are numbers.
UNLISTED = frozenset(
    {
        "sklearn.feature_extraction._dict_vectorizer:DictVectorizer",
        "sklearn.feature_extraction._hash:FeatureHasher",
        "sklearn.feature_extraction.text:CountVectorizer",
        "sklearn.feature_extraction.text:HashingVectorizer",
        "sklearn.feature_extraction.text:TfidfVectorizer",
    }
)
# Attributes that may be None only: a column transformer holds a FunctionTransformer that passes columns on.
WITHOUT_FUNCTION = {
    "sklearn.preprocessing._function_transformer:FunctionTransformer": ("func", "inverse_func")
}
UFUNCS = (
    *("abs", "arctan", "cbrt", "ceil", "cos", "exp", "expm1", "floor", "log", "log10", "log1p", "log2"),
    *("negative", "reciprocal", "rint", "sign", "sin", "sqrt", "square", "tan", "tanh"),
)


# Python code that runs on the state of a pickle. Each was read; scipy.stats, to name one that is not here,
# executes a text that it finds in the state.
REVIEWED_STATE_CODE = {
    "numpy.ma.core:MaskedArray",
    "numpy.ma:MaskedArray",
    "scipy.sparse._coo:coo_matrix",
    "sklearn.base:BaseEstimator",
    "sklearn.ensemble._hist_gradient_boosting.predictor:TreePredictor",
    "sklearn.isotonic:IsotonicRegression",
    "sklearn.utils._bunch:Bunch",
}


# ---------------------------------------------------------------- fitting


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return small problems: features (60, 4), all positive, and one target each."""
    random = np.random.default_rng(7)
    features = np.abs(random.normal(size=(60, 4))) + 0.1
    classes = np.arange(60) % 3
    features += classes[:, None] * 0.5
    return {
        "classes": (features, classes),
        "binary": (features, classes % 2),
        "words": (features, np.array(["bolt", "nut", "screw"])[classes]),
        "objects": (features, np.array(["bolt", "nut", "screw"], dtype=object)[classes]),
        "numbers": (features, features @ np.array([1.0, 2.0, 3.0, 4.0])),
        "integers": ((features * 4).astype(np.int64), classes),
        "single": (features.astype(np.float32), classes),
        "outputs": (features, np.column_stack([classes % 2, (classes + 1) % 2])),
        "two numbers": (features, features[:, :2] * 2.0),
    }


def estimators() -> Iterator[object]:
    """Yield unfitted estimators: every class, every documented option, and common combinations."""
    from sklearn.utils import all_estimators

    for name, kind in all_estimators():
        yield from variants(name, kind)
    yield from combinations()


def variants(name: str, kind: type) -> Iterator[object]:
    """Yield one class with its defaults, then with each option of each text, flag or missing parameter."""
    made = build(name, kind)
    if made is None:
        return
    yield made
    for parameter, values in options(kind).items():
        for value in values:
            changed = build(name, kind)
            try:
                changed.set_params(**{parameter: value})
            except (ValueError, TypeError):
                continue
            yield changed


def options(kind: type) -> dict[str, list[object]]:
    """Return the values that scikit-learn documents for each parameter of a class."""
    found: dict[str, list[object]] = {}
    for parameter, constraints in getattr(kind, "_parameter_constraints", {}).items():
        values: list[object] = []
        for constraint in constraints if isinstance(constraints, list) else []:
            if constraint == "boolean":
                values += [True, False]
            elif constraint is None:
                values.append(None)
            elif type(constraint).__name__ in {"StrOptions", "Options"}:
                values += sorted(constraint.options, key=str)
        found[parameter] = values
    found.pop("verbose", None)
    return found


def build(name: str, kind: type) -> object | None:
    """Make an estimator cheap to fit, giving those that wrap others something to wrap."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    regressor = name.endswith("Regressor")
    inner = Ridge() if regressor else LogisticRegression()
    several = (
        [("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))]
        if regressor
        else [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))]
    )
    wanted = {
        "estimators": several,
        "base_estimator": inner,
        "estimator": inner,
        "param_grid": {"C": [0.1, 1.0]},
        "param_distributions": {"C": [0.1, 1.0]},
        "n_estimators": 4,
        "n_iter": 2,
        "n_iter_search": 2,
        "max_iter": 30,
        "transformers": [("s", StandardScaler(), [0, 1]), ("m", MinMaxScaler(), [2])],
        "transformer_list": [("s", StandardScaler()), ("m", MinMaxScaler())],
        "steps": [("s", StandardScaler()), ("c", KNeighborsClassifier(3))],
        "dictionary": np.eye(4),
        "cv": None,
        "n_jobs": None,
        "random_state": 0,
        "n_components": 2,
        "n_clusters": 3,
        "hidden_layer_sizes": (5,),
        **({"max_iter": 250, "n_iter": 250, "perplexity": 5.0} if name == "TSNE" else {}),
    }
    try:
        accepted = inspect.signature(kind).parameters
        keep = {key: value for key, value in wanted.items() if key in accepted}
        if "estimator" in accepted and accepted["estimator"].default is None and name.startswith("Bagging"):
            keep.pop("estimator")
        return kind(**keep)
    except (TypeError, ValueError):
        return None


def combinations() -> Iterator[object]:
    """Yield what people build from several estimators."""
    from sklearn import ensemble, linear_model, model_selection, neighbors, pipeline, preprocessing, svm, tree
    from sklearn import feature_selection as selection
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor, kernels

    for metric in ["euclidean", "manhattan", "chebyshev", "cosine", "hamming", "canberra", "braycurtis"]:
        for algorithm in ["auto", "brute", "kd_tree", "ball_tree"]:
            yield neighbors.KNeighborsClassifier(3, metric=metric, algorithm=algorithm)
    for metric, extra in [
        ("minkowski", {"p": 1.5}),
        ("seuclidean", {"V": np.ones(4)}),
        ("mahalanobis", {"VI": np.eye(4)}),
    ]:
        yield neighbors.KNeighborsClassifier(3, metric=metric, metric_params=extra, algorithm="brute")
        yield neighbors.KNeighborsClassifier(3, metric=metric, metric_params=extra, algorithm="ball_tree")
    for kernel in [
        kernels.RBF(),
        kernels.Matern(),
        kernels.RationalQuadratic(),
        kernels.ExpSineSquared(),
        kernels.DotProduct() + kernels.WhiteKernel(),
        kernels.ConstantKernel() * kernels.RBF(),
        kernels.RBF() ** 2,
        kernels.PairwiseKernel(),
    ]:
        yield GaussianProcessRegressor(kernel)
        yield GaussianProcessClassifier(kernel)
    for inner in [svm.SVC(), ensemble.RandomForestClassifier(4), tree.DecisionTreeClassifier()]:
        yield CalibratedClassifierCV(inner, cv=2)
        yield CalibratedClassifierCV(inner, method="isotonic", cv=2)
        yield model_selection.GridSearchCV(inner, {"random_state": [0, 1]}, cv=2)
        yield model_selection.RandomizedSearchCV(inner, {"random_state": [0, 1]}, n_iter=2, cv=2)
        yield pipeline.make_pipeline(
            preprocessing.StandardScaler(), preprocessing.PolynomialFeatures(), inner
        )
        from scipy import stats

        yield model_selection.RandomizedSearchCV(inner, {"random_state": stats.randint(0, 9)}, n_iter=2, cv=2)
        for splitter in [
            model_selection.StratifiedKFold(2),
            model_selection.KFold(2),
            model_selection.ShuffleSplit(2),
            model_selection.StratifiedShuffleSplit(2),
            model_selection.RepeatedStratifiedKFold(n_splits=2, n_repeats=1),
        ]:
            yield model_selection.GridSearchCV(
                inner, {"random_state": np.array([0, 1])}, cv=splitter, scoring="f1_macro", n_jobs=None
            )
    yield model_selection.GridSearchCV(
        linear_model.LogisticRegression(),
        {"C": np.logspace(-1, 1, 3)},
        cv=2,
        scoring=["accuracy"],
        refit="accuracy",
    )
    yield ColumnTransformer(
        [
            ("one", preprocessing.OneHotEncoder(handle_unknown="ignore"), slice(0, 1)),
            ("rest", "passthrough", [1, 2]),
        ]
    )
    yield TransformedTargetRegressor(
        linear_model.Ridge(), transformer=preprocessing.QuantileTransformer(n_quantiles=10)
    )
    for kind in (selection.SelectKBest, selection.SelectPercentile, selection.SelectFpr, selection.SelectFdr,
                 selection.SelectFwe, selection.GenericUnivariateSelect):  # fmt: skip
        for function in (
            "chi2",
            "f_classif",
            "f_regression",
            "mutual_info_classif",
            "mutual_info_regression",
        ):
            yield kind(getattr(selection, function))
    for function in UFUNCS:
        yield preprocessing.FunctionTransformer(getattr(np, function))
    yield preprocessing.FunctionTransformer(np.log1p, inverse_func=np.expm1, check_inverse=False)
    yield preprocessing.FunctionTransformer()
    for state in [np.random.RandomState(0), np.random.default_rng(0)]:
        yield Holder(state)


class Holder:
    """Marks something that is pickled as it is."""

    def __init__(self, content: object) -> None:
        self.content = content


def plain_values() -> Iterator[object]:
    """Yield numpy and scipy values as models hold them."""
    from scipy import sparse

    yield [np.dtype(code).type for code in "SUOMmV"]
    for code in "?bBhHiIlLqQefdgFDG":
        yield np.arange(4).astype(code)
        yield np.arange(4).astype(code)[1]
        yield np.asfortranarray(np.arange(6).reshape(2, 3).astype(code))
        yield np.dtype(code)
        yield np.dtype(code).type
    yield np.array(["bolt", "nut"])
    yield np.array([b"bolt", b"nut"])
    yield np.array(["bolt", None, 3.0, (1, 2)], dtype=object)
    yield np.array("2026-01-01", dtype="M8[D]")
    yield np.array([1, 2], dtype="m8[s]")
    yield np.array(["bolt"])[0]
    yield np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    yield np.zeros((0, 3))
    yield np.array(3.5)
    yield np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0])
    yield np.ma.masked_array(["a", "b"], mask=[0, 1], dtype=object)
    yield np.arange(12.0).reshape(3, 4).T[::2]
    yield np.arange(12.0).astype(">f8")
    yield np.matrix([[1.0, 2.0]])
    for layout in ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]:
        yield sparse.eye(4, format=layout)
        if hasattr(sparse, f"{layout}_array"):
            yield getattr(sparse, f"{layout}_array")(np.eye(4))
    for kind in ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"]:
        yield np.random.Generator(getattr(np.random, kind)(1))
        yield getattr(np.random, kind)(1)
    yield np.random.RandomState(3)
    yield np.random.SeedSequence(3)
    yield [collections.OrderedDict(a=1), collections.defaultdict(int, a=1), collections.defaultdict(list)]
    yield [
        collections.Counter("abca"),
        collections.Counter({1: 2}),
        collections.deque([1, 2]),
        collections.deque(maxlen=3),
    ]
    yield [
        datetime.date(2026, 1, 1),
        datetime.datetime(2026, 1, 1, 12),
        datetime.timedelta(3),
        datetime.time(3),
    ]
    yield {"complex": 1 + 2j, "slice": slice(1, 2), "range": range(3), "set": {1}, "frozen": frozenset({2})}
    yield {"bytes": b"\xff\x00", "empty": b"", "array": bytearray(b"ab"), "big": 1 << 80, "text": "ä" * 300}
    yield {
        "types": [int, float, str, bool, object, bytes, list, tuple, dict, set, complex],
        "more": [NotImplemented, ...],
    }


def write_pickles(folder: Path) -> None:
    """Fit everything and write each different pickle to the folder."""
    import scipy
    import sklearn

    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    stamp = f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, scipy {scipy.__version__}"
    (folder / f"{sklearn.__version__}.attributes").write_text(json.dumps(assigned_attributes()))
    (folder / f"{sklearn.__version__}.txt").write_text(f"{stamp}, Python {sys.version.split()[0]}\n")
    count = 0
    known: set[type] = set()
    for item in itertools.chain(map(Holder, plain_values()), estimators()):
        most = 2 if type(item) in known else len(data_sets())
        known.add(type(item))
        for content in fitted(item, most):
            for protocol in PROTOCOLS:
                count += write(folder, sklearn.__version__, content, protocol)
    print(f"{stamp}: {count} pickles")


def assigned_attributes() -> dict[str, dict[str, list[str]]]:
    """Return what the source of every estimator assigns to itself: attribute -> texts that stand there.

    Some attributes appear only with options or data that nobody thought of when the models were made.
    """
    from sklearn.utils import all_estimators

    found: dict[str, dict[str, list[str]]] = {}
    for _, kind in all_estimators():
        own = found[f"{kind.__module__}:{kind.__qualname__}"] = {}
        for base in kind.__mro__:
            if base.__module__.startswith("sklearn."):
                for name, value in assignments(base):
                    texts = own.setdefault(name, [])
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        texts.append(value.value)
    return found


def assignments(kind: type) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield name and value of every assignment to an attribute of ``self`` in the source of a class."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for part in ast.walk(target):
                    if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
                        yield part.attr, node.value if part is target else None


def fitted(item: object, most: int) -> Iterator[object]:
    """Yield the item unfitted, and fitted to the data sets it accepts, ``most`` of them."""
    if isinstance(item, Holder):
        yield item.content
        return
    yield item
    clone = importlib.import_module("sklearn.base").clone
    seen = 0
    for features, target in data_sets().values():
        try:
            yield clone(item).fit(features, target)
        except Exception:  # noqa: BLE001  (most combinations of option and data do not fit, by design)
            continue
        seen += 1
        if seen == most:
            return
    text = ["a bolt", "a nut and a bolt", "a screw"] * 5
    if not seen:
        for features in (text, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]):
            try:
                yield clone(item).fit(features)
            except Exception:  # noqa: BLE001
                continue


def write(folder: Path, version: str, content: object, protocol: int) -> int:
    """Write one pickle unless that very one is there; return how many were written."""
    try:
        data = pickle.dumps(content, protocol)
    except Exception:  # noqa: BLE001  (some objects refuse some protocols)
        return 0
    if len(data) > 1_000_000:
        return 0
    path = folder / f"{version}-{hashlib.sha256(data).hexdigest()[:20]}.pkl"
    if path.exists():
        return 0
    path.write_bytes(data)
    return 1


# ---------------------------------------------------------------- collecting


def collect(folder: Path) -> None:
    """Scan every pickle of the folder, and add what it finds to the whitelist and to the attributes."""
    from cadml_core.pickles.grammar import CODE_OF
    from cadml_core.pickles.scan import scan_pickle
    from cadml_plugins.policies._arguments import ARGUMENT_RULES, canonical, pattern
    from cadml_plugins.policies._denials import denial

    scans = ((path, scan_pickle(path.read_bytes())) for path in sorted(folder.glob("*.pkl")))
    opcodes: set[str] = set()
    table = AttributeTable()
    found: dict[str, dict[str, set[str]]] = {}
    for path, scan in scans:
        if scan.malformed or scan.oddities:
            print(f"passed over {path.name}: {[f.message for f in (*scan.malformed, *scan.oddities)]}")
            continue
        if denied := [g.label for g in scan.globals if denial(g.module or "", g.name or "")]:
            print(f"passed over {path.name}: the blacklist denies {denied}")
            continue
        if unlisted := {canonical(g.label) for g in scan.globals} & UNLISTED:
            print(f"passed over {path.name}: {sorted(unlisted)} are left out")
            continue
        if any(map(calls_a_function, scan.objects)):
            print(f"passed over {path.name}: it calls a function")
            continue
        if unread := {g.label for g in scan.globals if runs_unread_code(g.module, g.name)}:
            print(f"passed over {path.name}: nobody has read how {sorted(unread)} take their state")
            continue
        opcodes |= scan.opcode_counts.keys()
        table.add(scan)
        for reference in scan.globals:
            uses = found.setdefault(canonical(reference.label), {})
            for use in reference.uses:
                uses.setdefault(use, set())
        for call in scan.calls:
            callee = canonical(call.callee)
            patterns = found.setdefault(callee, {}).setdefault(call.opcode, set())
            if (callee, call.opcode) not in ARGUMENT_RULES and callee != "copyreg:_reconstructor":
                patterns.add(pattern(call.arguments))
    before = json.loads(TARGET.read_text())
    opcodes |= set(before["opcodes"])
    for label, uses in before["globals"].items():
        if label not in UNLISTED:
            for use, patterns in uses.items():
                found.setdefault(label, {}).setdefault(use, set()).update(patterns)
    made_with = sorted({*before["made_with"], *(path.read_text().strip() for path in folder.glob("*.txt"))})
    for path in sorted(folder.glob("*.attributes")):
        table.add_source(json.loads(path.read_text()))
    table.write(made_with, found)
    result = {
        "made_with": made_with,
        "opcodes": sorted(opcodes, key=lambda name: CODE_OF[name]),
        "globals": {
            label: {use: sorted(p) for use, p in sorted(uses.items())}
            for label, uses in sorted(found.items())
        },
    }
    TARGET.write_text(json.dumps(result, indent=1, ensure_ascii=True) + "\n")
    print(f"{len(opcodes)} opcodes, {len(found)} globals -> {TARGET}")


class AttributeTable:
    """Collects which attributes the objects of each class have, and what they hold."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, set[str]]] = {}
        self._estimators: set[str] = set()

    def add(self, scan: PickleScan) -> None:
        """Add every object of one pickle."""
        from cadml_plugins.policies._arrays import Arrays, made_label
        from cadml_plugins.policies._kinds import KindsOf

        kinds = KindsOf(frozenset(), Arrays(1 << 40))
        for made in scan.objects:
            label = made_label(made)
            for state in made.states:
                if isinstance(state, dict):
                    attributes = self._values.setdefault(label, {})
                    if "_sklearn_version" in state:
                        self._estimators.add(label)
                    for name, value in state.items():
                        attributes.setdefault(name, set()).update(kinds.of(value))

    def add_source(self, assigned: dict[str, dict[str, list[str]]]) -> None:
        """Add what the source of one release assigns; methods and properties are no attributes."""
        for label, attributes in assigned.items():
            for name, texts in attributes.items():
                kinds = self._values.setdefault(label, {}).setdefault(name, set())
                kinds.update(f"text {text}" for text in texts)

    def write(self, made_with: list[str], listed: Collection[str]) -> None:
        """Write the table of the listed classes; objects of estimators may stand for one another."""
        before = (
            json.loads(ATTRIBUTES.read_text()) if ATTRIBUTES.exists() else {"estimators": [], "classes": {}}
        )
        self._estimators.update(before["estimators"])
        for label, attributes in before["classes"].items():
            for name, kinds in attributes.items():
                self._values.setdefault(label, {}).setdefault(name, set()).update(kinds)
        names = {f"object {label}" for label in self._estimators}
        classes = {
            label: {
                name: sorted({"estimator" if kind in names else kind for kind in kinds})
                for name, kinds in sorted(attributes.items())
            }
            for label, attributes in sorted(self._values.items())
            if label in listed
        }
        bad = [
            f"{label}.{name}: {kind}"
            for label, attributes in classes.items()
            for name, kinds in attributes.items()
            for kind in kinds
            if kind.startswith("bad ")
        ]
        if bad:
            sys.exit(f"these attributes hold what no rule can describe: {bad}")
        result = {
            "made_with": made_with,
            "estimators": sorted(self._estimators & set(listed)),
            "classes": classes,
        }
        ATTRIBUTES.write_text(json.dumps(result, indent=1, ensure_ascii=True) + "\n")
        print(f"{len(classes)} classes, {sum(map(len, classes.values()))} attributes -> {ATTRIBUTES}")


def calls_a_function(made: Made) -> bool:
    """Tell whether an object has a function where only None is listed."""
    from cadml_plugins.policies._arrays import made_label

    names = WITHOUT_FUNCTION.get(made_label(made) or "", ())
    return any(state.get(name) is not None for state in made.states for name in names)


@functools.cache
def runs_unread_code(module: str | None, name: str | None) -> bool:
    """Tell whether a class takes its state with Python code that is not in ``REVIEWED_STATE_CODE``.

    What this environment does not have (older releases) was there when its newer form was read.
    """
    try:
        kind = getattr(importlib.import_module(module or ""), name or "")
    except (ImportError, AttributeError, ValueError):
        return False
    for base in getattr(kind, "__mro__", ()):
        if inspect.isfunction(vars(base).get("__setstate__")):
            return f"{base.__module__}:{base.__qualname__}" not in REVIEWED_STATE_CODE
    return False


def main() -> None:
    """Run one of the two steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["fit", "collect"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    {"fit": write_pickles, "collect": collect}[arguments.step](arguments.folder)


if __name__ == "__main__":
    main()
