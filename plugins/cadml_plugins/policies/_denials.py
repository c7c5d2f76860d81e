"""What is denied by name, whatever the settings say: the lists of ``_blacklist.toml``."""

from __future__ import annotations

import functools
import sys
import tomllib
from importlib import resources

import msgspec


class DenyLists(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``_blacklist.toml``."""

    allowed_roots: frozenset[str]
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
