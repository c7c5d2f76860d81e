"""Every failed reload is one error shape with its own code, and the checks come in their order."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import ERROR_CODES, CadmlError, InvalidSetting, Problem
from cadml_core.metrics import model_load_seq, model_reload_total, model_security_fail_total
from cadml_core.plugins.loader import load_plugins
from cadml_core.settings import Settings
from tests.unit.classifier.assemble import EMPTY_TUPLE, REDUCE, STOP, proto, stack_global
from tests.unit.classifier.tiny import Constant, Raising

GOOD = pickle.dumps(Constant("bolt"))
EVIL = proto(4) + stack_global("os", "getpid") + EMPTY_TUPLE + REDUCE + STOP
Make = Callable[..., ModelRegistry]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make a registry over a folder with one file for each way to fail."""
    files = {
        "good.pkl": GOOD,
        "evil.pkl": EVIL,
        "text.pkl": b"this is not a pickle",
        "truncated.pkl": GOOD[:-1],
        "empty.pkl": b"",
        "raising.pkl": pickle.dumps(Raising("x")),
        "number.pkl": pickle.dumps(3),
        "unloadable.pkl": proto(4) + stack_global("tests.unit.classifier.tiny", "Gone") + STOP,
        "large.pkl": b"\0" * (1024**2 + 1),
        "large text.pkl": b"text" * 1024**2,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    def registry(**settings: Any) -> ModelRegistry:
        settings.setdefault("model_opcode_whitelist", ("tests.*",))
        chosen = Settings(model_dir=str(tmp_path), model_max_mb=1, **settings)
        plugins = load_plugins(chosen).registry
        made.append(ModelRegistry(chosen, plugins.policies, plugins.features))
        return made[-1]

    made: list[ModelRegistry] = []
    yield registry
    for one in made:
        one.close()


def problem(registry: ModelRegistry, path: str, **options: Any) -> Problem:
    """Return the error of a reload that must fail, as users see it."""
    with pytest.raises(CadmlError) as caught:
        registry.reload(path, **options)
    return caught.value.problem()


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("missing.pkl", "DATA_NOT_FOUND", None),
        ("../outside.pkl", "INPUT_VALIDATION_FAILED", None),
        ("large.pkl", "MODEL_SIZE_EXCEEDED", "size_exceeded"),
        ("text.pkl", "MODEL_MAGIC_INVALID", "magic_invalid"),
        ("truncated.pkl", "MODEL_MALFORMED", "malformed"),
        ("empty.pkl", "MODEL_MALFORMED", "malformed"),
        ("evil.pkl", "MODEL_OPCODE_BLOCKED", "opcode_blocked"),
        ("unloadable.pkl", "MODEL_LOAD_FAILED", None),
        ("number.pkl", "MODEL_INTERFACE_INVALID", None),
        ("raising.pkl", "MODEL_INTERFACE_INVALID", None),
    ],
)
def test_each_failure_has_its_code(make: Make, path: str, code: str, reason: str | None) -> None:
    """Code, stage, message, context and time are there, and the refusal is counted under its reason."""
    labels = {"reason": reason} if reason else {"reason": "none"}
    before = model_security_fail_total.labels(**labels)._value.get()
    failures = model_reload_total.labels(status="failure")._value.get()
    found = problem(make(), path)
    assert (found.code, found.stage) == (code, "model_reload")
    assert found.message
    assert found.timestamp.endswith("Z")
    assert msgspec.json.decode(msgspec.json.encode(found))["code"] == code
    assert code in ERROR_CODES
    assert model_security_fail_total.labels(**labels)._value.get() == before + bool(reason)
    assert model_reload_total.labels(status="failure")._value.get() == failures + 1


def test_whitelist_violation_follows_the_plan(make: Make) -> None:
    """The plan's own example: code, stage, and a context with opcode, mode and size of the set."""
    found = problem(make(model_opcode_mode="whitelist"), "evil.pkl")
    assert (found.code, found.stage) == ("OPCODE_WHITELIST_VIOLATION", "model_reload")
    assert {
        "opcode",
        "disallowed_opcode",
        "mode",
        "allowed_set_size",
        "global",
        "position",
    } <= found.context.keys()


def test_a_missing_file_names_its_path(make: Make) -> None:
    """The context says which path was asked for."""
    assert problem(make(), "missing.pkl").context == {"path": "missing.pkl"}


def test_hashes_are_checked_before_the_content(make: Make) -> None:
    """A hash that is not expected, or not allowed, refuses what the later checks would refuse anyway."""
    other = "0" * 64
    assert problem(make(), "evil.pkl", expected_sha256=other).code == "MODEL_HASH_MISMATCH"
    found = problem(make(allowed_model_hashes=(other,)), "evil.pkl")
    assert found.code == "MODEL_HASH_MISMATCH"
    assert found.context["found"] == hashlib.sha256(EVIL).hexdigest()
    assert "ALLOWED_MODEL_HASHES" in found.message


def test_the_right_hash_passes(make: Make) -> None:
    """Upper and lower case are one, for the expected hash and for the allowed ones."""
    right = hashlib.sha256(GOOD).hexdigest()
    registry = make(allowed_model_hashes=(right.upper(),))
    assert registry.reload("good.pkl", expected_sha256=right.upper()).sha256 == right
    assert model_load_seq._value.get() == 1


def test_size_and_magic_come_before_the_hash(make: Make) -> None:
    """The order of the checks is: exists, size, magic, sha256, scan, policy."""
    registry = make(allowed_model_hashes=("0" * 64,))
    assert problem(registry, "missing.pkl").code == "DATA_NOT_FOUND"
    assert problem(registry, "large text.pkl").code == "MODEL_SIZE_EXCEEDED"
    assert problem(registry, "text.pkl").code == "MODEL_MAGIC_INVALID"
    assert problem(registry, "truncated.pkl").code == "MODEL_HASH_MISMATCH"


def test_an_impossible_hash_stops_the_start(make: Make) -> None:
    """A shortened hash protects nothing, so it is an error at the start."""
    with pytest.raises(InvalidSetting) as caught:
        make(allowed_model_hashes=("abc123",))
    assert "ALLOWED_MODEL_HASHES" in caught.value.message


def test_messages_hold_no_trace_and_no_foreign_path(make: Make, tmp_path: Path) -> None:
    """An answer never shows a stack trace or where the server is installed."""
    for path in ("unloadable.pkl", "raising.pkl", "../outside.pkl", "missing.pkl", "evil.pkl"):
        found = problem(make(), path)
        text = msgspec.json.encode(found).decode()
        assert "Traceback" not in text
        assert "site-packages" not in text
