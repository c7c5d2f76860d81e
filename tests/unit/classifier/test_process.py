"""A model is loaded, tried and asked in a process of its own; nothing it does there reaches the host."""

from __future__ import annotations

import os
import pickle
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cadml_core.classifier.messages import Loaded, LoadJob, Predicted, row_bytes
from cadml_core.classifier.process import ModelProcess, ProcessLimits
from cadml_core.classifier.rows import trial_rows
from cadml_core.errors import ModelRejected, ModelUnavailable
from cadml_core.isolation.sandbox import landlock
from cadml_core.isolation.sandbox.entering import offers
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

Make = Callable[..., ModelProcess]
ROW = np.zeros((1, 22))


def process_of(model: Any, told: list[str], **limits: Any) -> ModelProcess:
    """Make the process of a model, given as an object or as its pickle."""
    data = model if isinstance(model, bytes) else pickle.dumps(model)
    rows = row_bytes(trial_rows(22, 1))
    job = LoadJob(data, scanned_globals(scan_pickle(data)), 22, rows, 1)
    return ModelProcess(job, ProcessLimits(**limits), told.append)


def attempt(model: Any, **limits: Any) -> Loaded:
    """Load a model and end its process."""
    process = process_of(model, [], **limits)
    try:
        return process.load()
    finally:
        process.close()


@pytest.fixture
def told() -> list[str]:
    """The failures that the process reported."""
    return []


@pytest.fixture
def make(told: list[str]) -> Iterator[Make]:
    """Load models into processes that end with the test."""
    made: list[ModelProcess] = []

    def start(model: Any, **limits: Any) -> ModelProcess:
        made.append(process_of(model, told, **limits))
        made[-1].load()
        return made[-1]

    yield start
    for process in made:
        process.close()


def answer(process: ModelProcess, row: Any = ROW) -> Predicted:
    """Ask a process and wait."""
    return process.predict(row, lambda predicted: predicted).result(30)


def reason(process: ModelProcess, row: Any) -> str:
    """Return why there is no answer."""
    with pytest.raises(ModelUnavailable) as caught:
        answer(process, row)
    return str(caught.value.context["reason"])


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait for what another thread does; false after twenty seconds."""
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.05)
    return False


def refused(model: Any, **limits: Any) -> ModelRejected:
    """Return the error of a load that must fail, and check that no process is left."""
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ModelRejected) as caught:
        attempt(model, **limits)
    assert set(psutil.Process().children(recursive=True)) <= before
    return caught.value


def test_reports_the_width_of_a_good_model() -> None:
    """A model that predicts passes, and says how many numbers it takes."""
    assert attempt(tiny.Constant("bolt", 7)) == Loaded(7, "tests.unit.classifier.tiny.Constant")


def test_what_a_model_prints_is_no_answer() -> None:
    """Output of the model cannot be taken for the report."""
    assert attempt(tiny.Talkative("bolt", 5)).width == 5


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
        (tiny.Constant("x" * 201), "cannot be shown"),
        (tiny.Constant("\x1b[2J"), "cannot be shown"),
    ],
)
def test_refuses_what_cannot_serve(model: Any, reason: str) -> None:
    """No predict, one that raises, a class, two labels: each is named."""
    error = refused(model)
    assert error.code == "MODEL_INTERFACE_INVALID"
    assert reason in error.message


def test_ends_a_model_that_never_answers() -> None:
    """The time limit ends the child, whatever it waits for."""
    error = refused(tiny.Slow("x"), load_seconds=2.0)
    assert error.code == "MODEL_LOAD_FAILED"
    assert "longer than 2 s" in error.message


def test_a_model_writes_nothing(tmp_path: Path) -> None:
    """Not a byte, even where the kernel has no Landlock and the file can be made; the model is refused."""
    target = tmp_path / "written"
    refused(tiny.Writing(str(target)))
    assert not target.exists() or target.stat().st_size == 0


@pytest.mark.skipif(not offers(landlock.version), reason="the kernel has no Landlock")
def test_a_model_reads_nothing(tmp_path: Path) -> None:
    """A file beside the model folder does not become a label."""
    target = tmp_path / "secret"
    target.write_text("secret")
    assert "PermissionError" in refused(tiny.Reading(str(target))).message


@pytest.mark.parametrize(
    ("row", "expected"),
    [(-11.0, "died"), (-12.0, "timeout"), (-13.0, "memory"), (-14.0, "error"), (-15.0, "answer")],
)
def test_a_failure_costs_one_answer(make: Make, told: list[str], row: float, expected: str) -> None:
    """A model that dies, hangs, eats or babbles for one row is ended, loaded again, and answers the next."""
    process = make(tiny.Fickle("bolt"), predict_seconds=1.0 if row == -12.0 else 20.0, memory_mb=1500)
    assert answer(process).label == "bolt"
    assert reason(process, ROW + row) == expected
    assert told == ([] if expected == "error" else [expected])
    assert eventually(lambda: process.ready)
    assert answer(process).label == "bolt"


def test_what_waits_behind_a_failure_is_told_at_once(make: Make) -> None:
    """Questions that were asked while the model hung fail with it instead of each waiting in turn."""
    process = make(tiny.Fickle("bolt"), predict_seconds=1.0)
    start = time.monotonic()
    futures = [process.predict(ROW - 12.0, lambda predicted: predicted) for _ in range(5)]
    reasons = []
    for future in futures:
        with pytest.raises(ModelUnavailable) as caught:
            future.result(10)
        reasons.append(caught.value.context["reason"])
    assert reasons == ["timeout", *["restarting"] * 4]
    assert time.monotonic() - start < 5


def test_a_process_that_cannot_start_again_is_not_started_in_a_loop(
    make: Make, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed start the next one waits, twice as long each time."""
    process = make(tiny.Fickle("bolt"))
    monkeypatch.setattr("cadml_core.classifier.process._loaded", always_refused)
    assert reason(process, ROW - 11.0) == "died"
    assert eventually(lambda: "start" in told)
    for _ in range(50):
        assert reason(process, ROW) == "restarting"
    assert told.count("start") == 1


