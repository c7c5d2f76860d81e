"""Load plugins: find, admit, import and register each; one record per plugin, whatever becomes of it."""

from __future__ import annotations

import logging
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pluggy

from cadml_core.errors import CadmlError, PluginUnavailable
from cadml_core.metrics import plugin_load_failures_total
from cadml_core.plugins import hookspecs
from cadml_core.plugins.conflicts import settle
from cadml_core.plugins.discovery import EntryPoint, admitted, distribution_of, installed, preferences
from cadml_core.plugins.records import PluginRecord
from cadml_core.plugins.registration import PluginError, register
from cadml_core.plugins.registry import Contribution, Registry, Table, build_registry
from cadml_core.settings import Settings
from cadml_core.settings.schema import EXTRA_DEFAULT, NO_EXTRA

log = logging.getLogger(__name__)


class LoadedPlugins(msgspec.Struct, frozen=True):
    """The registry, and a record for every entry point found."""

    registry: Registry
    records: tuple[PluginRecord, ...]


def load_plugins(settings: Settings, entry_points: Iterable[EntryPoint] | None = None) -> LoadedPlugins:
    """Load every plugin that the settings admit. A broken plugin never raises here.

    Args:
        settings: Which plugins are disabled or preferred, and whether safe mode is on.
        entry_points: The candidates; those installed in this environment where None.
    """
    found = installed() if entry_points is None else list(entry_points)
    ordered = sorted(found, key=lambda entry: (entry.name, distribution_of(entry)[0], entry.value))
    preferred = preferences(ordered, settings)
    # Names of entry points are settled before anything is imported, names of objects once they are known.
    records = [admitted(entry, settings) for entry in ordered]
    records = settle(records, _claims([("plugin", record.name)] for record in records), preferred)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    registered: list[list[Contribution]] = []
    for index, entry in enumerate(ordered):
        records[index], contributions = _load_one(manager, entry, records[index])
        registered.append(contributions)
    claims = _claims([(item.kind.name, item.name) for item in items] for items in registered)
    records = settle(records, claims, preferred)
    for record in records:
        failures = plugin_load_failures_total.labels(plugin=record.name)  # 0 where it works
        if record.status == "failed":
            failures.inc()
            log.warning("plugin %s (%s) failed: %s", record.name, record.distribution, record.error)
    failed = {
        record.name: f"{record.distribution} {record.status}: {record.error}"
        for record in records
        if record.status != "loaded"
    }
    used = zip(records, registered, strict=True)
    kept = [item for record, items in used if record.status == "loaded" for item in items]
    return LoadedPlugins(build_registry(kept, failed), tuple(records))


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
    further = [name for name in settings.feature_versions_extra if name not in (*EXTRA_DEFAULT, NO_EXTRA)]
    more = ((registry.features, name, "FEATURE_VERSIONS_EXTRA") for name in further)
    for table, name, variable in (*chosen, *more):
        try:
            table[name]
        except PluginUnavailable as error:
            raise PluginUnavailable(f"{variable}={name}: {error.message}", **error.context) from None


def extra_versions(registry: Registry, settings: Settings) -> tuple[str, ...]:
    """Return the feature versions that new parts get beside the configured one, where files allow them."""
    wanted = dict.fromkeys(settings.feature_versions_extra)
    return tuple(name for name in wanted if name in registry.features and name != settings.feature_version)


def _claims(names: Iterable[Iterable[tuple[str, str]]]) -> dict[tuple[str, str], list[int]]:
    """Return who claims each (what, name), from the names that each record claims."""
    owners: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, claimed in enumerate(names):
        for claim in claimed:
            owners[claim].append(index)
    return owners


def _load_one(
    manager: pluggy.PluginManager, entry: EntryPoint, record: PluginRecord
) -> tuple[PluginRecord, list[Contribution]]:
    if record.status != "loaded":
        return record, []
    start = time.perf_counter()
    try:
        items = register(manager, entry)
    # The core's only broad except: third-party code may raise anything, or call sys.exit().
    except (Exception, SystemExit) as error:  # noqa: BLE001
        failed = msgspec.structs.replace(
            record,
            status="failed",
            error=_reason(error),
            traceback=traceback.format_exc(),
            hint=_hint(error, record.distribution),
            import_seconds=time.perf_counter() - start,
        )
        return failed, []
    loaded = msgspec.structs.replace(
        record,
        kinds=tuple(sorted({item.kind.name for item in items})),
        provides=tuple(sorted(item.name for item in items)),
        import_seconds=time.perf_counter() - start,
    )
    return loaded, items


def _reason(error: BaseException) -> str:
    plain = isinstance(error, PluginError | CadmlError)
    return str(error) if plain else f"{type(error).__name__}: {error}"


def _hint(error: BaseException, distribution: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"a dependency is missing: pip install --force-reinstall {distribution}"
    if isinstance(error, PluginError | CadmlError):
        return f"report this to the authors of {distribution}"
    return f"update or uninstall {distribution}, or disable it: CADML_PLUGINS_DISABLE"
