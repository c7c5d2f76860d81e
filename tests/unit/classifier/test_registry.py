"""The serving model: replaced as a whole or not at all, rolled back, asked by many at once."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from prometheus_client import REGISTRY

from cadml_core.classifier.choice import ModelInfo, OwnChoice
from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import (
    CadmlError,
    DimensionMismatch,
    ModelRejected,
    ModelUnavailable,
    NotFound,
    PluginUnavailable,
)
from tests.unit.classifier.assemble import EMPTY_TUPLE, REDUCE, STOP, proto, stack_global
from tests.unit.classifier.tiny import Constant, Fickle, Raising, Slow

MakeRegistry = Callable[..., ModelRegistry]
HOSTILE = proto(4) + stack_global("os", "getpid") + EMPTY_TUPLE + REDUCE + STOP


def write(models: Path, name: str, model: Any, **metadata: Any) -> None:
    """Write a model, with metadata beside it where some is given."""
    (models / name).write_bytes(pickle.dumps(model))
    if metadata:
        (models / f"{name}.json").write_text(json.dumps(metadata))


def test_reload_serves_the_new_model(registry_of: MakeRegistry, models: Path) -> None:
    """After a reload the new model answers, under its own version."""
    registry = registry_of(clock=lambda: 1_764_149_471.456)
    info = registry.reload("good.pkl")
    assert (info.path, info.load_seq, info.dimension, info.feature_version) == ("good.pkl", 1, 22, "v3")
    assert info.loaded_at == "2025-11-26T09:31:11.456Z"
    answer = registry.predict(np.zeros(22))
    assert (answer.label, answer.model_version) == ("bolt", info.version)
    assert info.sha256.startswith(info.version)
    assert registry.version().current == info


def test_no_model_is_a_clear_answer(registry_of: MakeRegistry) -> None:
    """Before the first reload there is nothing to ask and nothing to go back to."""
    registry = registry_of()
    assert registry.version().current is None
    with pytest.raises(NotFound):
        registry.predict(np.zeros(22))
    with pytest.raises(NotFound):
        registry.rollback()


def test_rollback_returns_to_the_previous_model(registry_of: MakeRegistry, models: Path) -> None:
    """A rollback serves the model before, as a new load; a second one undoes the first."""
    write(models, "other.pkl", Constant("nut"))
    registry = registry_of()
    registry.reload("good.pkl")
    registry.reload("other.pkl")
    assert registry.rollback().load_seq == 3
    assert registry.predict(np.zeros(22)).label == "bolt"
    assert registry.rollback().load_seq == 4
    assert registry.predict(np.zeros(22)).label == "nut"


def test_a_failed_reload_changes_nothing_but_the_last_error(registry_of: MakeRegistry, models: Path) -> None:
    """The model in place goes on, the error is remembered, and a good reload forgets it."""
    (models / "bad.pkl").write_bytes(HOSTILE)
    write(models, "raising.pkl", Raising("x"))
    registry = registry_of()
    info = registry.reload("good.pkl")
    for name in ("bad.pkl", "raising.pkl", "missing.pkl", "../outside.pkl"):
        with pytest.raises(CadmlError) as caught:
            registry.reload(name)
        state = registry.version()
        assert state.current == info
        assert state.load_seq == 1
        assert state.last_error is not None
        assert state.last_error.code == caught.value.code
        assert state.last_error.stage == "model_reload"
        assert registry.predict(np.zeros(22)).label == "bolt"
    registry.reload("good.pkl")
    assert registry.version().last_error is None


def test_the_model_is_asked_for_its_own_number_of_values(registry_of: MakeRegistry, models: Path) -> None:
    """Values of another length are a mismatch, not an answer."""
    write(models, "small.pkl", Constant("bolt", 5))
    registry = registry_of()
    assert registry.reload("small.pkl").feature_version is None
    with pytest.raises(DimensionMismatch) as caught:
        registry.predict(np.zeros(22))
    assert caught.value.context == {"expected": 5, "found": 22}


def test_metadata_says_what_the_model_takes(registry_of: MakeRegistry, models: Path) -> None:
    """A model trained on embeddings gets them, made from the raw values of its feature version."""
    write(models, "deep.pkl", Constant("bolt", 25), feature_version="v4", input="embedding", accuracy=0.5)
    registry = registry_of()
    info = registry.reload("deep.pkl")
    assert (info.feature_version, info.input, info.dimension, info.accuracy) == ("v4", "embedding", 25, 0.5)
    assert registry.predict(np.zeros(24)).label == "bolt"


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"feature_version": "v4"}, DimensionMismatch),
        ({"feature_version": "v3", "dimension": 24}, DimensionMismatch),
        ({"feature_version": "v3", "input": "embedding"}, DimensionMismatch),
        ({"feature_version": "v9"}, PluginUnavailable),
        ({"feature_version": "v3", "sha256": "0" * 64}, ModelRejected),
        ({"feature_version": "v3", "input": "picture"}, CadmlError),
        ({"version": 3}, CadmlError),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    registry_of: MakeRegistry, models: Path, metadata: dict[str, Any], error: type[CadmlError]
) -> None:
    """A model of another dimension, version or file than its metadata says is not loaded."""
    write(models, "labelled.pkl", Constant("bolt"), **metadata)
    registry = registry_of()
    with pytest.raises(error):
        registry.reload("labelled.pkl")
    assert registry.version().current is None


DIES, HANGS, RAISES = np.full(22, -11.0), np.full(22, -12.0), np.full(22, -14.0)


def unanswered(registry: ModelRegistry, row: Any) -> str:
    """Return why there is no answer."""
    with pytest.raises(ModelUnavailable) as caught:
        registry.predict(row)
    return str(caught.value.context["reason"])


def answered(registry: ModelRegistry) -> str:
    """Return the label, once the model's process is there again."""
    for _ in range(200):
        try:
            return registry.predict(np.zeros(22)).label
        except ModelUnavailable:
            time.sleep(0.05)
    raise AssertionError("the model does not come back")


