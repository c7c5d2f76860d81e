"""What the pickle scan sees, and that it sees what the interpreter does."""

from __future__ import annotations

import pickle
import pickletools
from typing import Any

import numpy as np
import pytest

from cadml_core.contracts.policies import Shape
from cadml_core.pickles.grammar import ScanLimits
from cadml_core.pickles.scan import scan_pickle
from tests.unit.classifier.assemble import (
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    NONE,
    POP,
    REDUCE,
    STOP,
    TUPLE1,
    global_,
    op,
    proto,
    stack_global,
    text,
    text8,
)
from tests.unit.classifier.hostile import HOSTILE, MALFORMED
from tests.unit.classifier.zoo import PROTOCOLS

VALUES: list[Any] = [
    None,
    [True, 0, -1, 300, 70_000, 1 << 31, 1 << 100, -(1 << 70), 2.5, float("inf"), float("nan")],
    ["", "ä", "x" * 300, "\n\\u0041", b"", b"\xff" * 300, bytearray(b"ab")],
    [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((1, (2, (3,))),) * 3],
    {"a": {1: 2}, (1, 2): {3}, None: frozenset({4, 5})},
    [list(range(2500)), dict.fromkeys(range(2500))],
    [np.arange(3.0), np.float64(2), np.dtype("f4"), range(3), slice(1), 1j, complex, Ellipsis],
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_agrees_with_the_standard_disassembler(value: Any, protocol: int) -> None:
    """Every opcode that the standard library counts is counted, at the same first place."""
    data = pickle.dumps(value, protocol)
    scan = scan_pickle(data)
    opcodes = [(opcode.name, position) for opcode, _, position in pickletools.genops(data)]
    assert scan.malformed == ()
    assert sum(scan.opcode_counts.values()) == len(opcodes)
    for name, position in opcodes:
        assert position is not None
        assert scan.opcode_positions[name] <= position
    assert {name for name, _ in opcodes} == scan.opcode_counts.keys()


@pytest.mark.parametrize("name", MALFORMED)
def test_refuses_what_is_malformed(name: str) -> None:
    """Every structural fault is a finding of the scan, so that it refuses in every mode."""
    scan = scan_pickle(MALFORMED[name])
    assert len(scan.malformed) == 1
    assert scan.malformed[0].message


def test_hostile_samples_are_well_formed() -> None:
    """The hostile samples are refused for what they do, not because they are badly made."""
    broken = {name for name, data in HOSTILE.items() if scan_pickle(data).malformed}
    assert broken == {"PERSID"}  # nothing that opens with PERSID counts as a pickle


@pytest.mark.parametrize(
    "data",
    [
        proto(4) + text("os") + op("DUP") + POP + text("system") + op("STACK_GLOBAL") + STOP,
        proto(4) + text8("os") + text8("system") + op("STACK_GLOBAL") + STOP,
        proto(4) + op("UNICODE", b"o\\u0073\n") + text("system") + op("STACK_GLOBAL") + STOP,
        proto(4)
        + (
            text("system")
            + op("MEMOIZE")
            + POP
            + text("os")
            + op("BINGET", b"\x00")
            + op("STACK_GLOBAL")
            + STOP
        ),
        proto(4)
        + text("os")
        + MARK
        + text("x")
        + op("POP_MARK")
        + text("system")
        + op("STACK_GLOBAL")
        + STOP,
        proto(4) + MARK + POP + text("os") + text("system") + op("STACK_GLOBAL") + STOP,
        proto(2) + global_("os", "system") + STOP,
        global_("os", "system") + STOP,
    ],
)
def test_resolves_names_wherever_they_hide(data: bytes) -> None:
    """Both operands of a global are known however they reach the stack."""
    (found,) = scan_pickle(data).globals
    assert (found.module, found.name, found.uses) == ("os", "system", ("data",))


@pytest.mark.parametrize(
    ("version", "expected"),
    [(2, "builtins:eval"), (3, "__builtin__:eval"), (4, "__builtin__:eval")],
)
def test_maps_python_2_names_where_the_loader_does(version: int, expected: str) -> None:
    """Names of Python 2 are mapped below protocol 3 and nowhere else; the raw name is kept."""
    (found,) = scan_pickle(proto(version) + global_("__builtin__", "eval") + STOP).globals
    assert found.label == expected
    assert found.raw == "__builtin__:eval"


def test_tells_uses_apart() -> None:
    """A global that is only called is not data, and one that is also stored is both."""
    called = scan_pickle(proto(4) + stack_global("a", "b") + EMPTY_TUPLE + REDUCE + STOP)
    assert called.globals[0].uses == ("REDUCE",)
    both = proto(4) + stack_global("a", "b") + op("MEMOIZE") + EMPTY_TUPLE + op("NEWOBJ")
    both += op("BINGET", b"\x00") + op("TUPLE2") + STOP
    assert scan_pickle(both).globals[0].uses == ("NEWOBJ", "data")


def test_shows_what_calls_are_given() -> None:
    """Literals stand for themselves, everything else for its kind."""
    array = np.zeros((2, 3))
    calls = {(call.callee, call.opcode): call for call in scan_pickle(pickle.dumps(array, 4)).calls}
    made = calls["numpy._core.multiarray:_reconstruct", "REDUCE"]
    assert made.arguments == (Shape("global", "numpy:ndarray"), (0,), Shape("bytes"))
    state = calls["numpy._core.multiarray:_reconstruct", "BUILD"].arguments
    dtype = Shape("object", "numpy:dtype", ("f8", False, True), state=(3, "<", None, None, None, -1, -1, 0))
    assert state == (1, (2, 3), dtype, False, Shape("bytes"))


def test_tells_state_with_odd_keys_from_plain_state() -> None:
    """A key that is no literal text may become any attribute, so such a state is not called a dict."""
    made = proto(4) + stack_global("a", "b") + EMPTY_TUPLE + op("NEWOBJ") + EMPTY_DICT
    plain = scan_pickle(made + text("x") + NONE + op("SETITEM") + BUILD + STOP)
    odd = scan_pickle(made + EMPTY_TUPLE + NONE + op("SETITEM") + BUILD + STOP)
    assert plain.calls[-1].arguments == Shape("dict")
    assert odd.calls[-1].arguments == Shape("mapping")
    assert [finding.rule for finding in odd.oddities] == ["state-keys"]


class Holder:
    """Has a state that holds itself: a tuple in a dict in that tuple."""

    def __reduce__(self) -> tuple[type[Holder], tuple[()], tuple[dict[str, Any]]]:
        """Return it."""
        state: tuple[dict[str, Any]] = ({},)
        state[0]["again"] = state
        return Holder, (), state


def test_shows_a_state_that_holds_itself_once() -> None:
    """It ends where it meets itself, as no state of a model does."""
    for protocol in PROTOCOLS:
        scan = scan_pickle(pickle.dumps(Holder(), protocol))
        assert scan.malformed == ()
        *_, built = scan.calls
        assert built.opcode == "BUILD"
        assert "again" in str(built.arguments)


def test_notices_what_changes_after_use() -> None:
    """A list that grows after something holds it could hide its size, so it is an oddity."""
    data = proto(4) + EMPTY_LIST + op("MEMOIZE") + TUPLE1 + op("BINGET", b"\x00") + NONE + op("APPEND")
    scan = scan_pickle(data + op("TUPLE2") + STOP)
    assert [finding.rule for finding in scan.oddities] == ["changed-after-use"]


def test_keeps_one_record_of_equal_calls() -> None:
    """A forest of equal calls takes the memory of one."""
    call = stack_global("a", "b") + text("x") + TUPLE1 + REDUCE + POP
    scan = scan_pickle(proto(4) + call * 5000 + NONE + STOP)
    assert len(scan.calls) == 1
    assert scan.opcode_counts["REDUCE"] == 5000


def test_limits_are_findings() -> None:
    """Each limit refuses what crosses it, and names itself."""
    data = pickle.dumps([[[[1, 2, 3]]]] * 3, 4)
    for limits, rule in (
        (ScanLimits(max_opcodes=5), "limit-opcodes"),
        (ScanLimits(max_depth=2), "limit-depth"),
        (ScanLimits(max_weight=5), "limit-weight"),
    ):
        assert scan_pickle(data, limits).malformed[0].rule == rule
    many = proto(4) + b"".join(stack_global("m", f"n{i}") + EMPTY_TUPLE + REDUCE + POP for i in range(20))
    assert scan_pickle(many + NONE + STOP, ScanLimits(max_globals=9)).malformed[0].rule == "limit-globals"
    assert scan_pickle(many + NONE + STOP, ScanLimits(max_calls=9)).malformed[0].rule == "limit-calls"
    assert not scan_pickle(many + NONE + STOP).malformed


def test_every_truncation_is_malformed() -> None:
    """No beginning of a good pickle passes for a whole one."""
    for protocol in PROTOCOLS:
        data = pickle.dumps({"a": [1, 2.5, np.arange(3)], "b": ("x", b"y")}, protocol)
        for end in range(len(data)):
            assert scan_pickle(data[:end]).malformed, (protocol, end)
