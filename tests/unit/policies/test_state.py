"""Whitelist mode judges what a model holds, not only which classes it names."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cadml_core.contracts.policies import PickleScan
from cadml_core.pickles.scan import scan_pickle
from cadml_plugins.policies._attributes import attribute_data
from cadml_plugins.policies._entries import builtin_whitelist
from cadml_plugins.policies.blacklist import Blacklist
from cadml_plugins.policies.whitelist import Whitelist

pytest.importorskip("sklearn")

from sklearn import linear_model, pipeline, preprocessing, tree

from tests.fuzz.hostile_families import Family, families
from tests.fuzz.hostile_state import DATA, at, dump, set_raw, with_state
from tests.fuzz.judge_hostile import table, verdict
from tests.unit.classifier.assemble import (
    BUILD,
    EMPTY_DICT,
    EMPTY_TUPLE,
    MARK,
    NONE,
    REDUCE,
    STOP,
    number,
    op,
    proto,
    stack_global,
    text,
)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Family, PickleScan]]:
    """Every family of hostile state with its scan."""
    folder: Path = tmp_path_factory.mktemp("canary")
    return [(family, scan_pickle(family.data)) for family in families(folder)]


def messages(model: Any) -> list[str]:
    """Return what whitelist mode has against a model."""
    data = model if isinstance(model, bytes) else pickle.dumps(model)
    return [finding.message for finding in Whitelist().judge(scan_pickle(data)).findings]


def test_whitelist_mode_serves_no_family(every: list[tuple[Family, PickleScan]]) -> None:
    """At least sixty families in every group, and none is allowed."""
    assert len({family.name for family, _ in every}) >= 60
    policy = Whitelist()
    assert [family.name for family, scan in every if policy.judge(scan).allowed] == []


def test_blacklist_mode_refuses_what_plainly_reaches_out(every: list[tuple[Family, PickleScan]]) -> None:
    """Foreign code, workers and methods that do more than answer are refused in the default mode too."""
    policy = Blacklist()
    served = {family.name for family, scan in every if policy.judge(scan).allowed}
    plain = {family.name for family, _ in every if family.group in ("foreign code", "workers")}
    assert not served & plain
    for name in ("pipeline with a cache", "stacking over a vectorizer of files", "threshold that fits"):
        assert name not in served


def test_the_unchanged_models_are_allowed() -> None:
    """What the families start from is refused for its state only."""
    model = DATA.fit(tree.DecisionTreeClassifier(max_depth=3))
    assert messages(model) == []
    assert messages(dump(model, 4)) == []
    inside = dump(model, 4, Tree=with_state(nodes=at(0, 0, "left_child")))
    assert messages(inside) == ["sklearn.tree._tree:Tree: a child is not a later node of the tree"]


def test_a_refusal_names_class_attribute_and_remedy() -> None:
    """It says what was found and, where the user can help it, what to do."""
    line = pipeline.Pipeline([("a", linear_model.Ridge())], memory="/tmp/cache")
    verdict_ = Blacklist().judge(scan_pickle(pickle.dumps(line)))
    (finding,) = verdict_.findings
    assert finding.rule == "dangerous-state"
    assert finding.message == (
        "sklearn.pipeline:Pipeline: memory names a file or a cache; set it to None before saving the model"
    )
    busy = set_raw(DATA.fit(linear_model.LogisticRegression()), n_jobs=-1)
    assert "n_jobs starts workers; set it to None or 1 before saving the model" in messages(busy)[-1]


@pytest.mark.parametrize("protocol", range(6))
def test_state_is_judged_in_every_protocol(protocol: int) -> None:
    """Texts, numbers and arrays are the same values however they are written."""
    good = DATA.fit(linear_model.LogisticRegression(), DATA.words)
    assert messages(pickle.dumps(good, protocol)) == []
    for attribute, value in [
        ("solver", "/etc/passwd"),
        ("classes_", np.array(["a\x1b", "b", "c"])),
        ("extra", 1),
    ]:
        bad = set_raw(DATA.fit(linear_model.LogisticRegression()), **{attribute: value})
        assert any(attribute in message for message in messages(pickle.dumps(bad, protocol))), attribute


def test_users_texts_and_numbers_are_allowed() -> None:
    """Names of steps, labels, weights of labels and numpy's numbers are the user's."""
    model = linear_model.LogisticRegression(C=np.float64(0.3), class_weight={"bolt": 2.0, "nut": 1.0})
    line = pipeline.Pipeline([("größe ändern", preprocessing.StandardScaler()), ("kind", model)])
    assert messages(DATA.fit(line, DATA.words)) == []


def test_an_own_class_is_trusted_with_its_attributes_and_a_known_one_is_not() -> None:
    """An entry of the settings admits a class as it is; one for a listed class does not lift the rules."""
    line = pipeline.Pipeline([("a", linear_model.Ridge())], memory="/tmp/cache")
    policy = Whitelist().configured(("sklearn.pipeline:Pipeline",))
    assert not policy.judge(scan_pickle(pickle.dumps(line))).allowed


def test_shared_arrays_cannot_hold_up_the_scan() -> None:
    """Thousands of trees over one chain of nodes end at a limit, not in minutes."""
    model = tree.DecisionTreeRegressor().fit(np.arange(3000.0)[:, None] ** 2, 1.5 ** (np.arange(3000.0) / 9))
    shared = model.tree_.__reduce__()
    state = {**shared[2]}
    many = [_Again(shared[:2], state) for _ in range(3000)]
    scan = scan_pickle(pickle.dumps(many, 4))
    start = time.perf_counter()
    assert not Whitelist().judge(scan).allowed
    assert time.perf_counter() - start < 20.0


class _Again:
    """Is pickled as a tree with a given state."""

    def __init__(self, call: Any, state: Any) -> None:
        self._reduced = (*call, state)

    def __reduce__(self) -> Any:
        return self._reduced


def test_a_state_of_no_known_form_is_refused() -> None:
    """Parts of other types than any pickler writes are a refusal, in both modes, never an error."""
    kind = (
        stack_global("numpy", "dtype") + text("V8") + op("NEWFALSE") + op("NEWTRUE") + op("TUPLE3") + REDUCE
    )
    kind = kind + MARK + number(3) + text("|") + NONE + number(1) + number(1) + op("TUPLE") + BUILD
    value = (
        stack_global("numpy._core.multiarray", "scalar")
        + kind
        + op("SHORT_BINBYTES", b"\x01x")
        + op("TUPLE2")
        + REDUCE
    )
    ridge = stack_global("sklearn.linear_model._ridge", "Ridge") + EMPTY_TUPLE + op("NEWOBJ")
    data = proto(4) + ridge + EMPTY_DICT + text("alpha") + value + op("SETITEM") + BUILD + STOP
    for policy in (Whitelist(), Blacklist()):
        assert not policy.judge(scan_pickle(data)).allowed


def test_every_listed_class_with_attributes_has_a_table() -> None:
    """The attributes and the pairs are generated from the same models."""
    data, listed = attribute_data(), builtin_whitelist().globals
    assert set(data.classes) <= set(listed)
    assert data.estimators <= set(data.classes)
    assert data.made_with == builtin_whitelist().made_with
    assert all("memory" not in kinds or kinds["memory"] == () for kinds in data.classes.values())
    assert not any(
        "text" in label.split(":")[0].split(".") for label in data.classes if "Transformer" not in label
    )


def test_the_table_of_the_session_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """A scanner that fails has refused; the table adds up."""

    def failing(_: bytes) -> bool:
        raise ValueError

    assert verdict(failing, b"") == "refused"
    family = Family("files", "one", b"")
    table([(family, {"ours": "refused"}), (family, {"ours": "allowed"})], ["ours"], each=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["files", "2", "1"]
    assert lines[-1].split() == ["all", "2", "1"]
