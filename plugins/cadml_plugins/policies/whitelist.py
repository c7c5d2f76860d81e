"""The policy ``whitelist``: allows exact globals, each with the uses and arguments that real models have."""

from __future__ import annotations

import functools
import pickletools
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

import msgspec

from cadml_core import (
    Call,
    Finding,
    GlobalReference,
    InvalidSetting,
    OpcodePolicy,
    PickleScan,
    Shape,
    Verdict,
    hookimpl,
)
from cadml_plugins.policies._arguments import ARGUMENT_RULES, canonical, pattern
from cadml_plugins.policies.blacklist import denial

OPCODES = frozenset(opcode.name for opcode in pickletools.opcodes)
_CALLS = frozenset({"REDUCE", "NEWOBJ", "NEWOBJ_EX"})
# Opcodes that the settings cannot allow.
_NEVER = frozenset(
    {"INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"}
)
_DICTS = frozenset({"dict", "mapping"})
_SETTING = "MODEL_OPCODE_WHITELIST"

Uses = Mapping[str, tuple[str, ...]]
"""``data`` -> (), and opcode -> the patterns of its arguments."""


class WhitelistData(msgspec.Struct, frozen=True):
    """The built-in list, as ``contrib/scripts/generate_whitelist.py`` writes it."""

    made_with: tuple[str, ...]
    opcodes: tuple[str, ...]
    globals: dict[str, dict[str, tuple[str, ...]]]


class Whitelist:
    """Allows what real fitted scikit-learn and numpy models consist of, and what the settings add."""

    name = "whitelist"

    def __init__(
        self,
        opcodes: frozenset[str] | None = None,
        extra: frozenset[str] = frozenset(),
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._opcodes = frozenset(builtin_whitelist().opcodes) if opcodes is None else opcodes
        self._extra = extra
        self._without = without

    def configured(self, entries: tuple[str, ...]) -> Whitelist:
        """Return the policy with the entries of ``MODEL_OPCODE_WHITELIST`` added.

        An entry is the name of an opcode or an exact ``module:name``. One with ``-`` in front is removed from
        the built-in list instead.

        Raises:
            InvalidSetting: An entry is neither, or names a global that the blacklist denies.
        """
        added = {entry for entry in entries if not entry.startswith("-")}
        removed = {entry[1:] for entry in entries if entry.startswith("-")}
        for entry in added | removed:
            _check(entry, adding=entry in added)
        opcodes = (self._opcodes | added) - removed
        extra = frozenset(filter(_is_pair, added - removed))
        return Whitelist(frozenset(opcodes & OPCODES), extra, frozenset(filter(_is_pair, removed)))

    def judge(self, scan: PickleScan) -> Verdict:
        """Refuse what is malformed, odd, or not on the list."""
        found = (
            *scan.malformed,
            *self._opcode_findings(scan),
            *self._global_findings(scan),
            *self._call_findings(scan),
            *scan.oddities,
        )
        findings = tuple(sorted(found, key=lambda finding: finding.position))
        return Verdict(
            self.name, allowed=not findings, findings=findings, allowed_set_size=len(self._opcodes)
        )

    def _opcode_findings(self, scan: PickleScan) -> Iterator[Finding]:
        for opcode in scan.opcode_counts:
            if opcode not in self._opcodes:
                message = f"the opcode {opcode} is not on the whitelist"
                yield Finding("opcode", message, opcode, scan.opcode_positions.get(opcode, 0))

    def _global_findings(self, scan: PickleScan) -> Iterator[Finding]:
        for found in scan.globals:
            if found.module is None or found.label in self._extra:
                continue
            uses = self._uses(found.label)
            if uses is None:
                yield _on_global(found, f"{found.label} is not on the whitelist")
            else:
                for use in found.uses:
                    if use not in uses:
                        yield _on_global(
                            found, f"{found.label} is on the whitelist, but not for use as {use}"
                        )

    def _call_findings(self, scan: PickleScan) -> Iterator[Finding]:
        for call in scan.calls:
            uses = self._uses(call.callee)
            if call.callee in self._extra or (uses is None and call.opcode in _CALLS):
                continue  # allowed, or refused as a global already
            if not self._admits(call, uses or {}):
                given = _shorten(pattern(call.arguments))
                message = f"{call.opcode} on {call.callee} with {given} is not on the whitelist"
                yield Finding("arguments", message, call.opcode, call.position, call.callee)

    def _admits(self, call: Call, uses: Uses) -> bool:
        callee = canonical(call.callee)
        if callee == "copyreg:_reconstructor":
            return self._admits_reconstruction(call)
        if call.opcode == "BUILD" and call.late and not isinstance(call.arguments, Shape):
            return False  # changes an array or type that another object refers to already
        if rule := ARGUMENT_RULES.get((callee, call.opcode)):
            return rule(call)
        return pattern(call.arguments) in uses.get(call.opcode, ())

    def _admits_reconstruction(self, call: Call) -> bool:
        """Tell whether protocol 0 or 1 may make an object from (class, base, state of the base)."""
        match call.arguments:
            case (Shape(kind="global", name=str() as made), Shape(kind="global", name=base), state):
                plain = base == "builtins:object" and state is None
                mapped = base == "builtins:dict" and isinstance(state, Shape) and state.kind in _DICTS
                known = made in self._extra or not {"NEWOBJ", "BUILD"}.isdisjoint(self._uses(made) or ())
                return known and (plain or mapped)
            case _:
                return False

    def _uses(self, label: str) -> Uses | None:
        return None if label in self._without else builtin_whitelist().globals.get(canonical(label))


@functools.cache
def builtin_whitelist() -> WhitelistData:
    """Return the built-in list."""
    text = resources.files("cadml_plugins.policies").joinpath("_whitelist.json").read_bytes()
    return msgspec.json.decode(text, type=WhitelistData)


def _is_pair(entry: str) -> bool:
    module, colon, name = entry.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def _check(entry: str, *, adding: bool) -> None:
    if entry in OPCODES:
        if adding and entry in _NEVER:
            raise InvalidSetting(f"{_SETTING}: {entry} is never allowed", setting=_SETTING, value=entry)
        return
    if not _is_pair(entry):
        raise InvalidSetting(
            f"{_SETTING}: {entry!r} is neither an opcode nor an exact module:name pair",
            setting=_SETTING,
            value=entry,
        )
    if adding and (reason := denial(*entry.split(":"))):
        raise InvalidSetting(
            f"{_SETTING}: {entry} cannot be allowed: {reason}", setting=_SETTING, value=entry
        )


def _on_global(found: GlobalReference, message: str) -> Finding:
    return Finding("global", message, found.opcode, found.position, found.label)


def _shorten(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:157]}..."


@hookimpl
def cadml_opcode_policies() -> Iterable[OpcodePolicy]:
    """Register the policy."""
    return (Whitelist(),)
