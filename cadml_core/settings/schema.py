"""Every setting: its type, bounds, environment name, key in ``cadml.toml`` and default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import platformdirs
from msgspec import Meta

DATA_DIR_DEFAULT = platformdirs.user_data_dir("cadml", appauthor=False)


def _setting(description: str, env: str, key: str, *, secret: bool = False, **bounds: Any) -> Meta:
    return Meta(description=description, extra={"env": env, "key": key, "secret": secret}, **bounds)


EXTRA_DEFAULT = ("shape",)
"""Further feature versions of new parts where the settings say nothing of them."""
NO_EXTRA = "none"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting with its type, bounds, environment name and key in ``cadml.toml``."""

    data_dir: Annotated[
        str, _setting("Folder of the catalogue, the uploads and the keys.", "CADML_DATA_DIR", "data_dir")
    ] = DATA_DIR_DEFAULT
    database_url: Annotated[
        str,
        _setting(
            "SQLAlchemy URL of the catalogue; empty: SQLite in the data folder.",
            "CADML_DATABASE_URL",
            "database_url",
            secret=True,
        ),
    ] = ""
    plugins_disable: Annotated[
        tuple[str, ...],
        _setting(
            "Plugins, by entry point, that are never imported.", "CADML_PLUGINS_DISABLE", "plugins.disable"
        ),
    ] = ()
    plugins_prefer: Annotated[
        dict[str, str],
        _setting(
            "Which distribution to use where plugins share a name, a built-in one too: name = distribution"
            " (environment: `name=distribution,...`).",
            "CADML_PLUGINS_PREFER",
            "plugins.prefer",
        ),
    ] = {}
    safe_mode: Annotated[
        bool, _setting("Load the built-in plugins only.", "CADML_SAFE_MODE", "plugins.safe_mode")
    ] = False

    feature_version: Annotated[
        str, _setting("The feature version that new parts get.", "FEATURE_VERSION", "features.version")
    ] = "v3"
    feature_versions_extra: Annotated[
        tuple[str, ...],
        _setting(
            "Feature versions that new parts get as well, where their files allow it: `shape` is what the"
            " combined search ranks by, and is left out where its plugin is not installed; `none`: no"
            " others.",
            "FEATURE_VERSIONS_EXTRA",
            "features.extra",
        ),
    ] = EXTRA_DEFAULT
    pictures: Annotated[
        bool,
        _setting("Draw a picture of each file that is read for the catalogue.", "CADML_PICTURES", "pictures"),
    ] = True
    feature_cache_capacity: Annotated[
        int,
        _setting(
            "Feature vectors kept in memory.", "FEATURE_CACHE_CAPACITY", "cache.capacity", ge=1, le=10_000_000
        ),
    ] = 1000
    feature_cache_ttl_seconds: Annotated[
        int,
        _setting(
            "How long a vector stays in the cache; 0: no limit.",
            "FEATURE_CACHE_TTL_SECONDS",
            "cache.ttl_seconds",
            ge=0,
            le=31_536_000,
        ),
    ] = 3600
    cache_rollback_window_seconds: Annotated[
        int,
        _setting(
            "How long a cache change can be undone.",
            "CACHE_ROLLBACK_WINDOW_SECONDS",
            "cache.rollback_window_seconds",
            ge=1,
            le=86_400,
        ),
    ] = 300
    prewarm_max: Annotated[
        int,
        _setting("Most vectors one prewarm loads.", "PREWARM_MAX", "cache.prewarm_max", ge=0, le=1_000_000),
    ] = 500

    analysis_max_file_mb: Annotated[
        int,
        _setting("Largest file, in MiB.", "ANALYSIS_MAX_FILE_MB", "parse.max_file_mb", ge=1, le=65_536),
    ] = 64
    parse_cpu_seconds: Annotated[
        float,
        _setting(
            "Processor time that reading one file may take, to the second.",
            "PARSE_CPU_SECONDS",
            "parse.cpu_seconds",
            gt=0,
            le=86_400,
        ),
    ] = 60.0
    parse_timeout_seconds: Annotated[
        float,
        _setting(
            "Longest reading of one file on the clock; well above `PARSE_CPU_SECONDS`, so that other load"
            " does not end it.",
            "PARSE_TIMEOUT_SECONDS",
            "parse.timeout_seconds",
            gt=0,
            le=86_400,
        ),
    ] = 240.0
    parse_memory_mb: Annotated[
        int,
        _setting(
            "Memory that one reading may take, in MiB.",
            "PARSE_MEMORY_MB",
            "parse.memory_mb",
            ge=256,
            le=1_048_576,
        ),
    ] = 2048
    parse_workers: Annotated[
        int,
        _setting("Reader processes; 0: one per core.", "PARSE_WORKERS", "parse.workers", ge=0, le=1024),
    ] = 0
    parse_max_entities: Annotated[
        int,
        _setting(
            "Most entities of one document, blocks expanded.",
            "PARSE_MAX_ENTITIES",
            "parse.max_entities",
            ge=1,
            le=1_000_000_000,
        ),
    ] = 2_000_000
    parse_max_triangles: Annotated[
        int,
        _setting(
            "Most triangles of one document.",
            "PARSE_MAX_TRIANGLES",
            "parse.max_triangles",
            ge=1,
            le=1_000_000_000,
        ),
    ] = 5_000_000

    vector_store_backend: Annotated[
        str,
        _setting("`faiss`, `memory`, or a plugin's name.", "VECTOR_STORE_BACKEND", "vectors.backend"),
    ] = "faiss"
    vector_config: Annotated[
        dict[str, dict[str, Any]],
        _setting(
            "Options of the vector backends: `[vectors.config.<name>]` (environment: JSON).",
            "CADML_VECTOR_CONFIG",
            "vectors.config",
        ),
    ] = {}
    faiss_recovery_interval_seconds: Annotated[
        float,
        _setting(
            "First wait before a degraded index is probed.",
            "FAISS_RECOVERY_INTERVAL_SECONDS",
            "recovery.interval_seconds",
            gt=0,
            le=86_400,
        ),
    ] = 300.0
    faiss_recovery_max_backoff: Annotated[
        float,
        _setting(
            "Longest wait between two probes.",
            "FAISS_RECOVERY_MAX_BACKOFF",
            "recovery.max_backoff",
            gt=0,
            le=604_800,
        ),
    ] = 3600.0
    faiss_recovery_backoff_multiplier: Annotated[
        float,
        _setting(
            "Growth of the wait after each failed probe.",
            "FAISS_RECOVERY_BACKOFF_MULTIPLIER",
            "recovery.backoff_multiplier",
            ge=1,
            le=100,
        ),
    ] = 2.0
    batch_similarity_parallel_threshold: Annotated[
        int,
        _setting(
            "From more ids than this on, a batch is computed in parallel.",
            "BATCH_SIMILARITY_PARALLEL_THRESHOLD",
            "batch.parallel_threshold",
            ge=1,
            le=1_000_000,
        ),
    ] = 50
    batch_similarity_parallel_workers: Annotated[
        int,
        _setting(
            "Most threads of one batch.",
            "BATCH_SIMILARITY_PARALLEL_WORKERS",
            "batch.parallel_workers",
            ge=1,
            le=256,
        ),
    ] = 4
    batch_similarity_max_ids: Annotated[
        int,
        _setting("Most ids of one batch.", "BATCH_SIMILARITY_MAX_IDS", "batch.max_ids", ge=1, le=1_000_000),
    ] = 200

    model_dir: Annotated[
        str,
        _setting(
            "The only folder models are loaded from; empty: `models` in the data folder.",
            "CADML_MODEL_DIR",
            "models.dir",
        ),
    ] = ""
    model_max_mb: Annotated[
        int, _setting("Largest model file, in MiB.", "MODEL_MAX_MB", "models.max_mb", ge=1, le=65_536)
    ] = 50
    model_memory_mb: Annotated[
        int,
        _setting(
            "Address space of a model's process, in MiB, its libraries included.",
            "MODEL_MEMORY_MB",
            "models.memory_mb",
            ge=512,
            le=1_048_576,
        ),
    ] = 3072
    model_load_timeout_seconds: Annotated[
        float,
        _setting(
            "Longest time to load a model and try it out.",
            "MODEL_LOAD_TIMEOUT_SECONDS",
            "models.load_timeout_seconds",
            gt=0,
            le=3600,
        ),
    ] = 60.0
    model_predict_timeout_seconds: Annotated[
        float,
        _setting(
            "Longest wait for one answer of the model; then it is ended, and the answer is missing.",
            "MODEL_PREDICT_TIMEOUT_SECONDS",
            "models.predict_timeout_seconds",
            gt=0,
            le=600,
        ),
    ] = 2.0
    model_max_failures: Annotated[
        int,
        _setting(
            "A model whose process fails so often within ten minutes is taken out of service.",
            "MODEL_MAX_FAILURES",
            "models.max_failures",
            ge=1,
            le=1000,
        ),
    ] = 3
    model_opcode_mode: Annotated[
        str,
        _setting(
            "`blacklist`, `audit`, `whitelist`, or a plugin's policy.",
            "MODEL_OPCODE_MODE",
            "models.opcode_mode",
        ),
    ] = "blacklist"
    model_opcode_whitelist: Annotated[
        tuple[str, ...],
        _setting(
            "What the modes allow beyond their lists: opcode names (whitelist), exact `module:name` pairs,"
            " and packages such as `mycompany.*` (blacklist).",
            "MODEL_OPCODE_WHITELIST",
            "models.opcode_whitelist",
        ),
    ] = ()
    allowed_model_hashes: Annotated[
        tuple[str, ...],
        _setting(
            "sha256 of every model that may be loaded, 64 hex digits each; empty: any.",
            "ALLOWED_MODEL_HASHES",
            "models.allowed_hashes",
        ),
    ] = ()
    opcode_audit_persist_interval: Annotated[
        float,
        _setting(
            "Seconds between two writes of the opcode audit; 0: never.",
            "OPCODE_AUDIT_PERSIST_INTERVAL",
            "models.audit_persist_interval",
            ge=0,
            le=31_536_000,
        ),
    ] = 3600.0
    opcode_audit_persist_path: Annotated[
        str,
        _setting(
            "JSON-lines file of the opcode audit.", "OPCODE_AUDIT_PERSIST_PATH", "models.audit_persist_path"
        ),
    ] = "/var/log/cad-ml/opcode_audit.jsonl"

    api_keys: Annotated[
        tuple[str, ...],
        _setting("Keys that clients may use (also `API_KEY`).", "API_KEYS", "server.api_keys", secret=True),
    ] = ()
    admin_token: Annotated[
        str, _setting("Token for admin operations.", "ADMIN_TOKEN", "server.admin_token", secret=True)
    ] = ""
    host: Annotated[
        str, _setting("Address the server listens on; `0.0.0.0`: every one.", "CADML_HOST", "server.host")
    ] = "127.0.0.1"
    port: Annotated[
        int,
        _setting("Port of the server; 0: any that is free.", "CADML_PORT", "server.port", ge=0, le=65_535),
    ] = 8000
    server_workers: Annotated[
        int, _setting("Server processes.", "CADML_SERVER_WORKERS", "server.workers", ge=1, le=256)
    ] = 1
    rate_limit_per_minute: Annotated[
        int,
        _setting(
            "Most requests of one API key in a minute, and of one client without a right key, over all server"
            " processes; 0: no limit.",
            "RATE_LIMIT_PER_MINUTE",
            "server.rate_limit_per_minute",
            ge=0,
            le=10_000_000,
        ),
    ] = 0
    cors_origins: Annotated[
        tuple[str, ...],
        _setting(
            "Web pages of these origins may call the server; empty: none.",
            "CORS_ORIGINS",
            "server.cors_origins",
        ),
    ] = ()
    upload_timeout_seconds: Annotated[
        float,
        _setting(
            "Longest pause inside a request's body.",
            "UPLOAD_TIMEOUT_SECONDS",
            "server.upload_timeout_seconds",
            gt=0,
            le=3600,
        ),
    ] = 30.0
    body_timeout_seconds: Annotated[
        float,
        _setting(
            "Longest time for a whole body.",
            "BODY_TIMEOUT_SECONDS",
            "server.body_timeout_seconds",
            gt=0,
            le=86_400,
        ),
    ] = 600.0
    header_timeout_seconds: Annotated[
        float,
        _setting(
            "Longest time for all headers of a request, or for a new connection to begin one.",
            "HEADER_TIMEOUT_SECONDS",
            "server.header_timeout_seconds",
            gt=0,
            le=3600,
        ),
    ] = 10.0
    header_line_max_bytes: Annotated[
        int,
        _setting(
            "Longest header line, or address of a request.",
            "HEADER_LINE_MAX_BYTES",
            "server.header_line_max_bytes",
            ge=256,
            le=1_048_576,
        ),
    ] = 16_384
    headers_max_bytes: Annotated[
        int,
        _setting(
            "Most bytes of all headers of a request.",
            "HEADERS_MAX_BYTES",
            "server.headers_max_bytes",
            ge=1024,
            le=16_777_216,
        ),
    ] = 65_536
    headers_max_count: Annotated[
        int,
        _setting(
            "Most headers of a request.",
            "HEADERS_MAX_COUNT",
            "server.headers_max_count",
            ge=8,
            le=10_000,
        ),
    ] = 100
    connections_per_client_max: Annotated[
        int,
        _setting(
            "Most connections of one client address at once, in each server process.",
            "CONNECTIONS_PER_CLIENT_MAX",
            "server.connections_per_client_max",
            ge=1,
            le=1_000_000,
        ),
    ] = 256
    connections_max: Annotated[
        int,
        _setting(
            "Most connections at once in each server process; never more than it may open files.",
            "CONNECTIONS_MAX",
            "server.connections_max",
            ge=1,
            le=1_000_000,
        ),
    ] = 1024
    requests_per_connection_max: Annotated[
        int,
        _setting(
            "Requests after which a connection is closed.",
            "REQUESTS_PER_CONNECTION_MAX",
            "server.requests_per_connection_max",
            ge=1,
            le=1_000_000_000,
        ),
    ] = 10_000
    analysis_max_batch_files: Annotated[
        int,
        _setting(
            "Most files of one batch upload.",
            "ANALYSIS_MAX_BATCH_FILES",
            "server.max_batch_files",
            ge=1,
            le=10_000,
        ),
    ] = 100
    log_format: Annotated[
        str,
        _setting(
            "`console`, `json`, or `auto`: console on a terminal, JSON elsewhere.",
            "CADML_LOG_FORMAT",
            "server.log_format",
            pattern="^(auto|console|json)$",
        ),
    ] = "auto"
    log_level: Annotated[
        str,
        _setting(
            "`debug`, `info` (every request), `warning` or `error`.",
            "CADML_LOG_LEVEL",
            "server.log_level",
            pattern="^(debug|info|warning|error)$",
        ),
    ] = "info"
    stress_strict: Annotated[
        bool,
        _setting("Stress checks fail instead of reporting.", "STRESS_STRICT", "stress.strict"),
    ] = False

    origins: dict[str, str] = {}
    """Where each value that is not a default came from."""

    @property
    def data_path(self) -> Path:
        """The data folder."""
        return Path(self.data_dir).expanduser()

    @property
    def effective_database_url(self) -> str:
        """The URL of the catalogue, the default worked out."""
        return self.database_url or f"sqlite:///{self.catalogue_path}"

    @property
    def catalogue_path(self) -> Path:
        """The catalogue's file, where ``database_url`` names no other database."""
        return self.data_path / "catalogue.sqlite3"

    @property
    def model_path(self) -> Path:
        """The folder that models are loaded from."""
        return Path(self.model_dir).expanduser() if self.model_dir else self.data_path / "models"

    @property
    def worker_count(self) -> int:
        """How many reader processes to keep."""
        return self.parse_workers or os.cpu_count() or 1

    @property
    def max_file_bytes(self) -> int:
        """Largest file that is read, in bytes."""
        return self.analysis_max_file_mb * 1024**2
