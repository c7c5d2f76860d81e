"""What the simulated pickle machine keeps of a value, and what the arguments of a call show of it.

Enough to judge how a value is used, never the value itself:

* None, booleans and integers stand for themselves.
* A text is kept as the position of its opcode, as a float: 24 bytes, told from an integer by its type,
  and read from the file when it matters.
* A tuple of at most 16 of the above and of shapes stands for itself.
* What has an identity or holds other values is a ``Node``, a global is a ``Global``.
* Everything else is a shared ``Shape``.
"""

from __future__ import annotations

import codecs
from typing import Any

from cadml_core.contracts.policies import Shape
from cadml_core.pickles.grammar import CODE_OF, Malformed, describe

TEXT = Shape("text")
BYTES = Shape("bytes")
BYTEARRAY = Shape("bytearray")
FLOAT = Shape("float")
LARGE_INTEGER = Shape("integer")
UNKNOWN = Shape("unknown")
FROZENSET = Shape("frozenset")
LONG_TUPLE = Shape("tuple")
MAPPING = Shape("mapping")
# Containers that nothing else can refer to yet; the machine turns them into nodes when that changes.
NEW_LIST = Shape("list")
NEW_DICT = Shape("dict")
NEW_SET = Shape("set")

_SHORT_BINUNICODE, _BINUNICODE, _UNICODE = (
    CODE_OF[name] for name in ("SHORT_BINUNICODE", "BINUNICODE", "UNICODE")
)
_MAX_TEXT = 256  # bytes; no name of a global is longer
_CHUNK = 1 << 20  # bytes decoded at a time
_MAX_SHOWN_TEXT = 40
_MAX_LEAVES = 40
_MAX_TOTAL = 400  # types inside types could repeat one another without end
_SHOWN_PAIRS_BUDGET = 100_000  # over the whole walk, so that showing the same dict again cannot cost time

MAX_PLAIN_TUPLE = 16
"""Longest tuple that is kept as it is."""


class Node:
    """A container, or the result of a call.

    ``shape`` is what a call's arguments show of it, None for a tuple that was not looked at yet.
    ``weight`` counts the values it holds, every repetition of a shared one counted again; ``depth`` is
    how far they nest; ``placed`` says that another container holds it already. ``leaves`` counts the
    values a tuple shows, ``total`` those of the states and dicts inside as well, ``length`` those a list
    holds; ``origin`` is ``module:name`` of what made an object.
    """

    __slots__ = ("depth", "items", "leaves", "length", "origin", "placed", "shape", "total", "weight")

    def __init__(self, shape: Any, weight: int = 1, depth: int = 0, origin: str | None = None) -> None:
        self.shape = shape
        self.weight = weight
        self.depth = depth
        self.origin = origin
        self.placed = False
        self.leaves = 1
        self.total = 1
        self.length = 0
        self.items: list[Any] | None = None


class Global:
    """A global that the pickle names: where first, how often it is pushed, and what calls it."""

    __slots__ = ("called", "label", "module", "name", "opcode", "position", "pushed", "raw", "shape", "uses")

    def __init__(
        self, raw: str | None, module: str | None, name: str | None, opcode: str, position: int
    ) -> None:
        self.raw = raw
        self.module = module
        self.name = name
        self.label = None if module is None else f"{module}:{name}"
        self.opcode = opcode
        self.position = position
        self.pushed = 0
        self.called = 0
        self.uses: set[str] = set()
        self.shape = Shape("global", self.label)


def is_literal(shown: Any) -> bool:
    """Tell whether a value that a call shows is known exactly."""
    if type(shown) is tuple:
        return all(map(is_literal, shown))
    return type(shown) is not Shape


def read_text(data: bytes, reference: float) -> str | None:
    """Return the text whose opcode is at this position; None where it is long."""
    start = int(reference)
    code = data[start]
    if code == _SHORT_BINUNICODE:
        begin, end = start + 2, start + 2 + data[start + 1]
    elif code == _UNICODE:
        begin, end = start + 1, data.index(b"\n", start)
    else:
        width = 4 if code == _BINUNICODE else 8
        begin = start + 1 + width
        end = begin + int.from_bytes(data[start + 1 : begin], "little")
    if end - begin > _MAX_TEXT:
        return None
    return data[begin:end].decode("raw-unicode-escape" if code == _UNICODE else "utf-8", "surrogatepass")


def check_text(data: bytes, start: int, begin: int, end: int, encoding: str = "utf-8") -> None:
    """Refuse a text that cannot be decoded, without ever holding a long one as a whole.

    Args:
        data: The file.
        start: Position of the opcode.
        begin: Where the text begins.
        end: Where it ends.
        encoding: How it is written.

    Raises:
        Malformed: It cannot be decoded.
    """
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    view = memoryview(data)
    try:
        for chunk in range(begin, end, _CHUNK):
            decoder.decode(view[chunk : min(chunk + _CHUNK, end)])
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        raise Malformed("bad-text", f"the text of {describe(data[start])} cannot be decoded") from None


class Shown:
    """What the arguments of calls show of the values in one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pairs_left = _SHOWN_PAIRS_BUDGET
        self._open: set[int] = set()
        """Dicts that are being shown, which one of their own values may hold."""

    def of(self, value: Any) -> Any:
        """Return what a call's arguments show of a value: a literal, a tuple of such, or a shape."""
        kind = type(value)
        if kind is Node:
            if value.shape is NEW_LIST:
                return Shape("list", None, (value.length,))
            return value.shape if value.shape is not None else self._shown_tuple(value)
        if kind is Global:
            return value.shape
        if kind is float:
            text = read_text(self._data, value)
            return TEXT if text is None or len(text) > _MAX_SHOWN_TEXT else text
        if kind is tuple:
            return tuple(map(self.of, value))
        return value

    def _shown_tuple(self, node: Node) -> Any:
        items = node.items or []
        if len(items) > _MAX_LEAVES:
            node.shape = LONG_TUPLE
            return LONG_TUPLE
        shown = tuple(map(self._shown_inside, items))
        node.leaves = 1 + sum(map(_leaves, items))
        node.total = 1 + sum(map(unfolded, items))
        fits = node.leaves <= _MAX_LEAVES and node.total <= _MAX_TOTAL
        node.shape = shown if fits else LONG_TUPLE
        node.items = None
        return node.shape

    def _shown_inside(self, value: Any) -> Any:
        if type(value) is Node and value.shape is NEW_DICT and value.items is not None:
            return self._shown_dict(value)
        return self.of(value)

    def _shown_dict(self, node: Node) -> Shape:
        items = node.items or []
        self._pairs_left -= len(items)
        if self._pairs_left < 0 or id(node) in self._open:
            return NEW_DICT
        self._open.add(id(node))
        keys, values = map(self.of, items[::2]), map(self.of, items[1::2])
        pairs = tuple(zip(keys, values, strict=True))
        self._open.remove(id(node))
        return Shape("dict", None, pairs)


def unfolded(value: Any) -> int:
    """Return how many values this one shows, those of nested states and dicts included."""
    if type(value) is not Node:
        return len(value) + 1 if type(value) is tuple else 1
    if value.shape is NEW_DICT and value.items is not None:
        return 1 + sum(item.total if type(item) is Node else 1 for item in value.items)
    return int(value.total)


def _leaves(value: Any) -> int:
    if type(value) is Node:
        return int(value.leaves)
    return len(value) if type(value) is tuple else 1