def always_refused(*_: Any) -> Loaded:
    """Stand in for a load that fails."""
    raise ModelRejected("no", trial="signal 11")


def test_closing_does_not_wait_for_a_model_that_hangs(make: Make) -> None:
    """Whoever waited for it is told."""
    process = make(tiny.Fickle("bolt"), predict_seconds=60.0)
    future = process.predict(ROW - 12.0, lambda predicted: predicted)
    time.sleep(0.3)
    start = time.monotonic()
    process.close()
    assert time.monotonic() - start < 2
    assert future.exception(5) is not None


def test_a_process_that_is_replaced_has_not_failed(make: Make, told: list[str]) -> None:
    """Questions that were under way when it was closed are told so, and nobody counts them."""
    process = make(tiny.Fickle("bolt"), predict_seconds=60.0)
    future = process.predict(ROW - 12.0, lambda predicted: predicted)
    time.sleep(0.3)
    process.close()
    with pytest.raises(ModelUnavailable) as caught:
        future.result(5)
    assert caught.value.context["reason"] == "closed"
    assert told == []


def test_the_answer_takes_little_longer_than_the_model(make: Make) -> None:
    """A question to the warm process and back: at p50 far below the 2 ms that it may add."""
    process = make(tiny.Constant("bolt"))
    took = []
    for _ in range(200):
        start = time.perf_counter()
        answer(process)
        took.append(time.perf_counter() - start)
    assert sorted(took)[100] < 0.01  # measured: 0.0003; a busy machine may be slow


def test_a_child_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process does not inherit the server's environment, where keys may be."""
    monkeypatch.setenv("CADML_TEST_SECRET", "hidden")
    ask = proto(4) + stack_global("os", "getenv") + text("CADML_TEST_SECRET") + TUPLE1 + REDUCE + STOP
    assert "type NoneType" in refused(ask).message


def test_a_hostile_pickle_reaches_nothing(tmp_path: Path) -> None:
    """What no scan has stopped runs in the process, and has no rights there: no file is touched."""
    written, secret = tmp_path / "written", tmp_path / "secret"
    secret.write_text("a-secret")
    calls: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "shell": (os.system, (f"touch {written}",)),
        "program": (subprocess.run, (["touch", str(written)],)),
        "write": (Path.touch, (written,)),
        "append": (open, (str(written), "a")),
        "delete": (os.unlink, (str(secret),)),
        "rename": (os.rename, (str(secret), str(written))),
        "read": (Path.read_text, (secret,)),
        "environment": (Path.read_text, (Path(f"/proc/{os.getpid()}/environ"),)),
        "kill": (os.kill, (os.getpid(), 9)),
        "device": (open, ("/dev/zero", "rb")),
        "fifo": (os.mkfifo, (str(written),)),
    }
    for name, (function, arguments) in calls.items():
        error = refused(pickle.dumps(Call(function, *arguments)))
        assert "a-secret" not in error.message, name
        if name in ("shell", "program", "kill") or offers(landlock.version):
            assert not written.exists(), name
            assert secret.read_text() == "a-secret", name


class Call:
    """Unpickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.arguments)


def test_memory_is_limited() -> None:
    """A pickle that takes any amount of memory while it loads fails in the child."""
    bomb = proto(4) + stack_global("builtins", "bytearray")
    bomb += op("LONG1", b"\x06" + (1 << 40).to_bytes(6, "little")) + TUPLE1 + REDUCE + STOP
    assert "MemoryError" in refused(bomb).message


def test_a_pickle_that_computes_for_ever_is_ended() -> None:
    """By its time limit, while it is loaded."""
    endless = proto(4) + stack_global("builtins", "sum") + stack_global("itertools", "repeat")
    endless += op("BININT1", b"\x01") + TUPLE1 + REDUCE + TUPLE1 + REDUCE + STOP
    assert "longer than 1 s" in refused(endless, load_seconds=1.0).message


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
