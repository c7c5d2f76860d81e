"""The three modes of ``MODEL_OPCODE_MODE``: blacklist, audit and whitelist."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cadml_core.classifier.audit import AuditStore
from cadml_core.classifier.registry import ModelRegistry
from cadml_core.errors import InvalidSetting, ModelRejected
from cadml_core.metrics import model_opcode_audit_total, model_security_fail_total
from cadml_core.plugins.loader import load_plugins
from cadml_core.settings import Settings
from tests.unit.classifier.assemble import EMPTY_TUPLE, REDUCE, STOP, op, proto, stack_global
from tests.unit.classifier.tiny import Constant

EVIL = proto(4) + stack_global("os", "getpid") + EMPTY_TUPLE + REDUCE + STOP


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with an own model, a hostile and a damaged one."""
    (tmp_path / "own.pkl").write_bytes(pickle.dumps(Constant("bolt")))
    (tmp_path / "evil.pkl").write_bytes(EVIL)
    (tmp_path / "damaged.pkl").write_bytes(EVIL + b"!")
    (tmp_path / "strange.pkl").write_bytes(proto(2) + op("NONE") + op("DUP") + op("POP") + STOP)
    return tmp_path


def registry(models: Path, mode: str, audit: AuditStore | None = None, **settings: Any) -> ModelRegistry:
    """Make a registry in a mode, with the installed policies."""
    settings.setdefault("model_opcode_whitelist", ("tests.*",))
    chosen = Settings(model_dir=str(models), model_opcode_mode=mode, **settings)
    plugins = load_plugins(chosen).registry
    MADE.append(ModelRegistry(chosen, plugins.policies, plugins.features, audit=audit))
    return MADE[-1]


MADE: list[ModelRegistry] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """End the processes of every registry that a test made."""
    yield
    while MADE:
        MADE.pop().close()


def refusal(found: ModelRegistry, name: str) -> ModelRejected:
    """Reload something that must be refused."""
    with pytest.raises(ModelRejected) as caught:
        found.reload(name)
    return caught.value


def memory() -> AuditStore:
    """An audit that is not written anywhere."""
    return AuditStore(None, 0, lambda: 0.0)


def count(metric: Any, **labels: str) -> float:
    """Return the value of a counter."""
    return float(metric.labels(**labels)._value.get())


def test_blacklist_is_the_default_and_blocks_known_dangers(models: Path) -> None:
    """Own classes load, known dangers do not, and the answer names opcode, global and mode."""
    assert Settings().model_opcode_mode == "blacklist"
    before = count(model_security_fail_total, reason="opcode_blocked")
    found = registry(models, "blacklist")
    assert found.reload("own.pkl").mode == "blacklist"
    error = refusal(found, "evil.pkl")
    assert error.code == "MODEL_OPCODE_BLOCKED"
    assert error.context["opcode"] == "STACK_GLOBAL"
    assert error.context["global"] == "os:getpid"
    assert error.context["mode"] == "blacklist"
    assert count(model_security_fail_total, reason="opcode_blocked") == before + 1


def test_audit_records_and_does_not_block(models: Path) -> None:
    """Everything well-formed gets past the policy; opcodes are counted in the store and in the metric."""
    audit = memory()
    before = count(model_opcode_audit_total, opcode="STACK_GLOBAL")
    found = registry(models, "audit", audit)
    assert found.reload("own.pkl").mode == "audit"
    assert refusal(found, "evil.pkl").code == "MODEL_INTERFACE_INVALID"  # loaded, but a number is no model
    snapshot = found.audit()
    assert snapshot.samples == 2
    assert {"PROTO", "STACK_GLOBAL", "REDUCE", "STOP"} <= snapshot.opcodes.keys()
    assert snapshot.refused_by["os:getpid"] == ("blacklist", "whitelist")
    assert count(model_opcode_audit_total, opcode="STACK_GLOBAL") > before


def test_audit_still_refuses_what_is_malformed(models: Path) -> None:
    """A damaged file is refused in every mode, and not recorded."""
    for mode in ("blacklist", "audit", "whitelist"):
        audit = memory()
        assert refusal(registry(models, mode, audit), "damaged.pkl").code == "MODEL_MALFORMED"
        assert audit.snapshot().samples == 0


def test_whitelist_refuses_what_is_not_listed(models: Path) -> None:
    """The answer holds the opcode twice, the mode, the size of the set, the global and the position."""
    before = count(model_security_fail_total, reason="opcode_whitelist_violation")
    error = refusal(registry(models, "whitelist"), "evil.pkl")
    assert error.code == "OPCODE_WHITELIST_VIOLATION"
    assert error.context["opcode"] == error.context["disallowed_opcode"] == "STACK_GLOBAL"
    assert error.context["mode"] == "whitelist"
    assert error.context["global"] == "os:getpid"
    assert error.context["position"] == EVIL.index(op("STACK_GLOBAL"))
    assert error.context["allowed_set_size"] > 30
    assert count(model_security_fail_total, reason="opcode_whitelist_violation") == before + 1


def test_whitelist_refuses_opcodes_that_no_pickler_writes(models: Path) -> None:
    """An opcode outside the set is refused although it does nothing."""
    error = refusal(registry(models, "whitelist"), "strange.pkl")
    assert error.context["disallowed_opcode"] == "DUP"
    assert "global" not in error.context


def test_whitelist_takes_entries_from_the_settings(models: Path) -> None:
    """An own class is refused until the settings name it."""
    assert (
        refusal(registry(models, "whitelist"), "own.pkl").context["global"]
        == "tests.unit.classifier.tiny:Constant"
    )
    entry = ("tests.unit.classifier.tiny:Constant",)
    assert registry(models, "whitelist", model_opcode_whitelist=entry).reload("own.pkl").load_seq == 1


def test_audit_data_survives_a_switch_of_mode(models: Path) -> None:
    """What audit mode has seen is still there in the other modes, which add nothing."""
    audit = memory()
    registry(models, "audit", audit).reload("own.pkl")
    seen = audit.snapshot()
    for mode in ("whitelist", "blacklist"):
        found = registry(models, mode, audit)
        refusal(found, "evil.pkl")
        assert found.audit() == seen


def test_an_unknown_mode_stops_the_start(models: Path) -> None:
    """The error names the variable, the value and what is installed."""
    with pytest.raises(InvalidSetting) as caught:
        registry(models, "greylist")
    assert "MODEL_OPCODE_MODE" in caught.value.message
    assert caught.value.context["allowed"] == ["audit", "blacklist", "whitelist"]


def test_a_foreign_policy_decides_too(models: Path) -> None:
    """Any installed policy can be the mode; what it refuses is blocked under its name."""
    from cadml_core.contracts.policies import Finding, PickleScan, Verdict

    class Nothing:
        name = "nothing"

        def judge(self, scan: PickleScan) -> Verdict:
            return Verdict(self.name, allowed=False, findings=(Finding("no", "nothing passes", "PROTO", 0),))

    settings = Settings(model_dir=str(models), model_opcode_mode="nothing")
    error = refusal(ModelRegistry(settings, {"nothing": Nothing()}, {}), "own.pkl")
    assert (error.code, error.context["mode"]) == ("MODEL_OPCODE_BLOCKED", "nothing")
