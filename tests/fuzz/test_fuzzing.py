"""The fuzz session itself: its damage is real and repeatable, and it notices broken promises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from cadml_core.documents.document import BoundingBox, CadDocument, MassProperties
from cadml_core.errors import CadmlError, MalformedFile
from cadml_core.reading.reading import Reading
from tests.fuzz.fuzz_readers import VERSIONS, judge
from tests.fuzz.mutations import MUTATIONS, mutate

SAMPLE = (
    b"ISO-10303-21;\nDATA;\n#1=CARTESIAN_POINT('',(0.,1.5,-2.E1));\n#2=VERTEX_POINT('',#1);\n"
    b"#3=CARTESIAN_POINT('',(7.,8.,9.));\n#4=(LENGTH_UNIT()SI_UNIT(.MILLI.,.METRE.));\nENDSEC;\n"
    * 4
    + b"$INSUNITS\n 70\n4\nendsolid part\n"
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_each_mutation_changes_the_file_and_can_be_repeated(
    mutation: Callable[[bytes, Random], bytes],
) -> None:
    """The same seed makes the same damage, and many seeds make some."""
    results = [mutation(SAMPLE, Random(seed)) for seed in range(50)]
    assert results == [mutation(SAMPLE, Random(seed)) for seed in range(50)]
    assert sum(result != SAMPLE for result in results) >= 10


def test_no_good_file_is_taken_for_a_damaged_one() -> None:
    """What comes out is never what went in, for the shortest files too."""
    for seed in range(300):
        for data in (SAMPLE, b"xy"):
            done, damaged = mutate(data, SAMPLE, Random(seed))
            assert damaged != data
            assert done


def test_broken_promises_are_noticed() -> None:
    """Readings must be complete, refusals must have a code, and internal errors are none."""
    vectors = {version: [1.0] for version in VERSIONS}
    complete = Reading(
        sha256="", size=1, format="x", adapter_version="1", document=CadDocument(format="x"), vectors=vectors,
        seconds=0.0, read_seconds=0.0, extract_seconds={},
    )  # fmt: skip
    assert judge(complete) == ("read", "", "")
    assert judge(MalformedFile("no")) == ("PARSE_FAILED", "", "")
    assert judge(CadmlError("bug"))[2] == "internal error: bug"
    assert judge(RuntimeError("bug"))[2] == "no structured error"
    assert judge(MalformedFile("the x adapter could not read y", exception="KeyError"))[1].endswith(
        "KeyError"
    )
    stated = CadDocument(format="x", bounding_box=BoundingBox((0, 0, 0), (1, 1, 1)), unit="inch")
    assert judge(msgspec.structs.replace(complete, document=stated), "in")[2] == ""
    assert judge(msgspec.structs.replace(complete, document=stated), "mm")[2].startswith("stated mm")
    astray = CadDocument(
        format="stl", bounding_box=stated.bounding_box, mass=MassProperties(1, (0, 0, 9), (1, 1, 1))
    )
    assert "outside" in judge(msgspec.structs.replace(complete, document=astray))[2]
    vectors.pop("v4")
    assert judge(complete)[2] == "an incomplete reading"


def test_a_short_session_passes() -> None:
    """The script runs from the command line, without a kernel, and finds every promise kept."""
    script = Path(__file__).with_name("fuzz_readers.py")
    options = ["--formats", "stl", "--count", "40", "--workers", "2", "--seed", "5"]
    done = subprocess.run(
        [sys.executable, str(script), *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| stl | 40 |" in done.stdout
    assert done.stdout.rstrip().endswith("none")
