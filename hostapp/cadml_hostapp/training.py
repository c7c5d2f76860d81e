"""Train a classifier on labelled feature vectors, measure it by cross-validation, and write it to a file.

scikit-learn is the optional extra ``cadml[train]``, so it is imported when a model is trained.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.classifier.files import METADATA_SUFFIX, InputKind, ModelMetadata
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.errors import InvalidInput, PluginUnavailable
from cadml_core.private_files import private_folder

_STAGE = "model_train"
_MAX_FOLDS = 5
_MAX_MODEL_BYTES = 40 * 1024**2  # below the default of MODEL_MAX_MB
_NODE_BYTES = 64


class TrainingReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was trained on which parts, and its accuracy on parts it was not trained on."""

    model_type: str
    feature_version: str
    input: InputKind
    dimension: int
    samples: int
    labels: dict[str, int]
    """Label -> parts it was trained on."""
    left_out: dict[str, int]
    """Labels with a single part, which cannot be both trained on and tested."""
    folds: int
    accuracy: float
    """Share of correct answers over all parts, each answered by a model that was not trained on it."""
    balanced_accuracy: float
    """Mean of the labels' shares of correct answers (recall)."""
    majority_share: float
    """Accuracy of always answering the most frequent label."""


class WrittenModel(msgspec.Struct, frozen=True):
    """The files of a trained model."""

    path: str
    metadata_path: str
    sha256: str
    size: int


def train(
    values: FloatMatrix,
    labels: Sequence[str],
    *,
    feature_version: str,
    input: InputKind = "raw",
    groups: Sequence[str] | None = None,
    trees: int = 200,
    seed: int = 0,
) -> tuple[Any, TrainingReport]:
    """Train a classifier on all rows, and measure it by stratified cross-validation.

    Args:
        values: (n, d), finite.
        labels: One per row.
        feature_version: The feature version of the rows.
        input: Whether the rows are raw values or embeddings.
        groups: One per row: rows of one group (one part in several formats) are never on both sides of a
            fold, which would make the accuracy look better than it is.
        trees: Number of trees.
        seed: The same seed, data and scikit-learn give the same model.

    Raises:
        InvalidInput: The rows do not fit the labels, are not finite, or hold fewer than two labels with
            two parts each.
        PluginUnavailable: scikit-learn is not installed.
    """
    rows, names, kept, left_out = _checked(values, labels)
    sides = np.arange(len(names)) if groups is None else np.asarray(groups, dtype=str)[kept]
    model = _classifier(len(set(names)), trees, seed)
    predicted, folds = _held_out(model, rows, names, sides, seed)
    right = predicted == names
    counts = Counter(names.tolist())
    report = TrainingReport(
        model_type="ExtraTreesClassifier",
        feature_version=feature_version,
        input=input,
        dimension=rows.shape[1],
        samples=len(rows),
        labels=dict(sorted(counts.items())),
        left_out=left_out,
        folds=folds,
        accuracy=float(right.mean()),
        balanced_accuracy=float(np.mean([right[names == name].mean() for name in counts])),
        majority_share=max(counts.values()) / len(names),
    )
    return model.fit(rows, names), report


def write_model(path: Path, model: Any, report: TrainingReport) -> WrittenModel:
    """Write the pickle and a metadata file beside it, each atomically.

    Raises:
        OSError: The folder cannot be written.
    """
    data = pickle.dumps(model, protocol=5)
    metadata = ModelMetadata(
        feature_version=report.feature_version,
        input=report.input,
        dimension=report.dimension,
        labels=tuple(report.labels),
        accuracy=report.accuracy,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    beside = path.with_name(path.name + METADATA_SUFFIX)
    private_folder(path.parent)
    _replace(path, data)
    _replace(beside, msgspec.json.format(msgspec.json.encode(metadata), indent=2) + b"\n")
    return WrittenModel(str(path), str(beside), metadata.sha256 or "", len(data))


def _checked(
    values: FloatMatrix, labels: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.bool_], dict[str, int]]:
    """Return the rows and labels to train on, which rows those are, and the labels left out."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(labels):
        raise InvalidInput(
            f"expected one label per row, found {len(labels)} labels for values of shape {rows.shape}",
            stage=_STAGE,
        )
    if not np.isfinite(rows).all():
        raise InvalidInput("the values to train on contain NaN or infinity", stage=_STAGE)
    counts = Counter(labels)
    names = np.asarray(labels, dtype=str)
    kept = np.array([counts[label] > 1 for label in labels], dtype=bool)
    left_out = {label: 1 for label, count in sorted(counts.items()) if count == 1}
    if len(counts) - len(left_out) < 2:
        raise InvalidInput(
            f"training needs at least two labels with two parts each; found {dict(counts.most_common(5))}",
            stage=_STAGE,
        )
    return rows[kept], names[kept], kept, left_out


def _classifier(label_count: int, trees: int, seed: int) -> Any:
    """Return an untrained forest: it needs no scaling and few parts, and it estimates probabilities."""
    try:
        from sklearn.ensemble import ExtraTreesClassifier
    except ImportError:
        raise PluginUnavailable(
            "training needs scikit-learn: pip install 'cadml[train]'", name="scikit-learn"
        ) from None
    nodes = _MAX_MODEL_BYTES // (trees * (_NODE_BYTES + 8 * label_count))
    return ExtraTreesClassifier(
        trees, class_weight="balanced", max_leaf_nodes=max(nodes // 2, 32), random_state=seed
    )


def _held_out(
    model: Any, rows: NDArray[np.float64], names: NDArray[np.str_], groups: NDArray[Any], seed: int
) -> tuple[NDArray[np.str_], int]:
    """Return the prediction for every row by a model not trained on its group, and the number of folds."""
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    fewest = min(len(set(groups[names == name])) for name in set(names.tolist()))
    folds = max(2, min(_MAX_FOLDS, fewest))
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    predicted = cross_val_predict(model, rows, names, groups=groups, cv=splitter)
    return np.asarray(predicted, dtype=str), folds


def _replace(path: Path, data: bytes) -> None:
    """Write a file atomically."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
