"""A pickled numpy type that lies about references is refused, in whatever disguise."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy._core import multiarray, numeric

from cadml_core.pickles.scan import scan_pickle
from cadml_plugins.policies.blacklist import Blacklist
from cadml_plugins.policies.whitelist import Whitelist
from tests.unit.classifier.assemble import (
    BUILD,
    EMPTY_LIST,
    MARK,
    NONE,
    REDUCE,
    STOP,
    number,
    op,
    proto,
    stack_global,
    text,
)

OBJECT_FLAGS, ITEM_FLAGS = 63, 27
FROM_BUFFER: Any = vars(numeric)["_frombuffer"]
"""What pickles of protocol 5 call to make an array; numpy declares no type for it."""


class Pickled:
    """Pickles as a numpy type of this code with this state."""

    def __init__(self, code: str, *state: Any) -> None:
        self.code, self.state = code, state

    def __reduce__(self) -> tuple[Any, ...]:
        return (np.dtype, (self.code, False, True), self.state)


class PickledArray:
    """Pickles as an array of that type over these bytes."""

    def __init__(self, dtype: Any, content: Any) -> None:
        self.dtype, self.content = dtype, content

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            multiarray._reconstruct,
            (np.ndarray, (0,), b"b"),
            (1, (1,), self.dtype, False, self.content),
        )


def flat(code: str, flags: int) -> Pickled:
    """Return a type without fields."""
    return Pickled(code, 3, "|", None, None, None, -1, -1, flags)


def record(size: int, fields: dict[str, Any], flags: int) -> Pickled:
    """Return a type with fields."""
    return Pickled(f"V{size}", 3, "|", None, tuple(fields), fields, size, 1, flags)


GOOD = [
    np.dtype("f8"),
    np.dtype("O"),
    np.dtype([("a", "O"), ("b", "f8")]),
    np.dtype([("a", "f4", (2, 3)), ("b", "U5")]),
    np.dtype([("a", [("b", "O")]), ("c", "i4")], align=True),
    np.dtype(("f8", (2,))),
    np.dtype("M8[D]"),
]
BAD = {
    "object without flags": flat("O8", 0),
    "number with object flags": flat("f8", OBJECT_FLAGS),
    "object field, plain flags": record(8, {"a": (np.dtype("O"), 0)}, 16),
    "object field, half the flags": record(8, {"a": (np.dtype("O"), 0)}, 1),
    "field behind the end": record(8, {"a": (np.dtype("f8"), 1)}, 16),
    "field before the start": record(8, {"a": (np.dtype("f8"), -8)}, 16),
    "number over an object": record(8, {"a": (np.dtype("O"), 0), "b": (np.dtype("f8"), 0)}, ITEM_FLAGS),
    "text longer than the item": record(8, {"a": (np.dtype("U9"), 0)}, 16),
    "nested object, plain flags": record(8, {"a": (np.dtype([("b", "O")]), 0)}, 16),
    "object in a subarray, plain flags": record(16, {"a": (np.dtype(("O", (2,))), 0)}, 16),
    "subarray longer than the item": Pickled("V8", 3, "|", (np.dtype("f8"), (9,)), None, None, 8, 1, 0),
    "subarray of objects, plain flags": Pickled("V8", 3, "|", (np.dtype("O"), (1,)), None, None, 8, 1, 0),
    "name without its field": Pickled(
        "V16", 3, "|", None, ("a", "b"), {"a": (np.dtype("f8"), 0), "c": (np.dtype("f8"), 8)}, 16, 1, 16
    ),
    "name twice": Pickled(
        "V16", 3, "|", None, ("a", "a"), {"a": (np.dtype("f8"), 0), "c": (np.dtype("f8"), 8)}, 16, 1, 16
    ),
    "names without fields": Pickled("V8", 3, "|", None, ("a",), None, 8, 1, 16),
    "fields without names": Pickled("V8", 3, "|", None, None, {"a": (np.dtype("f8"), 0)}, 8, 1, 16),
    "size that is not the code's": Pickled("V8", 3, "|", None, ("a",), {"a": (np.dtype("f8"), 8)}, 64, 1, 16),
    "lying type in a field": record(8, {"a": (flat("O8", 0), 0)}, 16),
    "unknown code": flat("X8", 0),
    "unknown code in a field": record(8, {"a": (flat("numpy", 0), 0)}, 16),
    "number instead of a code": record(8, {"a": (Pickled(8, 3), 0)}, 16),  # type: ignore[arg-type]
    "foreign version": Pickled("f8", 9, "<", None, None, None, -1, -1, 0),
}


@pytest.mark.parametrize("dtype", GOOD, ids=str)
@pytest.mark.parametrize("protocol", range(6))
def test_admits_what_numpy_writes(dtype: np.dtype[Any], protocol: int) -> None:
    """Records, subarrays, objects and dates pass, alone and in an array."""
    scan = scan_pickle(pickle.dumps([dtype, np.zeros(2, dtype)], protocol))
    assert Whitelist().judge(scan).findings == ()
    assert Blacklist().judge(scan).findings == ()


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("protocol", range(6))
def test_refuses_what_numpy_would_believe(name: str, protocol: int) -> None:
    """No state that numpy does not write for the code gets through, in either enforcing mode."""
    scan = scan_pickle(pickle.dumps(PickledArray(BAD[name], b"\x41" * 8), protocol))
    assert not scan.malformed
    assert not Whitelist().judge(scan).allowed
    assert not Blacklist().judge(scan).allowed


def test_refuses_raw_bytes_for_objects() -> None:
    """An array of objects comes with a list, an array of numbers with bytes."""
    for dtype, content in (
        (np.dtype("O"), b"\x41" * 8),
        (np.dtype("f8"), [1.0]),
        (np.dtype("O"), []),  # numpy itself crashes where the list is too short
        (np.dtype("O"), [1, 2]),
    ):
        scan = scan_pickle(pickle.dumps(PickledArray(dtype, content), 4))
        assert not Whitelist().judge(scan).allowed


def test_refuses_a_type_that_changes_under_an_array() -> None:
    """A type is complete before an array uses it: changing it later would reinterpret the array's bytes."""
    scan = scan_pickle(_with_late_build())
    assert scan.malformed == ()
    assert {finding.rule for finding in Whitelist().judge(scan).findings} == {"arguments"}


