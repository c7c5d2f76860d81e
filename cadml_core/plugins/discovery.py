"""Find plugins, and decide from the settings, before anything is imported, which of them to load."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable

from cadml_core.plugins.hookspecs import ENTRY_POINT_GROUP
from cadml_core.plugins.records import OWN_DISTRIBUTION, PluginRecord
from cadml_core.settings import Settings

log = logging.getLogger(__name__)

EntryPoint = importlib.metadata.EntryPoint


def installed() -> list[EntryPoint]:
    """Return the entry points of every generation of the contracts in this environment."""
    prefix = ENTRY_POINT_GROUP.rsplit(".", 1)[0] + ".v"
    everything = importlib.metadata.entry_points()
    groups = [group for group in everything.groups if group.startswith(prefix)]
    return [entry for group in groups for entry in everything.select(group=group)]


def distribution_of(entry: EntryPoint) -> tuple[str, str]:
    """Return name and version; both are unknown for an entry point made by hand."""
    if entry.dist is None:
        return ("(unknown)", "")
    return (entry.dist.name, entry.dist.version)


def preferences(entries: Iterable[EntryPoint], settings: Settings) -> dict[str, str]:
    """Return those of ``[plugins.prefer]`` that can be followed.

    A preference for what is not installed, or not admitted in safe mode, must not cost the built-in plugin.
    """
    here = {distribution_of(entry)[0] for entry in entries if entry.group == ENTRY_POINT_GROUP}
    if settings.safe_mode:
        here &= {OWN_DISTRIBUTION}
    for name, distribution in settings.plugins_prefer.items():
        if distribution not in here and not settings.safe_mode:
            log.warning("[plugins.prefer] %s = %r: no such distribution has a plugin", name, distribution)
    return {name: chosen for name, chosen in settings.plugins_prefer.items() if chosen in here}


def admitted(entry: EntryPoint, settings: Settings) -> PluginRecord:
    """Return the record of a plugin before it is imported: ``loaded`` where it is to be."""
    distribution, version = distribution_of(entry)
    record = PluginRecord(
        name=entry.name, distribution=distribution, version=version, target=entry.value, status="loaded"
    )
    if entry.group != ENTRY_POINT_GROUP:
        return record.without(
            "incompatible",
            f"targets {entry.group}, this host speaks {ENTRY_POINT_GROUP}",
            f"install a release of {distribution} for {ENTRY_POINT_GROUP}, or a newer cadml",
        )
    if entry.name in settings.plugins_disable:
        return record.without("blocked", "disabled in the settings")
    if settings.safe_mode and not record.built_in:
        return record.without("blocked", "safe mode loads built-ins only")
    return record