def test_no_model_is_loaded_in_this_process(
    registry_of: MakeRegistry, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither unpickled nor asked: the host could not even do it."""

    def forbidden(*_: Any) -> Any:
        raise AssertionError("a model in the host")

    for name in (
        "pickle.Unpickler",
        "pickle.loads",
        "pickle.load",
        "tests.unit.classifier.tiny.Constant.predict",
    ):
        monkeypatch.setattr(name, forbidden)
    monkeypatch.setattr("cadml_core.pickles.loader.load_restricted", forbidden)
    registry = registry_of()
    registry.reload("good.pkl")
    assert registry.predict(np.zeros(22)).label == "bolt"


def test_a_model_that_raises_stays(registry_of: MakeRegistry, models: Path) -> None:
    """It answers no question of that kind, and is not to blame for its process."""
    write(models, "fickle.pkl", Fickle("bolt"))
    registry = registry_of(model_max_failures=2)
    registry.reload("fickle.pkl")
    assert [unanswered(registry, RAISES) for _ in range(5)] == ["error"] * 5
    assert registry.version().failures == 0
    assert answered(registry) == "bolt"


def test_a_model_that_fails_too_often_is_replaced_by_the_one_before(
    registry_of: MakeRegistry, models: Path
) -> None:
    """After as many deaths as allowed it is quarantined, and the previous good one serves by itself."""
    write(models, "fickle.pkl", Fickle("nut"))
    registry = registry_of(model_max_failures=2, clock=lambda: 1_764_149_471.456)
    registry.reload("good.pkl")
    bad = registry.reload("fickle.pkl")
    assert unanswered(registry, DIES) == "died"
    assert answered(registry) == "nut"
    assert registry.version().failures == 1
    assert unanswered(registry, DIES) == "died"
    state = registry.version()
    assert state.current is not None
    assert (state.current.path, state.load_seq, state.previous) == ("good.pkl", 3, None)
    assert [(one.sha256, one.reason) for one in state.quarantined] == [(bad.sha256, "died")]
    assert state.last_error is not None
    assert answered(registry) == "bolt"
    with pytest.raises(NotFound):
        registry.rollback()


def test_the_only_model_is_taken_out_of_service_too(registry_of: MakeRegistry, models: Path) -> None:
    """Without one before it there is none afterwards; an operator's reload lifts the quarantine."""
    write(models, "fickle.pkl", Fickle("nut"))
    registry = registry_of(model_max_failures=1, model_predict_timeout_seconds=1.0)
    registry.reload("fickle.pkl")
    assert unanswered(registry, HANGS) == "timeout"
    for _ in range(100):
        if registry.version().current is None:
            break
        time.sleep(0.05)
    assert registry.version().process == "none"
    with pytest.raises(NotFound):
        registry.predict(np.zeros(22))
    assert registry.reload("fickle.pkl").load_seq == 3
    assert registry.version().quarantined == ()
    assert answered(registry) == "nut"


def test_a_model_that_asks_for_its_thread_pools_serves(registry_of: MakeRegistry, models: Path) -> None:
    """Some estimators look at their own process when they predict; the sandbox lets them."""
    cluster = pytest.importorskip("sklearn.cluster")
    rows = np.random.default_rng(1).normal(size=(30, 22))
    write(models, "kmeans.pkl", cluster.KMeans(2, n_init=1).fit(rows))
    registry = registry_of()
    registry.reload("kmeans.pkl")
    assert registry.predict(rows[0]).label in ("0", "1")


@pytest.mark.parametrize(("child", "ended"), [(0, "longer than 5 s"), (10**9, "signal 11")])
def test_a_tree_that_is_damaged_where_zeros_do_not_go_is_refused(
    registry_of: MakeRegistry, models: Path, child: int, ended: str
) -> None:
    """A branch that leads back to the root, or out of the array, is taken in the trial and harms nobody."""
    tree = pytest.importorskip("sklearn.tree")
    rows = np.zeros((40, 22))
    rows[20:, 3] = 5.0
    model = tree.DecisionTreeClassifier().fit(rows, np.array(["bolt", "nut"]).repeat(20))
    state = model.tree_.__getstate__()
    state["nodes"]["right_child"][0] = child
    model.tree_.__setstate__(state)
    write(models, "damaged.pkl", model)
    registry = registry_of(model_load_timeout_seconds=60.0 if child else 5.0)
    registry.reload("good.pkl")
    with pytest.raises(ModelRejected, match=ended):
        registry.reload("damaged.pkl")
    assert registry.predict(np.zeros(22)).label == "bolt"


def test_nothing_waits_for_a_model_that_hangs(registry_of: MakeRegistry, models: Path) -> None:
    """While one hangs in its trial and another in a prediction: state, rollback, reload and the end."""
    write(models, "slow.pkl", Slow("x"))
    write(models, "fickle.pkl", Fickle("nut"))
    registry = registry_of(model_predict_timeout_seconds=30.0)
    registry.reload("good.pkl")
    registry.reload("fickle.pkl")
    registry.classify(HANGS)
    with ThreadPoolExecutor(1) as pool:
        trial = pool.submit(registry.reload, "slow.pkl")
        time.sleep(0.5)
        start = time.monotonic()
        registry.version()
        assert registry.rollback().path == "good.pkl"
        assert registry.predict(np.zeros(22)).label == "bolt"
        assert time.monotonic() - start < 1
        registry.close()
        assert isinstance(trial.exception(10), ModelRejected)
        assert time.monotonic() - start < 5


def test_a_start_that_fails_every_time_ends_in_quarantine(registry_of: MakeRegistry, models: Path) -> None:
    """A restarted server does not load for ever what dies while loading: it goes back to the one before."""
    write(models, "slow.pkl", Slow("x"))
    choices = OwnChoice()
    registry = registry_of(choices=choices, model_max_failures=2, model_load_timeout_seconds=1.0)
    good = registry.reload("good.pkl")
    sha256 = hashlib.sha256((models / "slow.pkl").read_bytes()).hexdigest()
    slow = msgspec.structs.replace(good, path="slow.pkl", sha256=sha256)
    choices.update(lambda before: before.with_current(slow, before.current, "now"))
    for _ in range(2):
        wanted = registry.follow()
        assert wanted is not None
        with pytest.raises(ModelRejected, match="longer than 1 s"):
            registry.adopt(wanted)
    assert registry.follow() is None
    state = registry.version()
    assert state.current is not None
    assert state.current.path == "good.pkl"
    assert [one.path for one in state.quarantined] == ["slow.pkl"]


def test_a_reload_counts_once_however_many_processes_follow(registry_of: MakeRegistry, models: Path) -> None:
    """Whoever follows counts no reload of its own, be it good or bad; what it refuses is counted as such."""

    def counted() -> list[float]:
        seen = [("model_reload_total", {"status": status}) for status in ("success", "failure")]
        seen.append(("model_security_fail_total", {"reason": "hash_mismatch"}))
        return [REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in seen]

    choices, before = OwnChoice(), counted()
    asked, follower, late = (registry_of(choices=choices) for _ in range(3))
    asked.reload("good.pkl")
    wanted = follower.follow()
    assert wanted is not None
    follower.adopt(wanted)
    answers = "model_prediction_latency_seconds_count"
    asked_before = REGISTRY.get_sample_value(answers) or 0.0
    assert follower.predict(np.zeros(22)).label == "bolt"
    assert REGISTRY.get_sample_value(answers) == asked_before + 1
    write(models, "good.pkl", Constant("exchanged"))
    with pytest.raises(ModelRejected, match="sha256"):
        late.adopt(wanted)
    success, failure, refused = (now - then for now, then in zip(counted(), before, strict=True))
    assert (success, failure, refused) == (1, 0, 1)


def test_a_hundred_reloads_at_once(registry_of: MakeRegistry, models: Path) -> None:
    """Good, bad, missing and large files at once: no deadlock, strictly rising numbers, own answers."""
    write(models, "nut.pkl", Constant("nut"))
    (models / "bad.pkl").write_bytes(HOSTILE)
    (models / "junk.pkl").write_bytes(b"\x80\x04junk")
    with (models / "huge.pkl").open("wb") as stream:
        stream.truncate(200 * 1024**2)
    expected = {
        "good.pkl": None,
        "nut.pkl": None,
        "bad.pkl": "MODEL_OPCODE_BLOCKED",
        "junk.pkl": "MODEL_MALFORMED",
        "huge.pkl": "MODEL_SIZE_EXCEEDED",
        "missing.pkl": "DATA_NOT_FOUND",
    }
    registry = registry_of()
    asked = [name for name in expected for _ in range(17)][:100]
    random.Random(5).shuffle(asked)

    def reload(name: str) -> ModelInfo | str:
        try:
            return registry.reload(name)
        except CadmlError as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        answers = list(zip(asked, pool.map(reload, asked, timeout=300), strict=True))
    loaded = [answer for _, answer in answers if isinstance(answer, ModelInfo)]
    assert sorted(info.load_seq for info in loaded) == list(range(1, len(loaded) + 1))
    assert registry.version().load_seq == len(loaded)
    for name, answer in answers:
        if isinstance(answer, ModelInfo):
            assert (answer.path, expected[name]) == (name, None)
        else:
            assert answer == expected[name]


def test_answers_go_on_while_reloads_fail(registry_of: MakeRegistry, models: Path) -> None:
    """Requests under constant bad reloads get the old model's answer, every one of them."""
    (models / "bad.pkl").write_bytes(HOSTILE)
    (models / "junk.pkl").write_bytes(b"\x80\x04junk")
    registry = registry_of()
    registry.reload("good.pkl")
    stop = threading.Event()
    failures: list[str] = []

    def spoil() -> None:
        while not stop.is_set():
            for name in ("bad.pkl", "junk.pkl", "missing.pkl"):
                try:
                    registry.reload(name)
                except CadmlError as error:
                    failures.append(error.code)

    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            labels = set(pool.map(lambda _: registry.predict(np.zeros(22)).label, range(2000)))
    finally:
        stop.set()
        spoiler.join()
    assert labels == {"bolt"}
    assert failures
    assert registry.version().load_seq == 1


def test_a_scikit_learn_model_passes_the_whole_way(registry_of: MakeRegistry, models: Path) -> None:
    """In whitelist mode a real classifier is loaded, and answers with labels and probabilities."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    random_rows = np.random.default_rng(1).normal(size=(60, 22))
    labels = np.array(["bolt", "nut"])[(random_rows[:, 0] > 0).astype(int)]
    write(models, "real.pkl", linear_model.LogisticRegression().fit(random_rows, labels))
    registry = registry_of(model_opcode_mode="whitelist")
    info = registry.reload("real.pkl")
    assert info.labels == ("bolt", "nut")
    answer = registry.predict(random_rows[0])
    assert answer.label == labels[0]
    assert answer.probabilities is not None
    assert set(answer.probabilities) == {"bolt", "nut"}
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)
