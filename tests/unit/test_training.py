"""Training reports an honest accuracy and writes a model that whitelist mode serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import InvalidInput
from cadml_core.plugins.loader import load_plugins
from cadml_core.settings import Settings
from cadml_hostapp.training import train, write_model

pytest.importorskip("sklearn")

TREES = 12


def parts(per_label: int = 20, spread: float = 0.3) -> tuple[np.ndarray, list[str]]:
    """Return rows (3 * per_label, 22) around three centres, and their labels."""
    random = np.random.default_rng(3)
    labels = ["bolt", "nut", "screw"] * per_label
    centres = {name: random.normal(size=22) for name in ("bolt", "nut", "screw")}
    return np.array([centres[label] + random.normal(size=22) * spread for label in labels]), labels


def test_learns_what_can_be_learnt() -> None:
    """Separable labels are told apart, far above the share of the most frequent one."""
    values, labels = parts()
    _, report = train(values, labels, feature_version="v3", trees=TREES)
    assert report.accuracy > 0.9
    assert report.majority_share == pytest.approx(1 / 3)
    assert (report.samples, report.dimension, report.folds) == (60, 22, 5)
    assert report.labels == {"bolt": 20, "nut": 20, "screw": 20}


def test_admits_when_there_is_nothing_to_learn() -> None:
    """Labels drawn by lot get an accuracy near chance, though the fitted model knows them all by heart."""
    values, labels = parts()
    drawn = np.random.default_rng(1).permutation(labels).tolist()
    model, report = train(values, drawn, feature_version="v3", trees=TREES)
    assert report.accuracy < 0.55
    assert (model.predict(values) == np.array(drawn)).all()


def test_twins_are_not_counted_as_success() -> None:
    """Rows of one group never test a model that has seen their twin."""
    values, labels = parts(per_label=10)
    noise = np.random.default_rng(5).normal(size=values.shape)
    drawn = np.random.default_rng(6).permutation(labels).tolist()
    twice, names = np.vstack([noise, noise]), drawn * 2
    groups = [str(index) for index in range(len(drawn))] * 2
    assert train(twice, names, feature_version="v3", trees=TREES)[1].accuracy > 0.7
    assert train(twice, names, feature_version="v3", trees=TREES, groups=groups)[1].accuracy < 0.55


def test_labels_with_one_part_are_left_out() -> None:
    """A label that cannot be tested is not trained, and the report says so."""
    values, labels = parts(per_label=4)
    _, report = train(np.vstack([values, values[:1]]), [*labels, "lonely"], feature_version="v3", trees=TREES)
    assert report.left_out == {"lonely": 1}
    assert "lonely" not in report.labels
    assert report.folds == 4


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (np.ones((4, 2)), ["a", "a", "b"]),
        (np.ones(4), ["a", "a", "b", "b"]),
        (np.full((4, 2), np.nan), ["a", "a", "b", "b"]),
        (np.ones((4, 2)), ["a", "a", "a", "a"]),
        (np.ones((3, 2)), ["a", "b", "c"]),
        (np.ones((0, 2)), []),
    ],
)
def test_refuses_what_cannot_be_trained(values: np.ndarray, labels: list[str]) -> None:
    """Rows without labels, NaN, or a single label are errors."""
    with pytest.raises(InvalidInput):
        train(values, labels, feature_version="v3", trees=TREES)


def test_the_written_model_is_served_in_whitelist_mode(tmp_path: Path) -> None:
    """From labelled rows to an answer: trained, written, admitted by the strictest mode, asked."""
    values, labels = parts()
    model, report = train(values, labels, feature_version="v3", trees=TREES)
    written = write_model(tmp_path / "models" / "model.pkl", model, report)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["model.pkl", "model.pkl.json"]
    settings = Settings(model_dir=str(tmp_path / "models"), model_opcode_mode="whitelist")
    plugins = load_plugins(settings).registry
    registry = ModelRegistry(settings, plugins.policies, plugins.features)
    info = registry.reload("model.pkl")
    assert (info.sha256, info.feature_version, info.accuracy) == (written.sha256, "v3", report.accuracy)
    assert info.labels == ("bolt", "nut", "screw")
    assert registry.predict(values[0]).label == labels[0]
    registry.close()


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    """Training is repeatable to the byte."""
    values, labels = parts(per_label=5)
    hashes = {
        write_model(tmp_path / name, *train(values, labels, feature_version="v3", trees=TREES)).sha256
        for name in ("a", "b")
    }
    assert len(hashes) == 1
