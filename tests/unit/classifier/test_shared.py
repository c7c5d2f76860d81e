"""One choice of model for every process on a catalogue."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cadml_core.catalog.state import OperatorState
from cadml_core.catalog.store import Catalog
from cadml_core.classifier.choice import SharedChoice
from cadml_core.classifier.following import SharedModels
from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import CadmlError, NotFound
from tests.unit.classifier.tiny import Constant

MakeRegistry = Callable[..., ModelRegistry]
ROW = np.zeros(22)


def settle(models: SharedModels) -> None:
    """Follow, and wait until what had to be started for that runs, or was refused."""
    models.follow()
    for _ in range(400):
        state = models.registry.version()
        if state.process != "starting" or state.last_error is not None:
            return
        time.sleep(0.05)
    raise AssertionError("the model is not started")


@pytest.fixture
def process(registry_of: MakeRegistry, database_url: str) -> Iterator[Callable[[], SharedModels]]:
    """Make the models of one more process on the same catalogue."""
    catalogs: list[Catalog] = []
    made: list[SharedModels] = []

    def make(**options: Any) -> SharedModels:
        catalogs.append(Catalog.open(database_url))
        choices = SharedChoice(OperatorState(catalogs[-1]))
        made.append(SharedModels(registry_of(choices=choices, **options)))
        return made[-1]

    yield make
    for models in made:
        models.close()
    for catalog in catalogs:
        catalog.close()


def test_closing_while_following_begins_is_no_error(
    process: Callable[[], SharedModels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is stopped as it starts ends in order, and nothing follows afterwards."""
    models, begin = process(), threading.Thread.start
    begun: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        if thread.name == "cadml-models":
            models.close()
            begun.append(thread)
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    models.start_following()
    begun[0].join(5)
    assert not begun[0].is_alive()


def test_what_one_reloads_all_serve(process: Callable[[], SharedModels], models: Path) -> None:
    """A reload or rollback in one process is followed by the others, under the same number."""
    one, other = process(), process()
    (models / "nut.pkl").write_bytes(pickle.dumps(Constant("nut")))
    one.registry.reload("good.pkl")
    settle(other)
    assert other.registry.predict(ROW).label == "bolt"
    other.registry.reload("nut.pkl")
    settle(one)
    assert one.registry.predict(ROW).label == "nut"
    one.registry.rollback()
    settle(other)
    assert other.registry.predict(ROW).label == "bolt"
    assert one.registry.version().load_seq == other.registry.version().load_seq == 3


def test_a_restarted_process_finds_its_model(process: Callable[[], SharedModels]) -> None:
    """The choice is in the catalogue, so a new process loads it before it is asked."""
    process().registry.reload("good.pkl")
    restarted = process()
    restarted.start_following()
    settle(restarted)
    assert restarted.registry.predict(ROW).label == "bolt"
    restarted.close()
    restarted.close()


def test_numbers_rise_across_processes(process: Callable[[], SharedModels]) -> None:
    """However the processes take turns, no number is given twice and none falls."""
    several = [process() for _ in range(3)]
    numbers = [several[turn % 3].registry.reload("good.pkl").load_seq for turn in range(9)]
    assert numbers == sorted(set(numbers))


def test_a_refused_reload_is_nobodys_model(process: Callable[[], SharedModels], models: Path) -> None:
    """What fails a check in one process is never offered to another."""
    one, other = process(), process()
    one.registry.reload("good.pkl")
    (models / "bad.pkl").write_bytes(b"\x80\x04junk")
    with pytest.raises(CadmlError):
        one.registry.reload("bad.pkl")
    settle(other)
    assert other.registry.predict(ROW).label == one.registry.predict(ROW).label == "bolt"
    assert other.registry.version().load_seq == 1


def test_a_process_that_cannot_follow_keeps_its_model(
    process: Callable[..., SharedModels], models: Path
) -> None:
    """Where the file has changed since, the follower says so once and serves on."""
    one, other = process(), process()
    one.registry.reload("good.pkl")
    settle(other)
    (models / "nut.pkl").write_bytes(pickle.dumps(Constant("nut")))
    one.registry.reload("nut.pkl")
    (models / "nut.pkl").write_bytes(pickle.dumps(Constant("changed")))
    settle(other)
    settle(other)
    assert other.registry.predict(ROW).label == "bolt"
    problem = other.registry.version().last_error
    assert problem is not None
    assert problem.code == "MODEL_HASH_MISMATCH"


def test_nothing_chosen_is_nothing_loaded(process: Callable[[], SharedModels]) -> None:
    """On a fresh catalogue there is nothing to follow, and nothing to go back to."""
    fresh = process()
    fresh.follow()
    assert fresh.registry.version().current is None
    with pytest.raises(NotFound):
        fresh.registry.rollback()
