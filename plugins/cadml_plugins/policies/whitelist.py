"""The policy ``whitelist``: allows exact globals, each with the uses and arguments that real models have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cadml_core import (
    Call,
    Finding,
    GlobalReference,
    OpcodePolicy,
    PickleScan,
    Shape,
    Verdict,
    hookimpl,
)
from cadml_plugins.policies._arguments import ARGUMENT_RULES, canonical, pattern
from cadml_plugins.policies._entries import builtin_whitelist, read_entries
from cadml_plugins.policies._state import dangerous_state, unknown_state

_CALLS = frozenset({"REDUCE", "NEWOBJ", "NEWOBJ_EX"})
_DICTS = frozenset({"dict", "mapping"})

Uses = Mapping[str, tuple[str, ...]]
"""``data`` -> (), and opcode -> the patterns of its arguments."""


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
        the built-in list instead. Whole packages concern the blacklist alone.

        Raises:
            InvalidSetting: An entry cannot be; the message says why.
        """
        chosen = read_entries(entries)
        opcodes = (self._opcodes | chosen.added_opcodes) - chosen.removed_opcodes
        return Whitelist(opcodes, chosen.added - chosen.removed, chosen.removed)

    def judge(self, scan: PickleScan) -> Verdict:
        """Refuse what is malformed, odd, or not on the list."""
        found = (
            *scan.malformed,
            *self._opcode_findings(scan),
            *self._global_findings(scan),
            *self._call_findings(scan),
            *scan.oddities,
            *unknown_state(scan, self._extra - builtin_whitelist().globals.keys()),
            *dangerous_state(scan, self._is_listed),
        )
        findings = tuple(sorted(found, key=lambda finding: finding.position))
        return Verdict(
            self.name, allowed=not findings, findings=findings, allowed_set_size=len(self._opcodes)
        )

    def _is_listed(self, label: str) -> bool:
        return label in self._extra or self._uses(label) is not None

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


def _on_global(found: GlobalReference, message: str) -> Finding:
    return Finding("global", message, found.opcode, found.position, found.label)


def _shorten(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:157]}..."


@hookimpl
def cadml_opcode_policies() -> Iterable[OpcodePolicy]:
    """Register the policy."""
    return (Whitelist(),)
