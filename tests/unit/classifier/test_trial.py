"""A model is loaded and asked in a child process first; nothing it does there reaches the host."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from cadml_core.classifier.trial import TrialLimits, TrialReport, try_model
from cadml_core.errors import ModelRejected
from cadml_core.pickles.loader import GlobalRefused, load_restricted, scanned_globals
from cadml_core.pickles.scan import scan_pickle
from tests.unit.classifier import tiny
from tests.unit.classifier.assemble import (
    EMPTY_TUPLE,
    REDUCE,
    STOP,
    TUPLE1,
    global_,
    op,
    proto,
    stack_global,
    text,
)


def attempt(model: Any, **limits: Any) -> TrialReport:
    """Try a model, given as an object or as its pickle."""
    data = model if isinstance(model, bytes) else pickle.dumps(model)
    return try_model(data, scanned_globals(scan_pickle(data)), 22, TrialLimits(**limits))


def refused(model: Any, **limits: Any) -> ModelRejected:
    """Return the error of a trial that must fail, and check that no process is left."""
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ModelRejected) as caught:
        attempt(model, **limits)
    assert set(psutil.Process().children(recursive=True)) <= before
    return caught.value


def test_reports_the_width_of_a_good_model() -> None:
    """A model that predicts passes, and says how many numbers it takes."""
    assert attempt(tiny.Constant("bolt", 7)) == TrialReport(width=7)


def test_what_a_model_prints_is_no_answer() -> None:
    """Output of the model cannot be taken for the report."""
    assert attempt(tiny.Talkative("bolt", 5)) == TrialReport(width=5)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (tiny.Constant, "not an instance"),
        (tiny.Named(), "no callable predict"),
        ({"a": 1}, "no callable predict"),
        (tiny.Raising("x"), "RuntimeError: no idea"),
        (tiny.Undecided("x"), "2 values for one row"),
        (tiny.Leaving("x"), "SystemExit"),
        (tiny.Hungry("x"), "Unable to allocate"),
        (tiny.Constant("x", 0), "how many numbers"),
    ],
)
def test_refuses_what_cannot_serve(model: Any, reason: str) -> None:
    """No predict, one that raises, a class, two labels: each is named."""
    error = refused(model)
    assert error.code == "MODEL_INTERFACE_INVALID"
    assert reason in error.message


def test_ends_a_model_that_never_answers() -> None:
    """The time limit ends the child, whatever it waits for."""
    error = refused(tiny.Slow("x"), wall_seconds=2.0)
    assert error.code == "MODEL_LOAD_FAILED"
    assert "too long" in error.message


def test_a_child_cannot_write_large_files(tmp_path: Path) -> None:
    """Files that a model writes in its trial end at 64 KiB, and the trial fails."""
    target = tmp_path / "written"
    refused(tiny.Writing(str(target)))
    assert not target.exists() or target.stat().st_size <= 65_536


def test_a_child_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child does not inherit the server's environment, where keys may be."""
    monkeypatch.setenv("CADML_TEST_SECRET", "hidden")
    ask = proto(4) + stack_global("os", "getenv") + text("CADML_TEST_SECRET") + TUPLE1 + REDUCE + STOP
    assert "type NoneType" in refused(ask).message


def test_memory_is_limited() -> None:
    """A pickle that takes any amount of memory while it loads fails in the child."""
    bomb = proto(4) + stack_global("builtins", "bytearray")
    bomb += op("LONG1", b"\x06" + (1 << 40).to_bytes(6, "little")) + TUPLE1 + REDUCE + STOP
    assert "MemoryError" in refused(bomb).message


def test_processor_time_is_limited() -> None:
    """A pickle that computes for ever is ended by its processor limit."""
    endless = proto(4) + stack_global("builtins", "sum") + stack_global("itertools", "repeat")
    endless += op("BININT1", b"\x01") + TUPLE1 + REDUCE + TUPLE1 + REDUCE + STOP
    start = time.process_time()
    assert "died" in refused(endless, cpu_seconds=1, wall_seconds=60.0).message
    assert time.process_time() - start < 30


def test_imports_only_what_the_scan_saw() -> None:
    """The loader refuses every other global, and maps Python 2 names like the standard library."""
    data = proto(2) + global_("__builtin__", "set") + EMPTY_TUPLE + REDUCE + STOP
    assert load_restricted(data, ["__builtin__:set"]) == set()
    for allowed in ([], ["builtins:set"], ["__builtin__:list"]):
        with pytest.raises(GlobalRefused):
            load_restricted(data, allowed)


def test_leaves_no_bytecode_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may write little, so Python would cut the compiled form of a large module short.

    Whoever imports the module after that, in any process, would find it damaged.
    """
    module = tmp_path / "a_large_module.py"
    lines = [f"value_{number} = {number}.5" for number in range(9_000)]
    module.write_text(
        "\n".join(
            [*lines, "class Model:", "    n_features_in_ = 3", "    def predict(self, rows): return ['bolt']"]
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loaded = __import__("a_large_module")
    assert attempt(loaded.Model()).width == 3
    assert list(tmp_path.rglob("*.pyc")) == []
