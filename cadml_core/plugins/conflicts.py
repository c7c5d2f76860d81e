"""Two plugins that claim one name: a built-in keeps it, the settings decide, else neither has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from cadml_core.plugins.records import PluginRecord

Claims = Mapping[tuple[str, str], Sequence[int]]
"""(what, name) -> positions of the records that claim this name for it: the entry point's own name
("plugin"), or that of an object ("format adapter")."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


def settle(
    records: Sequence[PluginRecord], claims: Claims, preferred: Mapping[str, str]
) -> list[PluginRecord]:
    """Decide every claim, and return the records as they are afterwards.

    A plugin that loses one name is not used at all: half a plugin would be harder to explain than none.
    The result depends on names and settings only, never on the order of the records.

    Args:
        records: Those that are not ``loaded`` claim nothing.
        claims: Who wants what.
        preferred: Name -> the distribution that gets it: ``[plugins.prefer]``.
    """
    settled = list(records)
    # Built-ins first: a plugin that loses against one must not fail or block a third one as well.
    ordered = sorted(claims.items())
    for (what, name), owners in ordered:
        built_in = any(settled[owner].built_in for owner in _standing(settled, owners))
        if built_in and not _winners(settled, owners, preferred.get(name)):
            for owner in _standing(settled, owners):
                if not settled[owner].built_in:
                    settled[owner] = _displacing(settled[owner], what, name)
    for (_, name), owners in ordered:
        winners = _winners(settled, owners, preferred.get(name))
        for owner in set(_standing(settled, owners)) - set(winners) if winners else ():
            settled[owner] = settled[owner].without(
                "blocked", f"the settings prefer {name} from {preferred[name]}"
            )
    remaining = [(name, _standing(settled, owners)) for (_, name), owners in ordered]
    for name, owners in remaining:
        if len(owners) > 1:
            claimants = [records[owner] for owner in owners]
            for owner in owners:
                settled[owner] = _contested(records[owner], name, claimants)
    return settled


def _standing(records: Sequence[PluginRecord], owners: Iterable[int]) -> list[int]:
    return [owner for owner in owners if records[owner].status == "loaded"]


def _winners(records: Sequence[PluginRecord], owners: Iterable[int], distribution: str | None) -> list[int]:
    """Return the claimants that the settings prefer."""
    return [owner for owner in _standing(records, owners) if records[owner].distribution == distribution]


def _displacing(record: PluginRecord, what: str, name: str) -> PluginRecord:
    others = sorted(set(record.provides) - {name})
    whole = f"; nothing of this plugin is used, {', '.join(others)} neither" if others else ""
    return record.without(
        "failed",
        f"{what} {name!r} is built in, and a plugin does not replace it unless the settings say so{whole}",
        f"to use this plugin instead of the built-in one, {_setting(name, record.distribution)}",
    )


def _contested(record: PluginRecord, name: str, claimants: Sequence[PluginRecord]) -> PluginRecord:
    distributions = sorted({claimant.distribution for claimant in claimants})
    if len(distributions) == 1:
        plugins = " and ".join(sorted(claimant.name for claimant in claimants))
        error = f"the name {name!r} is claimed by two plugins of {distributions[0]}: {plugins}"
        return record.without("failed", error, "disable one of them: CADML_PLUGINS_DISABLE")
    return record.without(
        "failed",
        f"the name {name!r} is claimed by {' and '.join(distributions)}",
        f"uninstall all but one, or choose one: {_setting(name, distributions[0])}",
    )


def _setting(name: str, distribution: str) -> str:
    """Return what to write into ``cadml.toml``."""
    key = name if _BARE_KEY.match(name) else f'"{name}"'
    return f'put under [plugins.prefer] in cadml.toml: {key} = "{distribution}"'
