"""The error table and the exceptions that carry its codes."""

from __future__ import annotations

import pickle
import re

import msgspec
import pytest

from cadml_core import errors
from cadml_core.errors import ERROR_CODES, CadmlError, LimitExceeded, MalformedFile

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CadmlError)]


@pytest.mark.parametrize("spec", ERROR_CODES.values(), ids=ERROR_CODES)
def test_every_code_is_complete(spec: errors.ErrorSpec) -> None:
    """Each row has an HTTP status of an error and a sentence of meaning."""
    assert 400 <= spec.status < 600
    assert spec.meaning.endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_every_exception_has_a_code_of_the_table(kind: type[CadmlError]) -> None:
    """No exception carries a code that the table does not explain."""
    assert kind.code in ERROR_CODES


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not CadmlError])
def test_domain_errors_are_also_builtin_errors(kind: type[CadmlError]) -> None:
    """Callers who know only Python can catch them."""
    assert issubclass(kind, (ValueError, LookupError, OSError, RuntimeError))


def test_errors_cross_process_borders() -> None:
    """Pickling keeps type, message, code, stage and context, whatever the constructor takes."""
    for error in (
        LimitExceeded("max_entities", found=12, allowed=10),
        MalformedFile("line 3 is cut", line=3),
        errors.DimensionMismatch(expected=24, found=7),
    ):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert (copy.message, copy.code, copy.stage, copy.context, str(copy)) == (
            error.message,
            error.code,
            error.stage,
            error.context,
            str(error),
        )


def test_problem_is_the_one_shape() -> None:
    """Code, stage, message, context and a UTC timestamp in milliseconds, as JSON."""
    data = msgspec.json.decode(msgspec.json.encode(MalformedFile("bad line", line=3).problem()))
    assert list(data) == ["code", "stage", "message", "context", "timestamp"]
    assert data["context"] == {"line": 3}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["timestamp"])


def test_a_code_without_its_own_stage_takes_that_of_the_operation() -> None:
    """DATA_NOT_FOUND is raised by many operations: each says which it was."""
    assert errors.NotFound("no part x", stage="parts").stage == "parts"
    assert MalformedFile("bad", stage="ignored").stage == "parse"
