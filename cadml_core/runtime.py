"""The composition root: everything that settings decide, put together once."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from cadml_core import metrics
from cadml_core.analysis import Analyzer
from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.records import PartFilter
from cadml_core.catalog.state import OperatorState
from cadml_core.catalog.store import Catalog
from cadml_core.classifier.audit import AuditStore
from cadml_core.classifier.choice import SharedChoice
from cadml_core.classifier.following import SharedModels
from cadml_core.classifier.registry import ModelRegistry
from cadml_core.contracts.features import FeatureVersion, RefinedVersion
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.duplicates.finder import DuplicateFinder
from cadml_core.feature_cache.cache import FeatureCache
from cadml_core.feature_cache.choice import Limits
from cadml_core.feature_cache.shared_trail import SharedTrail
from cadml_core.feature_cache.tuning import SharedTuning
from cadml_core.intake.cache_control import CacheControl
from cadml_core.intake.drawings import Drawings
from cadml_core.intake.intake import Intake
from cadml_core.migration.migrator import Migrator
from cadml_core.plugins.loader import LoadedPlugins, extra_versions, load_plugins, require_chosen
from cadml_core.plugins.registry import Registry
from cadml_core.reading.limits import read_limits
from cadml_core.reading.pool import ReaderPool
from cadml_core.search.batch import BatchPolicy, BatchSimilarity
from cadml_core.search.combined import CombinedSearch
from cadml_core.search.index.health import RecoveryPolicy
from cadml_core.search.index.shared import SharedIndexes
from cadml_core.search.index.sync import BackendChoice, backend_config
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.settings import Settings, load_settings

_SAMPLE = 1000
"""Stored parts on whose values a model is tried."""


@dataclass(frozen=True)
class Runtime:
    """What a host works with. Two runtimes in one process share no state but the metrics."""

    settings: Settings
    plugins: LoadedPlugins
    catalog: Catalog
    readers: ReaderPool
    """Starts its processes with the first file."""
    search: SimilaritySearch
    """Over the configured feature version; builds its index with the first question."""
    indexes: SharedIndexes
    """What operators ask of the index of ``search``, in this process and the others."""
    combined: CombinedSearch
    """With relations, and ranked by the first installed version that refines, where parts have it."""
    models: SharedModels
    """Holds no model until one is reloaded, or until it follows what another process chose."""
    migrator: Migrator
    duplicates: DuplicateFinder
    blobs: BlobStore
    """The kept uploads."""
    intake: Intake
    """The one way in for files."""
    analyzer: Analyzer
    drawings: Drawings
    """Pictures and models of stored parts."""
    batches: BatchSimilarity
    cache: CacheControl
    """The feature cache of this process, and what operators do with all of them."""
    resources: ExitStack
    """Closes what is open, the last first."""

    @property
    def registry(self) -> Registry:
        """Everything that the plugins registered."""
        return self.plugins.registry

    @property
    def feature(self) -> FeatureVersion:
        """The configured feature version."""
        return self.registry.features[self.settings.feature_version]

    @property
    def extra(self) -> tuple[str, ...]:
        """The feature versions that new parts get as well, where their files allow it."""
        return extra_versions(self.registry, self.settings)

    def close(self) -> None:
        """Close everything; closing twice is allowed."""
        self.resources.close()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def build_runtime(
    settings: Settings | None = None,
    *,
    plugins: LoadedPlugins | None = None,
    create_catalogue: bool = True,
) -> Runtime:
    """Load the plugins, open the catalogue, and put the services together.

    Args:
        settings: Worked out from the environment where None.
        plugins: Those to work with; where None, those that are installed, as the settings admit them.
        create_catalogue: Whether to make a catalogue where there is none. Where False, an empty one in a
            temporary folder serves instead, so that nothing is left behind.

    Raises:
        InvalidSetting: A setting is impossible.
        PluginUnavailable: What the settings chose is not there.
        CatalogueUnavailable: The database cannot be opened.
    """
    settings = load_settings() if settings is None else settings
    plugins = load_plugins(settings) if plugins is None else plugins
    require_chosen(plugins.registry, settings)
    registry = plugins.registry
    feature = registry.features[settings.feature_version]
    metrics.initialise(tuple(registry.formats), registry.features, registry.vectors)
    absent = not settings.database_url and not settings.catalogue_path.exists()
    with ExitStack() as opened:  # closes them again where a later one cannot be built
        url = settings.effective_database_url
        if absent and not create_catalogue:
            url = f"sqlite:///{opened.enter_context(TemporaryDirectory(prefix='cadml-'))}/empty.sqlite3"
        catalog = opened.enter_context(Catalog.open(url))
        readers = opened.enter_context(
            ReaderPool(
                registry.formats,
                registry.features,
                limits=read_limits(settings),
                workers=settings.worker_count,
                pictures=registry.pictures,
                draws=("own",) if settings.pictures else (),
            )
        )
        blobs = BlobStore(settings.data_path / "uploads", catalog.readers_of)
        limits = Limits(settings.feature_cache_capacity, settings.feature_cache_ttl_seconds)
        remembered = FeatureCache(limits.capacity, limits.ttl_seconds)
        intake = Intake(catalog, readers, registry.formats, registry.features, blobs, remembered)
        tuning = SharedTuning(OperatorState(catalog), limits, settings.cache_rollback_window_seconds)
        trail = SharedTrail(OperatorState(catalog))
        cache = CacheControl(intake, tuning, trail, feature.name, settings.prewarm_max)
        opened.callback(cache.close)
        cache.follow()
        search = _search(settings, registry, catalog, feature)
        opened.callback(search.close)
        ranking = [_search(settings, registry, catalog, other) for other in _refining(registry, feature)]
        for other in ranking:
            opened.callback(other.close)
        indexes = SharedIndexes(OperatorState(catalog), search.indexes, partial(_choice, settings, registry))
        opened.callback(indexes.close)
        models = _models(settings, registry, catalog)
        opened.callback(models.close)
        return Runtime(
            settings=settings,
            plugins=plugins,
            catalog=catalog,
            readers=readers,
            search=search,
            indexes=indexes,
            combined=CombinedSearch([*ranking, search]),
            models=models,
            migrator=Migrator(intake),
            duplicates=DuplicateFinder(intake),
            blobs=blobs,
            intake=intake,
            analyzer=Analyzer(intake, search, models.registry, feature, extra_versions(registry, settings)),
            drawings=Drawings(intake),
            batches=BatchSimilarity(search, _batch_policy(settings), trail.note_batch),
            cache=cache,
            resources=opened.pop_all(),
        )


def _refining(registry: Registry, configured: FeatureVersion) -> list[FeatureVersion]:
    """Return the first version that ranks by a distance of its own, unless it is the configured one."""
    found = [feature for feature in registry.features.values() if isinstance(feature, RefinedVersion)]
    return [feature for feature in found[:1] if feature.name != configured.name]


def _search(
    settings: Settings, registry: Registry, catalog: Catalog, feature: FeatureVersion
) -> SimilaritySearch:
    backend = registry.vectors[settings.vector_store_backend]
    return SimilaritySearch(
        catalog,
        feature,
        backend,
        settings.vector_config.get(backend.name),
        fallback=registry.vectors.get("memory"),
        recovery=RecoveryPolicy(
            settings.faiss_recovery_interval_seconds,
            settings.faiss_recovery_backoff_multiplier,
            settings.faiss_recovery_max_backoff,
        ),
    )


def _choice(settings: Settings, registry: Registry, name: str) -> BackendChoice:
    backend = registry.vectors.named(name, stage="vectors")
    return BackendChoice(backend, backend_config(backend, settings.vector_config.get(name, {})))


def _batch_policy(settings: Settings) -> BatchPolicy:
    return BatchPolicy(
        settings.batch_similarity_max_ids,
        settings.batch_similarity_parallel_threshold,
        settings.batch_similarity_parallel_workers,
    )


def _models(settings: Settings, registry: Registry, catalog: Catalog) -> SharedModels:
    audit = AuditStore(
        Path(settings.opcode_audit_persist_path), settings.opcode_audit_persist_interval, time.time
    )
    return SharedModels(
        ModelRegistry(
            settings,
            registry.policies,
            registry.features,
            audit=audit,
            choices=SharedChoice(OperatorState(catalog)),
            samples=lambda version: _newest_values(catalog, version),
        )
    )


def _newest_values(catalog: Catalog, version: str) -> FloatMatrix | None:
    """Return the raw values of the newest parts that have the version, None where there are none."""
    newest = catalog.rows(PartFilter())[-_SAMPLE:]
    rows, values = catalog.vectors(version, newest.tolist())
    return values if len(rows) else None
