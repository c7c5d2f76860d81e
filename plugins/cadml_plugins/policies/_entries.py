"""The generated whitelist, and the entries of ``MODEL_OPCODE_WHITELIST`` that are added to it."""

from __future__ import annotations

import functools
import pickletools
from collections.abc import Iterable
from importlib import resources

import msgspec

from cadml_core import InvalidSetting
from cadml_plugins.policies._denials import denial

SETTING = "MODEL_OPCODE_WHITELIST"
OPCODES = frozenset(opcode.name for opcode in pickletools.opcodes)
# Opcodes that the settings cannot allow.
_NEVER = frozenset(
    {"INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"}
)
_PACKAGE = ".*"


class WhitelistData(msgspec.Struct, frozen=True):
    """The built-in list, as ``contrib/scripts/generate_whitelist.py`` writes it."""

    made_with: tuple[str, ...]
    opcodes: tuple[str, ...]
    globals: dict[str, dict[str, tuple[str, ...]]]


@functools.cache
def builtin_whitelist() -> WhitelistData:
    """Return the built-in list."""
    text = resources.files("cadml_plugins.policies").joinpath("_whitelist.json").read_bytes()
    return msgspec.json.decode(text, type=WhitelistData)


class Entries(msgspec.Struct, frozen=True):
    """The entries of the setting, by what they are."""

    added: frozenset[str]
    """``module:name`` pairs."""
    removed: frozenset[str]
    added_opcodes: frozenset[str]
    removed_opcodes: frozenset[str]
    packages: frozenset[str]
    """Packages that blacklist mode admits."""


def read_entries(entries: Iterable[str]) -> Entries:
    """Sort the entries of the setting.

    Raises:
        InvalidSetting: An entry is neither an opcode, a pair nor a package, or names what is always denied.
    """
    added = {entry for entry in entries if not entry.startswith("-")}
    removed = {entry[1:] for entry in entries if entry.startswith("-")}
    packages = frozenset(entry.removesuffix(_PACKAGE) for entry in added if _is_package(entry))
    for entry in added | removed:
        _check(entry, adding=entry in added)
    return Entries(
        frozenset(filter(_is_pair, added)),
        frozenset(filter(_is_pair, removed)),
        frozenset(added & OPCODES),
        frozenset(removed & OPCODES),
        packages,
    )


def _is_pair(entry: str) -> bool:
    module, colon, name = entry.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *name.split(".")))


def _is_package(entry: str) -> bool:
    return entry.endswith(_PACKAGE) and entry.removesuffix(_PACKAGE).isidentifier()


def _check(entry: str, *, adding: bool) -> None:
    reason = None
    if entry in OPCODES:
        if adding and entry in _NEVER:
            raise InvalidSetting(f"{SETTING}: {entry} is never allowed", setting=SETTING, value=entry)
        return
    if adding and _is_package(entry):
        reason = denial(entry.removesuffix(_PACKAGE), "any")
    elif not _is_pair(entry):
        raise InvalidSetting(
            f"{SETTING}: {entry!r} is neither an opcode, an exact module:name pair nor a package such as"
            " mycompany.*",
            setting=SETTING,
            value=entry,
        )
    elif adding:
        reason = denial(*entry.split(":"))
    if reason:
        raise InvalidSetting(f"{SETTING}: {entry} cannot be allowed: {reason}", setting=SETTING, value=entry)
