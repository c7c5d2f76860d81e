"""The policy ``blacklist``: refuses foreign packages and known dangers, and allows the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
from cadml_plugins.policies._dangers import is_ufunc
from cadml_plugins.policies._denials import denial, deny_lists
from cadml_plugins.policies._dtypes import is_sound_state
from cadml_plugins.policies._entries import SETTING, builtin_whitelist, read_entries
from cadml_plugins.policies._state import dangerous_state

# Rules of the scan that no ordinary model breaks.
_DENIED_ODDITIES = frozenset(
    {
        "unresolved-global",
        "extension",
        "persistent-id",
        "computed-call",
        "changes-global",
        "dunder-key",
        "state-keys",
        "not-loadable",
    }
)
_BYTES_MAKERS = frozenset({"builtins:bytes", "builtins:bytearray"})


class Blacklist:
    """Denies packages that models do not come from, and in the others what is known to be dangerous.

    It is not a sandbox: a dangerous function of numpy, scipy or scikit-learn that is not listed passes. Use
    the whitelist for models from sources that you do not trust.
    """

    name = "blacklist"

    def __init__(self, roots: frozenset[str] = frozenset(), labels: frozenset[str] = frozenset()) -> None:
        self._roots = deny_lists().allowed_roots | roots
        self._labels = labels

    def configured(self, entries: tuple[str, ...]) -> Blacklist:
        """Return the policy with the packages and pairs of ``MODEL_OPCODE_WHITELIST`` admitted.

        Opcodes, and entries with ``-`` in front, concern the whitelist alone.

        Raises:
            InvalidSetting: An entry cannot be; the message says why.
        """
        chosen = read_entries(entries)
        return Blacklist(chosen.packages, chosen.added)

    def judge(self, scan: PickleScan) -> Verdict:
        """Refuse what is malformed, and everything on the lists."""
        found = (
            *scan.malformed,
            *(oddity for oddity in scan.oddities if oddity.rule in _DENIED_ODDITIES),
            *_opcodes(scan),
            *self._globals(scan),
            *_calls(scan.calls),
            *dangerous_state(scan, _is_harmless),
        )
        findings = tuple(sorted(found, key=lambda finding: finding.position))
        return Verdict(self.name, allowed=not findings, findings=findings)

    def _globals(self, scan: PickleScan) -> Iterator[Finding]:
        for found in scan.globals:
            if found.module is None or found.name is None:
                continue
            rule, reason = "denied-global", denial(found.module, found.name)
            if reason is None:
                rule, reason = "foreign-package", self._foreign(found)
            if reason is not None:
                message = f"{found.label} is imported; {reason}"
                yield Finding(rule, message, found.opcode, found.position, found.label)

    def _foreign(self, found: GlobalReference) -> str | None:
        root = (found.module or "").partition(".")[0]
        allowed = root in self._roots or found.label in self._labels
        if allowed or found.label in deny_lists().allowed_standard:
            return None
        return (
            f"models do not come from the package {root}; if yours do, add {root}.* or {found.label} to"
            f" {SETTING}"
        )


def _opcodes(scan: PickleScan) -> Iterator[Finding]:
    for opcode, reason in deny_lists().denied_opcodes.items():
        if opcode in scan.opcode_counts:
            yield Finding("denied-opcode", f"{opcode} {reason}", opcode, scan.opcode_positions.get(opcode, 0))


def _calls(calls: Iterable[Call]) -> Iterator[Finding]:
    for call in calls:
        if reason := _call_denial(call):
            yield Finding("denied-call", f"{call.callee} {reason}", call.opcode, call.position, call.callee)


def _call_denial(call: Call) -> str | None:
    arguments = call.arguments if isinstance(call.arguments, tuple) else ()
    if (
        call.callee == "_codecs:encode"
        and call.opcode == "REDUCE"
        and arguments[1:] not in (("latin1",), ("latin-1",))
    ):
        return "is called with another codec than latin1"
    if call.opcode == "BUILD" and isinstance(call.arguments, Shape) and call.arguments.kind == "list":
        return "is given a list as its state, which could set any attribute"
    if call.callee == "numpy:dtype" and call.opcode == "BUILD" and not is_sound_state(call):
        return "is given a state that numpy does not write; bytes of the file might be used as pointers"
    if call.callee in _BYTES_MAKERS and arguments and type(arguments[0]) is int:
        return "is called with a size, which allocates that much memory"
    if any(isinstance(item, Shape) and item.name == "builtins:range" for item in arguments):
        return "is given a range, which allocates memory without data in the file"
    return None


def _is_harmless(label: str) -> bool:
    """Tell whether a model may call a function: one of numpy's ufuncs, or one that real models hold."""
    return is_ufunc(label) or label in builtin_whitelist().globals


@hookimpl
def cadml_opcode_policies() -> Iterable[OpcodePolicy]:
    """Register the policy."""
    return (Blacklist(),)
