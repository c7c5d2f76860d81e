"""What the simulated pickle machine keeps of a value: enough to judge its use, never the value itself.

* None, booleans and integers stand for themselves.
* A text is kept as the position of its opcode, as a float: 24 bytes, told from an integer by its type,
  and read from the file when it matters.
* A tuple of at most 16 of the above and of shapes stands for itself.
* What has an identity or holds other values is a ``Node``, a global is a ``Global``.
* Everything else is a shared ``Shape``.
"""

from __future__ import annotations

from typing import Any

from cadml_core.contracts.policies import Shape

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