def _with_late_build() -> bytes:
    """Write an array over a type, then give the very type another state."""
    state = number(3) + text("|") + NONE * 3 + op("BININT", b"\xff" * 4) * 2 + number(0)
    dtype = (
        stack_global("numpy", "dtype") + text("f8") + op("NEWFALSE") + op("NEWTRUE") + op("TUPLE3") + REDUCE
    )
    made = stack_global("numpy._core.multiarray", "_reconstruct") + stack_global("numpy", "ndarray")
    made += number(0) + op("TUPLE1") + op("SHORT_BINBYTES", b"\x01b") + op("TUPLE3") + REDUCE
    content = op("SHORT_BINBYTES", b"\x08" + b"\x41" * 8)
    array = made + MARK + number(1) + number(1) + op("TUPLE1") + op("BINGET", b"\x00") + op("NEWFALSE")
    array += content + op("TUPLE") + BUILD
    return (
        proto(4)
        + EMPTY_LIST
        + dtype
        + op("MEMOIZE")
        + MARK
        + state
        + op("TUPLE")
        + BUILD
        + op("APPEND")
        + array
    ) + (op("APPEND") + op("BINGET", b"\x00") + MARK + state + op("TUPLE") + BUILD + op("APPEND") + STOP)


ODD = st.recursive(
    st.sampled_from(
        [None, True, 0, 8, 16, -1, 3, "", "<", "|", "a", "f8", "O8", "V8", "M8", b"x", 1.5, dict, 1 << 40]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b", 1]), inner, max_size=2),
        st.builds(Pickled, st.sampled_from(["", "<", "f8", "O8", "V8", "M8[D]", "numpy", 3]), inner),
    ),
    max_leaves=12,
)


@given(
    code=st.sampled_from(["", "<", "f8", "O8", "V8", "M8", "U3", "Q"]),
    state=st.tuples(st.sampled_from([3, 4, None]), st.sampled_from(["<", "|"]), ODD, ODD, ODD, ODD, ODD, ODD),
    more=st.lists(ODD, max_size=2),
    content=ODD,
)
@settings(max_examples=100, deadline=None)
def test_never_raises_over_a_state(code: str, state: tuple[Any, ...], more: list[Any], content: Any) -> None:
    """Whatever a type, an array or a number is given, the policies answer instead of raising."""
    dtype = Pickled(code, *state, *more)
    values = [
        PickledArray(dtype, content),
        PickledArray(np.dtype("O"), content),
        Calling(multiarray.scalar, dtype, content),
        Calling(FROM_BUFFER, content, dtype, content, "C"),
        Calling(np.dtype, content),
    ]
    for value in values:
        scan = scan_pickle(pickle.dumps(value, 4))
        for policy in (Whitelist(), Blacklist()):
            assert policy.judge(scan).policy == policy.name


class Calling:
    """Pickles as a call of this function with these arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.arguments)


def test_types_inside_types_cost_no_time() -> None:
    """Types that hold one another twice, a hundred deep, unfold to nothing: they are refused at once."""
    inner: Any = np.dtype("f8")
    for _ in range(100):
        inner = Pickled("V8", 3, "|", None, ("a", "b"), {"a": (inner, 0), "b": (inner, 4)}, 8, 1, 16)
    scan = scan_pickle(pickle.dumps(inner, 4))
    assert not Whitelist().judge(scan).allowed
    assert not Blacklist().judge(scan).allowed
