"""The policy ``blacklist``: refuses what is known to be dangerous, and allows everything else."""

from __future__ import annotations

import functools
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources

import msgspec

from cadml_core import Call, Finding, OpcodePolicy, PickleScan, Shape, Verdict, hookimpl
from cadml_plugins.policies._dtypes import is_sound_state

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
    }
)
_BYTES_MAKERS = frozenset({"builtins:bytes", "builtins:bytearray"})


class DenyLists(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``_blacklist.toml``."""

    denied_packages: frozenset[str]
    denied_modules: tuple[str, ...]
    denied_names: frozenset[str]
    allowed_standard: frozenset[str]
    denied_opcodes: dict[str, str]


@functools.cache
def deny_lists() -> DenyLists:
    """Return the lists."""
    text = resources.files("cadml_plugins.policies").joinpath("_blacklist.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), DenyLists)


class Blacklist:
    """Denies modules, names, opcodes and constructions that ordinary models do not need.

    It is not a sandbox: a dangerous function that is not listed passes. Use the whitelist for models from
    sources that you do not trust.
    """

    name = "blacklist"

    def judge(self, scan: PickleScan) -> Verdict:
        """Refuse what is malformed, and everything on the lists."""
        found = (
            *scan.malformed,
            *(oddity for oddity in scan.oddities if oddity.rule in _DENIED_ODDITIES),
            *_opcodes(scan),
            *_globals(scan),
            *_calls(scan.calls),
        )
        findings = tuple(sorted(found, key=lambda finding: finding.position))
        return Verdict(self.name, allowed=not findings, findings=findings)


def _opcodes(scan: PickleScan) -> Iterator[Finding]:
    for opcode, reason in deny_lists().denied_opcodes.items():
        if opcode in scan.opcode_counts:
            yield Finding("denied-opcode", f"{opcode} {reason}", opcode, scan.opcode_positions.get(opcode, 0))


def _globals(scan: PickleScan) -> Iterator[Finding]:
    for found in scan.globals:
        if found.module is None or found.name is None:
            continue
        if reason := denial(found.module, found.name):
            message = f"{found.label} is imported; {reason}"
            yield Finding("denied-global", message, found.opcode, found.position, found.label)


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


def denial(module: str, name: str) -> str | None:
    """Return why the blacklist denies a global, None where it does not."""
    lists = deny_lists()
    if f"{module}:{name}" in lists.allowed_standard:
        return None
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or root in lists.denied_packages:
        return f"the module {root} is denied"
    if "." in name:
        return "its name reaches through one object to another"
    if any(_is_dunder(part) for part in (*module.split("."), name)):
        return "it names a special attribute of Python"
    if any(module == denied or module.startswith(f"{denied}.") for denied in lists.denied_modules):
        return f"the module {module} is denied"
    if name in lists.denied_names:
        return f"the name {name} is denied in every module"
    if name in sys.stdlib_module_names:
        return f"it is a module ({name}) imported through another"
    return None


def _is_dunder(part: str) -> bool:
    return len(part) > 4 and part.startswith("__") and part.endswith("__")


@hookimpl
def cadml_opcode_policies() -> Iterable[OpcodePolicy]:
    """Register the policy."""
    return (Blacklist(),)
