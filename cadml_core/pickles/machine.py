"""The pickle machine, simulated: opcodes move abstract values, and nothing is ever imported or called.

One instance walks one pickle. Where the machine of the standard library would raise, or where its two
implementations would disagree, the walk ends with ``Malformed``.
"""

from __future__ import annotations

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import Any

from cadml_core.contracts.policies import Call, Finding, Shape
from cadml_core.pickles.grammar import (
    CODE_OF,
    HIGHEST_PROTOCOL,
    Malformed,
    ScanLimits,
    describe,
)
from cadml_core.pickles.values import (
    LARGE_INTEGER,
    MAPPING,
    MAX_PLAIN_TUPLE,
    NEW_DICT,
    NEW_LIST,
    NEW_SET,
    UNKNOWN,
    Global,
    Node,
    Shown,
    is_literal,
    read_text,
    unfolded,
)

UNSET = object()
"""What a memo slot holds that nothing was put into."""

_MAX_SHOWN_PAIRS = 64
_DUNDER = re.compile(r"__\w+__\Z")
_HOLDERS = (Node, tuple)
_UNDERSCORE = 0x5F
_COMPUTED = "(computed)"
_SHORT_BINUNICODE = CODE_OF["SHORT_BINUNICODE"]


class Machine:
    """Stack, memo and records of one walk; the opcodes are in ``literals`` and ``operations``."""

    def __init__(self, data: bytes, limits: ScanLimits) -> None:
        self.data = data
        self.size = len(data)
        self.limits = limits
        self.protocol = 0
        self.newest = HIGHEST_PROTOCOL if data[:1] == b"\x80" else 1
        self.position = 0
        self.counts = [0] * 256
        self.first_positions: dict[int, int] = {}
        self.handlers: list[Handler] = []
        self.frame_end = self.size + 1
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: list[Any] = []
        self.memo_filled = 0
        self.globals: dict[tuple[str, str] | None, Global] = {}
        self.calls: dict[tuple[Any, ...], tuple[Call, Shape]] = {}
        self.oddities: dict[str, Finding] = {}
        self.keys_left = limits.max_keys
        self._shown = Shown(data)

    @property
    def opcode(self) -> str:
        """Name of the opcode at the current position."""
        return describe(self.data[self.position])

    def note(self, rule: str, message: str, global_name: str | None = None) -> None:
        """Record an oddity; each rule counts at its first place only."""
        if rule not in self.oddities:
            self.oddities[rule] = Finding(rule, message, self.opcode, self.position, global_name)

    # Stack and memo

    def push_mark(self) -> None:
        """Open a MARK."""
        if len(self.outer) >= self.limits.max_marks:
            raise Malformed("limit-marks", f"more than {self.limits.max_marks:,} MARKs open at once")
        self.outer.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        """Close the last MARK and return what lies above it."""
        items = self.stack
        if not self.outer:
            raise Malformed("stack-underflow", f"{self.opcode} finds no MARK")
        self.stack = self.outer.pop()
        return items

    def own(self) -> Any:
        """Return the top of the stack, given an identity if it can be changed later."""
        value = self.stack[-1]
        if value is NEW_LIST or value is NEW_DICT or value is NEW_SET:
            value = self.stack[-1] = Node(value)
        return value

    def put(self, index: int) -> None:
        """Remember the top of the stack."""
        value, memo = self.own(), self.memo
        if index < len(memo):
            if memo[index] is UNSET:
                self.memo_filled += 1
            else:
                self.note("memo-overwritten", f"memo slot {index} is written a second time")
            memo[index] = value
            return
        if index > len(memo):
            if index > sum(self.counts):
                raise Malformed("memo-index", f"memo index {index} is beyond the number of opcodes so far")
            memo.extend([UNSET] * (index - len(memo)))
        memo.append(value)
        self.memo_filled += 1

    def get(self, index: int) -> None:
        """Push what was remembered."""
        value = self.memo[index] if index < len(self.memo) else UNSET
        if value is UNSET:
            raise Malformed("memo-unset", f"memo slot {index} is read before anything was put there")
        if type(value) is Global:
            value.pushed += 1
        self.stack.append(value)

    # Containers

    def tuple_of(self, items: list[Any]) -> Any:
        """Return the tuple of these values."""
        if len(items) <= MAX_PLAIN_TUPLE:
            for item in items:
                if type(item) is Node or type(item) is tuple:
                    break
            else:
                return tuple(items)
        node = Node(None)
        node.items = items
        self.hold(node, items)
        return node

    def hold(self, node: Node, items: list[Any]) -> None:
        """Count these values as held by the node."""
        weight = node.weight + len(items)
        depth = node.depth or 1
        kinds = set(map(type, items))
        if Node in kinds or tuple in kinds:
            for item in items:
                kind = type(item)
                if kind is Node:
                    item.placed = True
                    weight += item.weight
                    if item.depth >= depth:
                        depth = item.depth + 1
                elif kind is tuple:
                    weight += len(item)
                    depth = max(depth, 2)
        node.weight, node.depth = weight, depth
        if depth > self.limits.max_depth:
            raise Malformed("limit-depth", f"values nest more than {self.limits.max_depth} deep")
        if weight > self.limits.max_weight:
            raise Malformed(
                "limit-weight", f"shared values unfold to more than {self.limits.max_weight:,} values"
            )

    def change(self, kind: Shape, items: list[Any]) -> None:
        """Apply an opcode that adds these values to the container below them."""
        target = self.own()
        if type(target) is Global:
            self.note("changes-global", f"{self.opcode} changes a global, not an object", target.label)
        elif type(target) is not Node:
            raise Malformed("wrong-target", f"{self.opcode} is applied to a value that is not a {kind.kind}")
        elif target.origin is not None:
            self.record(target.origin, (), target)
            self.hold(target, items)
        elif target.shape is kind or (kind is NEW_DICT and target.shape is MAPPING):
            if target.placed:
                self.note("changed-after-use", f"{self.opcode} changes a {kind.kind} that is already in use")
            target.length += len(items)
            self.hold(target, items)
        else:
            raise Malformed("wrong-target", f"{self.opcode} is applied to a value that is not a {kind.kind}")

    def count_key(self, key: Any) -> None:
        """Count what hashing a key of a dict or a member of a set takes."""
        kind = type(key)
        if kind is Node or kind is tuple or key is LARGE_INTEGER:
            self.keys_left -= key.weight if kind is Node else len(key) if kind is tuple else 1
            if self.keys_left < 0:
                raise Malformed("limit-keys", f"keys hold more than {self.limits.max_keys:,} values")

    def append(self, item: Any) -> None:
        """Apply APPEND."""
        target = self.stack[-1]
        if (
            type(target) is not Node
            or type(item) in _HOLDERS
            or target.shape is not NEW_LIST
            or target.placed
        ):
            self.change(NEW_LIST, [item])
        else:
            target.weight += 1
            target.length += 1

    def set_items(self, items: list[Any]) -> None:
        """Apply SETITEM or SETITEMS: keys and values in turn."""
        if len(items) % 2:
            raise Malformed("odd-items", f"{self.opcode} finds a key without a value")
        plain = self._are_plain_keys(items[::2])
        if not items:
            return
        self.change(NEW_DICT, items)
        target = self.stack[-1]
        if type(target) is not Node or target.origin is not None:
            return
        if not plain:
            target.shape = MAPPING
        # Calls show the pairs of dicts of tuples only: the fields of a numpy type.
        if type(items[1]) is Node and items[1].origin is None and len(items) <= 2 * _MAX_SHOWN_PAIRS:
            target.items = (target.items or []) + items
        else:
            target.items = None

    def _are_plain_keys(self, keys: list[Any]) -> bool:
        """Tell whether all are texts of the file; note one that Python itself looks up."""
        data, plain = self.data, True
        for key in keys:
            if type(key) is not float:
                plain = False
                self.count_key(key)
                continue
            start = int(key)
            if data[start] == _SHORT_BINUNICODE and data[start + 2] != _UNDERSCORE:
                continue
            text = read_text(self.data, key)
            if text is not None and text.startswith("__") and _DUNDER.match(text):
                self.note("dunder-key", f"a dict gets the key {text!r}, which Python itself looks up")
        return plain

    # Texts, globals and calls

    def push_global(self, module: str, name: str) -> None:
        """Push the global of this module and name, as written in the file."""
        found = self.globals.get((module, name))
        if found is None:
            found = self.globals[module, name] = self._new_global(module, name)
        found.pushed += 1
        self.stack.append(found)

    def _new_global(self, module: str, name: str) -> Global:
        if len(self.globals) >= self.limits.max_globals:
            raise Malformed("limit-globals", f"more than {self.limits.max_globals:,} different globals")
        for part in (*module.split("."), *name.split(".")):
            if not part.isidentifier():
                raise Malformed("bad-name", f"{f'{module}:{name}'[:80]!r} is not a dotted Python name")
        return Global(f"{module}:{name}", *self._resolved(module, name), self.opcode, self.position)

    def _resolved(self, module: str, name: str) -> tuple[str, str]:
        """Return what the interpreter imports for a name as written."""
        if self.protocol < 3:
            if (module, name) in NAME_MAPPING:
                return NAME_MAPPING[module, name]
            return IMPORT_MAPPING.get(module, module), name
        return module, name

    def push_unresolved(self, rule: str, message: str) -> None:
        """Push a global whose name cannot be known before the pickle runs."""
        self.note(rule, message)
        found = self.globals.setdefault(None, Global(None, None, None, self.opcode, self.position))
        found.pushed += 1
        self.stack.append(found)

    def call(self, callee: Any, arguments: Any, opcode: str | None = None) -> None:
        """Push what a callee returns."""
        opcode = opcode or self.opcode
        if type(callee) is Global:
            callee.called += 1
            callee.uses.add(opcode)
            if callee.label is None:
                shape, origin = UNKNOWN, _COMPUTED
            else:
                shown = self._shown.of(arguments)
                shape, origin = self.record(callee.label, shown), _maker(callee.label, shown)
        elif type(callee) is Node and callee.origin is not None:
            self.note("computed-call", f"{opcode} calls what another call returned")
            shape, origin = UNKNOWN, _COMPUTED
        else:
            raise Malformed("not-callable", f"{opcode} calls a value that is not a class or function")
        result = Node(shape, origin=origin)
        self.hold(result, [arguments])
        self.stack.append(result)

    def record(self, callee: str, arguments: Any, target: Node | None = None) -> Shape:
        """Record a call, or a change of a target, and return the shape of the result."""
        receiver = target.shape.parts if target is not None else ()
        late = target is not None and target.placed
        key = (callee, self.opcode, arguments, receiver, late)
        known = self.calls.get(key)
        if known is None:
            if len(self.calls) >= self.limits.max_calls:
                raise Malformed("limit-calls", f"more than {self.limits.max_calls:,} different calls")
            call = Call(callee, self.opcode, arguments, receiver, late, self.position)
            if target is None:
                parts = arguments if type(arguments) is tuple and is_literal(arguments) else ()
                result = Shape("object", callee, parts)
            else:
                result = Shape("object", target.shape.name, receiver, arguments)
            known = self.calls[key] = (call, result)
        return known[1]

    def build(self, state: Any) -> None:
        """Apply BUILD to the top of the stack."""
        target = self.stack[-1]
        if type(target) is Global:
            self.note("changes-global", "BUILD changes a global, not an object", target.label)
            return
        if type(target) is not Node or target.origin is None:
            raise Malformed("wrong-target", "BUILD is applied to a value that no call has made")
        shown = self._shown.of(state)
        if shown is MAPPING:
            self.note("state-keys", "the state of an object has keys that are not plain text", target.origin)
        built = self.record(target.origin, shown, target)
        if type(shown) is tuple and target.shape.parts:
            target.shape = built
            target.total = 1 + unfolded(state)
        self.hold(target, [state])


def _maker(callee: str, arguments: Any) -> str:
    """Return what an object counts as made by: protocols 0 and 1 name its class as an argument."""
    match callee, arguments:
        case "copyreg:_reconstructor", (Shape(kind="global", name=str() as made), *_):
            return made
        case _:
            return callee


Handler = Callable[[Machine, int], int]
"""What an opcode does: takes the machine and the position behind the opcode, returns that of the next one."""
