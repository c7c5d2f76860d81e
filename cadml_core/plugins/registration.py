"""Import one plugin and take what it registers, after checking each object against its contract."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import pluggy

from cadml_core.plugins.discovery import EntryPoint, distribution_of
from cadml_core.plugins.pickling import pickled
from cadml_core.plugins.registry import KINDS, Contribution, Kind


class PluginError(Exception):
    """A plugin breaks a rule of registration; the message is for its author."""


def register(manager: pluggy.PluginManager, entry: EntryPoint) -> list[Contribution]:
    """Import a plugin and return what it registers.

    Raises:
        PluginError: It breaks a rule of registration.
        Exception: Whatever its own code raises.
    """
    plugin = entry.load()
    manager.register(plugin, name=f"{entry.name}@{distribution_of(entry)[0]}")
    try:
        return _contributions(manager, plugin)
    except BaseException:
        manager.unregister(plugin)
        raise


def _contributions(manager: pluggy.PluginManager, plugin: object) -> list[Contribution]:
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        raise PluginError("implements no hook; decorate a function with @cadml_core.hookimpl")
    items: list[Contribution] = []
    for caller in callers:
        # pluggy registers a function with a misspelt name without a word.
        if not caller.has_spec():
            close = difflib.get_close_matches(caller.name, KINDS, n=1)
            raise PluginError(
                f"unknown hook {caller.name}"
                + (f"; did you mean {close[0]}?" if close else f"; known: {', '.join(KINDS)}")
            )
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin:
                returned: Any = implementation.function()
                if not isinstance(returned, Iterable):
                    raise PluginError(
                        f"{caller.name} returned {type(returned).__name__}, expected an iterable, such as a"
                        f" list, of objects of the kind {KINDS[caller.name].name}"
                    )
                items += [_checked(KINDS[caller.name], item) for item in returned]
    _refuse_repeated(items)
    return items


def _checked(kind: Kind, item: Any) -> Contribution:
    """Refuse an object that lacks a member of its contract, and say which."""
    members = {*kind.contract.__annotations__, *vars(kind.contract)}
    missing = sorted(name for name in members if not name.startswith("_") and not hasattr(item, name))
    if missing:
        raise PluginError(f"{item!r} is not a {kind.name}: it lacks {', '.join(missing)}")
    if not isinstance(item.name, str) or not item.name:
        raise PluginError(f"{item!r} has no usable name: {item.name!r}")
    if kind.travels:
        pickled({item.name: item}, {})  # refused here, where it costs only this plugin
    return Contribution(kind, item)


def _refuse_repeated(items: Iterable[Contribution]) -> None:
    seen: set[tuple[str, str]] = set()
    for item in items:
        if (item.kind.name, item.name) in seen:
            raise PluginError(f"registers two objects of the kind {item.kind.name} named {item.name!r}")
        seen.add((item.kind.name, item.name))
