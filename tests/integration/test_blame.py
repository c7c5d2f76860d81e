"""Whatever a plugin does wrong, the error names the object, its module and the member."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cadml_core.classifier.gate import Gate, refusal
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import ReadLimits
from cadml_core.contracts.policies import PickleScan, Verdict
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.documents.document import CadDocument
from cadml_core.errors import CadmlError
from cadml_core.intake.refusals import depends_on_content
from cadml_core.reading.pool import ReaderPool
from cadml_core.search.spaces import Space
from tests.integration.evil_readers import FORMATS, Version


class EmbedRaises(Version):
    """Computes values, and fails to place them."""

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Raise."""
        raise RuntimeError("no place")


class EmbedNaN(Version):
    """Places every part nowhere."""

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Return NaN."""
        return np.full((len(values), 2), np.nan, dtype=np.float32)


class EmbedLosesRows(Version):
    """Places all parts at once."""

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Return one row."""
        return np.zeros((1, 2), dtype=np.float32)


class Slow(Version):
    """Takes longer than a file may take."""

    def extract(self, document: CadDocument) -> FloatVector:
        """Sleep; what it prints must not hide it."""
        print("working ...", flush=True)
        time.sleep(60.0)
        return np.array(self.values)


class Huge(Version):
    """Takes more memory than a file may take."""

    def extract(self, document: CadDocument) -> FloatVector:
        """Hold more and more."""
        held = [bytearray(64 * 1024**2) for _ in range(64)]
        return np.array([float(len(held)), 0.0])


class Dying(Version):
    """Ends its process."""

    def extract(self, document: CadDocument) -> FloatVector:
        """End."""
        import os

        os._exit(7)


VERSIONS: dict[str, FeatureVersion] = {
    "raises": EmbedRaises("raises", [1.0, 2.0]),
    "nan": EmbedNaN("nan", [1.0, 2.0]),
    "loses": EmbedLosesRows("loses", [1.0, 2.0]),
    "slow": Slow("slow", [1.0, 2.0]),
    "huge": Huge("huge", [1.0, 2.0]),
    "dying": Dying("dying", [1.0, 2.0]),
    "flat": Version("flat", [1.0, 2.0]),
}


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    """Readers with little time and memory."""
    limits = ReadLimits(max_seconds=1.5, max_memory_mb=600)
    with ReaderPool(FORMATS, VERSIONS, limits=limits, workers=1) as shared:
        yield shared


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file that is read in no time."""
    path = tmp_path / "part.good"
    path.write_text("good\n")
    return path


@pytest.mark.parametrize(
    ("version", "fault"),
    [("raises", "embed raised RuntimeError: no place"), ("nan", "embed returned NaN")],
)
def test_an_embedding_is_tried_where_values_enter(
    pool: ReaderPool, good: Path, version: str, fault: str
) -> None:
    """The version is blamed when a file is read, not the index when somebody searches."""
    with pytest.raises(CadmlError) as caught:
        pool.read(good, [version])
    assert f"the feature version {version} (tests): {fault}; report this" in caught.value.message
    assert caught.value.context["member"] == "embed"
    assert not depends_on_content(caught.value)


def test_an_embedding_with_too_few_rows_is_not_the_fault_of_an_index() -> None:
    """One row by itself is right, so it shows where several are placed."""
    with pytest.raises(
        CadmlError, match=r"loses \(tests\): embed returned float32 \(1, 2\), expected .*\(3, any\)"
    ):
        Space(VERSIONS["loses"], "scaled").project(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("version", "code"), [("slow", "PARSE_TIMEOUT"), ("huge", "PARSE_CRASHED"), ("dying", "PARSE_CRASHED")]
)
def test_a_version_that_takes_too_much_is_named_and_not_the_reader(
    pool: ReaderPool, good: Path, version: str, code: str
) -> None:
    """The file was read; the message and the context name the version that was computing."""
    with pytest.raises(CadmlError, match=f"feature version {version}") as caught:
        pool.read(good, ["flat", version])
    assert (caught.value.code, caught.value.context["during"]) == (
        code,
        f"extract of the feature version {version}",
    )
    assert pool.read(good, ["flat"]).vectors == {"flat": [1.0, 2.0]}


def test_a_reader_that_takes_too_much_is_not_blamed_on_a_version(pool: ReaderPool, tmp_path: Path) -> None:
    """Where the file itself hangs, no version had been asked."""
    path = tmp_path / "part.hangs"
    path.write_text("hangs\n")
    with pytest.raises(CadmlError) as caught:
        pool.read(path, ["flat"])
    assert "during" not in caught.value.context
    assert "feature version" not in caught.value.message


class Policy:
    """A policy that does what it was made with."""

    def __init__(self, name: str, answer: Any) -> None:
        self.name = name
        self._answer = answer

    def judge(self, scan: PickleScan) -> Verdict:
        """Raise or return the answer."""
        if isinstance(self._answer, Exception):
            raise self._answer
        verdict: Verdict = self._answer
        return verdict


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (ValueError("oops"), "judge raised ValueError: oops"),
        (None, "judge returned NoneType"),
        (True, "returned bool"),
    ],
)
def test_a_policy_that_gives_no_verdict_refuses_and_is_named(answer: Any, fault: str) -> None:
    """No model slips through because a policy is broken, and one that only watches stops no audit."""
    report = Gate({"odd": Policy("odd", answer)}, "odd").report(b"K\x01.")
    told = refusal(report)
    assert told is not None
    assert told.code == "MODEL_OPCODE_BLOCKED"
    assert "the opcode policy odd (tests): judge" in told.message
    assert fault in told.message
    watching = Policy("watch", Verdict("watch", allowed=True, advisory=True))
    both = Gate({"odd": Policy("odd", answer), "watch": watching}, "watch").report(b"K\x01.")
    assert refusal(both) is None
    assert [verdict.allowed for verdict in both.others] == [False]
