"""Opcode policies: judge what the scan of a pickled model has found."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec


class Shape(msgspec.Struct, frozen=True):
    """A value that the scan knows by its kind only; literals stand for themselves.

    In the arguments of a call, None, booleans, integers, short text and tuples are themselves;
    everything else is one of these.
    """

    kind: str
    """``bytes``, ``bytearray``, ``text``, ``float``, ``list``, ``dict`` (every key is plain text),
    ``mapping`` (a dict with other keys), ``set``, ``frozenset``, ``tuple``, ``global``, ``object``
    (what a call returned) or ``unknown``."""
    name: str | None = None
    """``module:name`` of a global, or of the callee that made an object."""
    parts: tuple[Any, ...] = ()
    """Literal arguments of an object's callee; pairs of key and value of a small nested dict; length of a
    list, where it is not empty."""
    state: Any = None
    """What ``BUILD`` last gave to an object with literal arguments, where that is a tuple."""


class GlobalReference(msgspec.Struct, frozen=True):
    """One global that a pickle names, at its first place.

    ``module`` and ``name`` are what the interpreter will import: Python 2 names are mapped where
    the protocol asks for it. Where they could not be resolved statically both are None.
    """

    module: str | None
    name: str | None
    opcode: str
    position: int
    uses: tuple[str, ...] = ()
    """``data`` where it is stored or passed on, and each opcode that calls it."""
    raw: str | None = None
    """``module:name`` as in the file."""

    @property
    def label(self) -> str:
        """``module:name``, or a word for what could not be resolved."""
        return "(unresolved)" if self.module is None else f"{self.module}:{self.name}"


class Call(msgspec.Struct, frozen=True):
    """One way in which a pickle acts on a global, or on the object that a global made.

    ``REDUCE``, ``NEWOBJ``, ``NEWOBJ_EX``, ``INST`` and ``OBJ`` call ``callee``. ``BUILD``, ``SETITEM``,
    ``SETITEMS``, ``APPEND``, ``APPENDS`` and ``ADDITEMS`` change what ``callee`` has returned.
    Equal calls are reported once, at the first place.
    """

    callee: str
    """``module:name``."""
    opcode: str
    arguments: Any
    """The argument tuple of a call, the state of ``BUILD``, else ()."""
    receiver: tuple[Any, ...] = ()
    """Literal arguments that the changed object was made with."""
    late: bool = False
    """True where something holds the changed object already."""
    position: int = 0


class Made:
    """Stands for an object that a call in a pickle would return; nothing was called.

    A subclass of its own stands for each global of the pickle, so that a global among the values is that
    class. Everything else is the value itself: numbers, texts, bytes and containers.
    """

    __slots__ = ("arguments", "items", "keywords", "states")
    label: ClassVar[str] = "(unknown)"
    """``module:name`` of what was called; where copyreg made the object, of its class."""
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    states: list[Any]
    """What each ``BUILD`` gave, in order; a dict as it was then."""
    items: list[Any]
    """What was appended or added; pairs of key and value where items were set."""


class Finding(msgspec.Struct, frozen=True):
    """One thing to object to, with the byte position of the opcode that shows it."""

    rule: str
    message: str
    opcode: str
    position: int
    global_name: str | None = None
    """``module:name`` where the finding is about a global."""


class PickleScan(msgspec.Struct, frozen=True):
    """What one walk over a pickle saw."""

    size: int
    protocol: int
    opcode_counts: dict[str, int]
    globals: tuple[GlobalReference, ...]
    malformed: tuple[Finding, ...] = ()
    """Refuse in every mode. The walk ends at the first, so the rest is what was seen until then."""
    calls: tuple[Call, ...] = ()
    oddities: tuple[Finding, ...] = ()
    """Well-formed, but nothing a pickler writes for ordinary data; each rule at its first place."""
    opcode_positions: dict[str, int] = {}
    """Byte position of the first opcode of each name."""
    objects: tuple[Made, ...] = ()
    """Every object that the pickle makes by a call, in order, with its arguments and state. Empty where the
    pickle is malformed, or where an oddity says that what it makes cannot be known."""


class Verdict(msgspec.Struct, frozen=True):
    """A policy's answer."""

    policy: str
    allowed: bool
    findings: tuple[Finding, ...] = ()
    allowed_set_size: int | None = None
    """How many opcodes the policy allows, where it works with such a set."""
    advisory: bool = False
    """True where the policy only observes: the others are asked too, and reported."""


@runtime_checkable
class OpcodePolicy(Protocol):
    """Judges the scan of a pickled model."""

    name: str

    def judge(self, scan: PickleScan) -> Verdict:
        """Return whether the scan is allowed, and every finding. Pure."""


@runtime_checkable
class ConfigurablePolicy(OpcodePolicy, Protocol):
    """A policy that takes the entries of ``MODEL_OPCODE_WHITELIST``; the gate configures it once."""

    def configured(self, entries: tuple[str, ...]) -> OpcodePolicy:
        """Return the policy with these entries: opcode names and exact ``module:name`` pairs.

        Raises:
            InvalidSetting: An entry cannot be; the message says which and why.
        """
