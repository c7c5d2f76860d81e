"""The composition root: everything that settings decide, put together once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from cadml_core.analysis import Analyzer
from cadml_core.catalog.blobs import BlobStore
from cadml_core.catalog.state import OperatorState
from cadml_core.catalog.store import Catalog
from cadml_core.classifier.audit import AuditStore
from cadml_core.classifier.registry import ModelRegistry, SharedModels
from cadml_core.contracts.features import FeatureVersion
from cadml_core.intake.intake import Intake
from cadml_core.migration.migrator import Migrator
from cadml_core.plugins.loader import LoadedPlugins, load_plugins, require_chosen
from cadml_core.plugins.registry import Registry
from cadml_core.reading.limits import read_limits
from cadml_core.reading.pool import ReaderPool
from cadml_core.search.batch import BatchPolicy, BatchSimilarity
from cadml_core.search.index.health import RecoveryPolicy
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.settings import Settings, load_settings


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
    models: SharedModels
    """Holds no model until one is reloaded, or until it follows what another process chose."""
    migrator: Migrator
    blobs: BlobStore
    """The kept uploads."""
    intake: Intake
    """The one way in for files."""
    analyzer: Analyzer
    batches: BatchSimilarity
    scratch: TemporaryDirectory[str] | None = None
    """Where the catalogue is, if it is to leave nothing behind."""

    @property
    def registry(self) -> Registry:
        """Everything that the plugins registered."""
        return self.plugins.registry

    @property
    def feature(self) -> FeatureVersion:
        """The configured feature version."""
        return self.registry.features[self.settings.feature_version]

    def close(self) -> None:
        """Close everything; closing twice is allowed."""
        self.readers.close()
        self.models.close()
        self.search.close()
        self.catalog.close()
        if self.scratch is not None:
            self.scratch.cleanup()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
    absent = not settings.database_url and not settings.catalogue_path.exists()
    scratch = TemporaryDirectory(prefix="cadml-") if absent and not create_catalogue else None
    url = f"sqlite:///{scratch.name}/empty.sqlite3" if scratch else settings.effective_database_url
    catalog = Catalog.open(url)
    feature = registry.features[settings.feature_version]
    readers = ReaderPool(
        registry.formats, registry.features, limits=read_limits(settings), workers=settings.worker_count
    )
    blobs = BlobStore(settings.data_path / "uploads", catalog.readers_of)
    intake = Intake(catalog, readers, registry.formats, registry.features, blobs)
    search = _search(settings, registry, catalog)
    models = _models(settings, registry, catalog)
    return Runtime(
        settings=settings,
        plugins=plugins,
        catalog=catalog,
        readers=readers,
        search=search,
        models=models,
        migrator=Migrator(intake),
        blobs=blobs,
        intake=intake,
        analyzer=Analyzer(intake, search, models.registry, feature),
        batches=BatchSimilarity(search, _batch_policy(settings)),
        scratch=scratch,
    )


def _search(settings: Settings, registry: Registry, catalog: Catalog) -> SimilaritySearch:
    backend = registry.vectors[settings.vector_store_backend]
    return SimilaritySearch(
        catalog,
        registry.features[settings.feature_version],
        backend,
        settings.vector_config.get(backend.name),
        fallback=registry.vectors.get("memory"),
        recovery=RecoveryPolicy(
            settings.faiss_recovery_interval_seconds,
            settings.faiss_recovery_backoff_multiplier,
            settings.faiss_recovery_max_backoff,
        ),
    )


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
    models = ModelRegistry(settings, registry.policies, registry.features, audit=audit)
    return SharedModels(models, OperatorState(catalog))
