"""What the policies let in and keep out, over every technique and over ordinary models."""

from __future__ import annotations

from collections import Counter

import pytest

from cadml_core.contracts.policies import ConfigurablePolicy, PickleScan
from cadml_core.errors import InvalidSetting
from cadml_core.pickles.scan import scan_pickle
from cadml_core.testing.opcode_policies import OpcodePolicyContract
from cadml_plugins.policies._entries import builtin_whitelist
from cadml_plugins.policies.audit import Audit
from cadml_plugins.policies.blacklist import Blacklist
from cadml_plugins.policies.whitelist import Whitelist
from tests.unit.classifier.assemble import (
    EMPTY_DICT,
    EMPTY_TUPLE,
    REDUCE,
    STOP,
    op,
    proto,
    stack_global,
    text,
)
from tests.unit.classifier.hostile import BLACKLIST_MISSES, HOSTILE
from tests.unit.classifier.zoo import pickles


@pytest.fixture(scope="module")
def ordinary() -> list[tuple[str, int, PickleScan]]:
    """The scans of ordinary models: over a hundred, each in every protocol."""
    pytest.importorskip("sklearn")
    return [(name, protocol, scan_pickle(data)) for name, protocol, data in pickles()]


@pytest.fixture(scope="module")
def hostile() -> dict[str, PickleScan]:
    """The scans of the hostile samples."""
    return {name: scan_pickle(data) for name, data in HOSTILE.items()}


class TestWhitelistContract(OpcodePolicyContract):
    """The whitelist, as extended by the settings, keeps the contract too."""

    @pytest.fixture
    def policy(self) -> Whitelist:
        """A whitelist with an entry of its own."""
        return Whitelist().configured(("mycompany.models:Classifier",))


def test_whitelist_refuses_everything_hostile(hostile: dict[str, PickleScan]) -> None:
    """No technique gets through, with any global, in any form."""
    policy = Whitelist()
    assert [name for name, scan in hostile.items() if policy.judge(scan).allowed] == []


def test_whitelist_admits_ordinary_models(ordinary: list[tuple[str, int, PickleScan]]) -> None:
    """What people fit with scikit-learn and numpy is not refused, in any protocol."""
    policy = Whitelist()
    refused = [
        (name, protocol, policy.judge(scan).findings[0].message)
        for name, protocol, scan in ordinary
        if not policy.judge(scan).allowed
    ]
    assert refused == []
    assert len({name for name, _, _ in ordinary}) >= 100


def test_blacklist_admits_ordinary_models(ordinary: list[tuple[str, int, PickleScan]]) -> None:
    """The default mode is no nuisance either."""
    policy = Blacklist()
    refused = Counter(name for name, _, scan in ordinary if not policy.judge(scan).allowed)
    assert refused == {}


def test_blacklist_refuses_what_it_knows(hostile: dict[str, PickleScan]) -> None:
    """The blacklist stops every known global in every form; what it does not know is written down."""
    policy = Blacklist()
    assert {name for name, scan in hostile.items() if policy.judge(scan).allowed} == BLACKLIST_MISSES


def test_audit_refuses_only_what_is_malformed(hostile: dict[str, PickleScan]) -> None:
    """Audit mode blocks nothing for reasons of policy, and says that its verdict is advice."""
    policy = Audit()
    for name, scan in hostile.items():
        verdict = policy.judge(scan)
        assert verdict.allowed is not bool(scan.malformed), name
        assert verdict.advisory


def test_findings_say_what_and_where() -> None:
    """A finding names the opcode, its position and the global."""
    verdict = Whitelist().judge(scan_pickle(proto(4) + stack_global("os", "system") + STOP))
    (finding,) = verdict.findings
    assert finding.global_name == "os:system"
    assert finding.opcode == "STACK_GLOBAL"
    assert finding.position == 14
    assert "os:system is not on the whitelist" in finding.message


def test_a_pair_is_allowed_for_its_uses_only() -> None:
    """``numpy:ndarray`` may be passed on, not called, and no prefix of a module allows anything."""
    policy = Whitelist()
    stored = proto(4) + stack_global("numpy", "ndarray") + STOP
    called = proto(4) + stack_global("numpy", "ndarray") + EMPTY_TUPLE + REDUCE + STOP
    other = proto(4) + stack_global("sklearn.linear_model._base", "sparse") + STOP
    assert policy.judge(scan_pickle(stored)).allowed
    assert not policy.judge(scan_pickle(called)).allowed
    assert not policy.judge(scan_pickle(other)).allowed


OWN = proto(4) + stack_global("mycompany.models", "Classifier") + EMPTY_TUPLE + op("NEWOBJ")
OWN += EMPTY_DICT + text("a") + op("NONE") + op("SETITEM") + op("BUILD") + STOP


def test_own_classes_need_an_entry() -> None:
    """A class of one's own is refused until the settings name it, exactly."""
    scan = scan_pickle(OWN)
    assert isinstance(Whitelist(), ConfigurablePolicy)
    assert not Whitelist().judge(scan).allowed
    assert not Whitelist().configured(("mycompany.models:Other", "mycompany:models")).judge(scan).allowed
    assert Whitelist().configured(("mycompany.models:Classifier",)).judge(scan).allowed


def test_entries_can_be_taken_away() -> None:
    """A minus takes an opcode or a pair from the built-in list."""
    stored = scan_pickle(proto(4) + stack_global("numpy", "ndarray") + STOP)
    assert Whitelist().configured(()).judge(stored).allowed
    assert not Whitelist().configured(("-numpy:ndarray",)).judge(stored).allowed
    verdict = Whitelist().configured(("-STACK_GLOBAL",)).judge(stored)
    assert [finding.opcode for finding in verdict.findings] == ["STACK_GLOBAL"]
    assert verdict.allowed_set_size == len(builtin_whitelist().opcodes) - 1


def test_opcodes_can_be_added() -> None:
    """An opcode that no pickler writes is refused unless the settings name it."""
    scan = scan_pickle(proto(2) + op("NONE") + op("DUP") + op("POP") + STOP)
    assert {finding.opcode for finding in Whitelist().judge(scan).findings} == {"DUP", "POP"}
    assert Whitelist().configured(("DUP", "POP")).judge(scan).allowed


@pytest.mark.parametrize(
    "entry",
    ["NOSUCHOPCODE", "sklearn.", "a:b:c", "sklearn.*:x", "os:system", "builtins:eval", "INST", "EXT1", ":x"],
)
def test_impossible_entries_stop_the_start(entry: str) -> None:
    """A misspelt entry, a wildcard or a known danger is an error that names it."""
    with pytest.raises(InvalidSetting) as caught:
        Whitelist().configured((entry,))
    assert entry in caught.value.message


def test_the_builtin_list_holds_no_known_danger() -> None:
    """Nothing that the blacklist denies is on the whitelist."""
    policy = Blacklist()
    for label in builtin_whitelist().globals:
        module, name = label.split(":")
        verdict = policy.judge(scan_pickle(proto(4) + stack_global(module, name) + STOP))
        assert verdict.allowed, label
