"""Find, order, block, guard and register plugins; one record per plugin, whatever becomes of it."""

from __future__ import annotations

import difflib
import importlib.metadata
import logging
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import pluggy

from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.contracts.host import HostCommand, HostRoutes
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.contracts.vectors import VectorBackend
from cadml_core.errors import CadmlError, PluginUnavailable
from cadml_core.metrics import plugin_load_failures_total
from cadml_core.plugins import hookspecs
from cadml_core.plugins.pickling import pickled
from cadml_core.plugins.registry import Registry, Table
from cadml_core.settings import Settings

log = logging.getLogger(__name__)

OWN_DISTRIBUTION = "cadml"
KINDS: Mapping[str, tuple[str, type]] = {
    "cadml_format_adapters": ("format adapter", FormatAdapter),
    "cadml_feature_versions": ("feature version", FeatureVersion),
    "cadml_opcode_policies": ("opcode policy", OpcodePolicy),
    "cadml_vector_backends": ("vector backend", VectorBackend),
    "cadml_routes": ("routes", HostRoutes),
    "cadml_commands": ("command", HostCommand),
}

Status = Literal["loaded", "failed", "blocked", "incompatible"]


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entry point."""

    name: str
    distribution: str
    version: str
    target: str
    """What the entry point names: ``package.module`` or ``package.module:object``."""
    status: Status
    kinds: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    """The names it registered."""
    error: str | None = None
    traceback: str | None = None
    hint: str | None = None
    import_seconds: float = 0.0


class Contribution(msgspec.Struct, frozen=True):
    """One object that a plugin registers."""

    kind: str
    name: str
    item: Any


class LoadedPlugins(msgspec.Struct, frozen=True):
    """The registry, and a record for every entry point found."""

    registry: Registry
    records: tuple[PluginRecord, ...]


class PluginError(Exception):
    """A plugin breaks a rule of registration; the message is for its author."""


def load_plugins(
    settings: Settings, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None
) -> LoadedPlugins:
    """Load every plugin that the settings admit. A broken plugin never raises here.

    Args:
        settings: Which plugins are disabled or preferred, and whether safe mode is on.
        entry_points: The candidates; those installed in this environment where None.
    """
    found = _installed() if entry_points is None else list(entry_points)
    ordered = sorted(found, key=lambda entry: (entry.name, _distribution(entry)[0], entry.value))
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    records: list[PluginRecord] = []
    contributions: dict[int, list[Contribution]] = {}
    conflicts = _shared_names(ordered, settings.plugins_prefer)
    for entry in ordered:
        record, items = _load_one(manager, entry, settings, conflicts)
        contributions[len(records)] = items
        records.append(record)
    records, kept = _settle_objects(records, contributions, settings.plugins_prefer)
    for record in records:
        if record.status == "failed":
            plugin_load_failures_total.labels(plugin=record.name).inc()
            log.warning("plugin %s (%s) failed: %s", record.name, record.distribution, record.error)
    return LoadedPlugins(_registry(kept, records), tuple(records))


def require_chosen(registry: Registry, settings: Settings) -> None:
    """Stop the start where something that the settings chose is missing.

    Raises:
        PluginUnavailable: Names the setting, the value and what is installed.
    """
    chosen: Sequence[tuple[Table[Any], str, str]] = (
        (registry.features, settings.feature_version, "FEATURE_VERSION"),
        (registry.vectors, settings.vector_store_backend, "VECTOR_STORE_BACKEND"),
        (registry.policies, settings.model_opcode_mode, "MODEL_OPCODE_MODE"),
    )
    for table, name, variable in chosen:
        if name not in table:
            try:
                table[name]
            except PluginUnavailable as error:
                raise PluginUnavailable(f"{variable}={name}: {error.message}", **error.context) from None


def _installed() -> list[importlib.metadata.EntryPoint]:
    prefix = hookspecs.ENTRY_POINT_GROUP.rsplit(".", 1)[0] + ".v"
    everything = importlib.metadata.entry_points()
    groups = [group for group in everything.groups if group.startswith(prefix)]
    return [entry for group in groups for entry in everything.select(group=group)]


def _distribution(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    """Return name and version; both are unknown for an entry point made by hand."""
    if entry.dist is None:
        return ("(unknown)", "")
    return (entry.dist.name, entry.dist.version)


def _shared_names(
    entries: Sequence[importlib.metadata.EntryPoint], prefer: Mapping[str, str]
) -> dict[str, list[str]]:
    """Entry-point names that more than one distribution claims and no setting decides."""
    owners: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.group == hookspecs.ENTRY_POINT_GROUP:
            owners[entry.name].add(_distribution(entry)[0])
    return {
        name: sorted(dists)
        for name, dists in owners.items()
        if len(dists) > 1 and prefer.get(name) not in dists
    }


def _load_one(
    manager: pluggy.PluginManager,
    entry: importlib.metadata.EntryPoint,
    settings: Settings,
    conflicts: Mapping[str, list[str]],
) -> tuple[PluginRecord, list[Contribution]]:
    distribution, version = _distribution(entry)
    base = PluginRecord(
        name=entry.name, distribution=distribution, version=version, target=entry.value, status="loaded"
    )
    if refused := _refused(base, entry.group, settings, conflicts):
        return refused, []
    start = time.perf_counter()
    try:
        items = _register(manager, entry)
    # The only broad except of the core: a stranger's code may raise anything, or call sys.exit().
    except (Exception, SystemExit) as error:  # noqa: BLE001
        failed = msgspec.structs.replace(
            base,
            status="failed",
            error=str(error)
            if isinstance(error, PluginError | CadmlError)
            else f"{type(error).__name__}: {error}",
            traceback=traceback.format_exc(),
            hint=_hint(error, distribution),
            import_seconds=time.perf_counter() - start,
        )
        return failed, []
    loaded = msgspec.structs.replace(
        base,
        kinds=tuple(sorted({item.kind for item in items})),
        provides=tuple(sorted(item.name for item in items)),
        import_seconds=time.perf_counter() - start,
    )
    return loaded, items


def _refused(
    base: PluginRecord, group: str, settings: Settings, conflicts: Mapping[str, list[str]]
) -> PluginRecord | None:
    """Return the record of a plugin that is not to be imported, None for one that is."""
    spoken = hookspecs.ENTRY_POINT_GROUP
    if group != spoken:
        return msgspec.structs.replace(
            base,
            status="incompatible",
            error=f"targets {group}, this host speaks {spoken}",
            hint=f"install a release of {base.distribution} for {spoken}, or a newer cadml",
        )
    if base.name in settings.plugins_disable:
        return msgspec.structs.replace(base, status="blocked", error="disabled in the settings")
    if settings.safe_mode and base.distribution != OWN_DISTRIBUTION:
        return msgspec.structs.replace(base, status="blocked", error="safe mode loads built-ins only")
    preferred = settings.plugins_prefer.get(base.name)
    if base.name in conflicts:
        return _conflict(base, base.name, conflicts[base.name])
    if preferred is not None and preferred != base.distribution:
        return msgspec.structs.replace(
            base, status="blocked", error=f"the settings prefer {base.name} from {preferred}"
        )
    return None


def _conflict(record: PluginRecord, name: str, distributions: Sequence[str]) -> PluginRecord:
    return msgspec.structs.replace(
        record,
        status="failed",
        kinds=(),
        provides=(),
        error=f"the name {name!r} is claimed by {' and '.join(distributions)}",
        hint=f'uninstall one, or say which: [plugins.prefer] {name} = "{distributions[0]}"',
    )


def _register(manager: pluggy.PluginManager, entry: importlib.metadata.EntryPoint) -> list[Contribution]:
    plugin = entry.load()
    unique = f"{entry.name}@{_distribution(entry)[0]}"
    manager.register(plugin, name=unique)
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
        if not caller.has_spec():
            close = difflib.get_close_matches(caller.name, KINDS, n=1)
            raise PluginError(
                f"unknown hook {caller.name}"
                + (f"; did you mean {close[0]}?" if close else f"; known: {', '.join(KINDS)}")
            )
        kind, contract = KINDS[caller.name]
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin:
                returned: Any = implementation.function()
                items += [_checked(kind, contract, item) for item in returned]
    return items


def _checked(kind: str, contract: type, item: Any) -> Contribution:
    """Refuse an object that lacks a member of its contract, and say which."""
    members = {*contract.__annotations__, *vars(contract)}
    missing = sorted(name for name in members if not name.startswith("_") and not hasattr(item, name))
    if missing:
        raise PluginError(f"{item!r} is not a {kind}: it lacks {', '.join(missing)}")
    if not isinstance(item.name, str) or not item.name:
        raise PluginError(f"{item!r} has no usable name: {item.name!r}")
    if contract in (FormatAdapter, FeatureVersion):
        pickled({item.name: item}, {})  # refused here, where it costs only this plugin
    return Contribution(kind, item.name, item)


def _hint(error: BaseException, distribution: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"a dependency is missing: pip install --force-reinstall {distribution}"
    if isinstance(error, PluginError | CadmlError):
        return f"report this to the authors of {distribution}"
    return f"update or uninstall {distribution}, or disable it: CADML_PLUGINS_DISABLE"


def _settle_objects(
    records: list[PluginRecord], contributions: Mapping[int, list[Contribution]], prefer: Mapping[str, str]
) -> tuple[list[PluginRecord], list[Contribution]]:
    """Fail every plugin that shares an object's name with another, unless a setting decides."""
    owners: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, items in contributions.items():
        for item in items:
            owners[item.kind, item.name].append(index)
    settled = list(records)
    for (_, name), indexes in owners.items():
        if len(indexes) == 1:
            continue
        distributions = sorted({records[index].distribution for index in indexes})
        winners = [index for index in indexes if records[index].distribution == prefer.get(name)]
        for index in indexes if len(winners) != 1 else set(indexes) - set(winners):
            settled[index] = _conflict(records[index], name, distributions)
    kept = [
        item for index, items in contributions.items() if settled[index].status == "loaded" for item in items
    ]
    return settled, kept


def _registry(items: Iterable[Contribution], records: Iterable[PluginRecord]) -> Registry:
    by_kind: dict[str, dict[str, Any]] = {kind: {} for kind, _ in KINDS.values()}
    for item in items:
        by_kind[item.kind][item.name] = item.item
    failed = {
        record.name: f"{record.distribution} {record.status}: {record.error}"
        for record in records
        if record.status != "loaded"
    }
    tables = [Table(kind, by_kind[kind], failed) for kind, _ in KINDS.values()]
    return Registry(*tables)
