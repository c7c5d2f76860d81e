"""Settings: defaults < cadml.toml < environment < arguments. The only reader of the environment."""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
import platformdirs
from msgspec import Meta

from cadml_core.contracts import ReadLimits
from cadml_core.errors import InvalidSetting

DATA_DIR_DEFAULT = platformdirs.user_data_dir("cadml", appauthor=False)


def _setting(description: str, env: str, key: str, *, secret: bool = False, **bounds: Any) -> Meta:
    return Meta(description=description, extra={"env": env, "key": key, "secret": secret}, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting with its type, bounds, environment name and key in ``cadml.toml``."""

    data_dir: Annotated[
        str, _setting("Where the catalogue, uploads and keys live.", "CADML_DATA_DIR", "data_dir")
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
        _setting("Entry points that are never imported.", "CADML_PLUGINS_DISABLE", "plugins.disable"),
    ] = ()
    plugins_prefer: Annotated[
        dict[str, str],
        _setting(
            "Which distribution wins where two plugins share a name: name = distribution"
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
    feature_cache_capacity: Annotated[
        int,
        _setting(
            "Feature vectors kept in memory.", "FEATURE_CACHE_CAPACITY", "cache.capacity", ge=1, le=10_000_000
        ),
    ] = 1000
    feature_cache_ttl_seconds: Annotated[
        int,
        _setting(
            "How long a cached vector lives; 0: for ever.",
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
    parse_timeout_seconds: Annotated[
        float,
        _setting(
            "Longest reading of one file.", "PARSE_TIMEOUT_SECONDS", "parse.timeout_seconds", gt=0, le=86_400
        ),
    ] = 60.0
    parse_memory_mb: Annotated[
        int,
        _setting(
            "Memory one reader process may take, in MiB.",
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
            "What whitelist mode allows beyond the built-in list: opcode names and exact"
            " `module:name` pairs.",
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
            "Most requests of one API key in a minute, over all server processes; 0: no limit.",
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
        return self.database_url or f"sqlite:///{self.data_path / 'catalogue.sqlite3'}"

    @property
    def model_path(self) -> Path:
        """The folder that models are loaded from."""
        return Path(self.model_dir).expanduser() if self.model_dir else self.data_path / "models"

    @property
    def worker_count(self) -> int:
        """How many reader processes to keep."""
        return self.parse_workers or os.cpu_count() or 1

    @property
    def read_limits(self) -> ReadLimits:
        """What one reading may cost."""
        return ReadLimits(
            max_bytes=self.analysis_max_file_mb * 1024**2,
            max_entities=self.parse_max_entities,
            max_triangles=self.parse_max_triangles,
            max_seconds=self.parse_timeout_seconds,
            max_memory_mb=self.parse_memory_mb,
        )


class SettingSpec(msgspec.Struct, frozen=True):
    """One row of the settings table."""

    field: str
    env: str
    key: str
    type: Any
    default: Any
    description: str
    allowed: str
    secret: bool


def setting_specs() -> tuple[SettingSpec, ...]:
    """Return the settings table, in the order of declaration."""
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    return tuple(
        _spec(field, hints[field], getattr(defaults, field))
        for field in Settings.__struct_fields__
        if field != "origins"
    )


def _spec(field: str, hint: Any, default: Any) -> SettingSpec:
    kind, meta = hint.__origin__, hint.__metadata__[0]
    return SettingSpec(
        field=field,
        env=meta.extra["env"],
        key=meta.extra["key"],
        type=hint,
        default=default,
        description=meta.description,
        allowed=_allowed(kind, meta),
        secret=meta.extra["secret"],
    )


def _allowed(kind: Any, meta: Meta) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    text = names.get(kind, "a comma-separated list" if kind == tuple[str, ...] else "a table")
    bounds = (
        ("from", meta.ge),
        ("above", meta.gt),
        ("up to", meta.le),
    )
    if meta.pattern is not None:
        return "one of " + ", ".join(meta.pattern.strip("^()$").split("|"))
    return " ".join([text, *(f"{word} {value:g}" for word, value in bounds if value is not None)])


def load_settings(
    arguments: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """Work out the settings.

    Args:
        arguments: Field name -> value; None values are passed over. These win.
        environ: The environment; the process's own where None. An empty value counts as unset.
        config: The TOML file; where None, ``CADML_CONFIG``, else ``cadml.toml`` in the working folder
            if there is one.

    Raises:
        InvalidSetting: A value is impossible, a key is unknown, or the file cannot be read. The
            message names the setting, the value, where it came from and what is allowed.
    """
    environ = os.environ if environ is None else environ
    specs = {spec.field: spec for spec in setting_specs()}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def take(field: str, value: Any, origin: str) -> None:
        values[field] = _convert(specs[field], value, origin)
        origins[field] = origin

    path = config or _config_path(environ)
    if path is not None:
        for field, value in _read_toml(path, specs).items():
            take(field, value, str(path))
    if environ.get("API_KEY"):
        take("api_keys", environ["API_KEY"], "environment API_KEY")
    for spec in specs.values():
        if environ.get(spec.env, "").strip():
            take(spec.field, environ[spec.env], f"environment {spec.env}")
    for field, value in (arguments or {}).items():
        if value is not None:
            take(field, value, "argument")
    return Settings(**values, origins=origins)


def _config_path(environ: Mapping[str, str]) -> Path | None:
    if named := environ.get("CADML_CONFIG"):
        return Path(named).expanduser()
    here = Path("cadml.toml")
    return here if here.is_file() else None


def _read_toml(path: Path, specs: Mapping[str, SettingSpec]) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"cannot read the settings file {path}: {error}", path=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidSetting(f"{path} is not valid TOML: {error}", path=str(path)) from error
    by_key = {spec.key: spec.field for spec in specs.values()}
    found: dict[str, Any] = {}
    for key, value in _flatten(data, frozenset(by_key)):
        if key not in by_key:
            close = difflib.get_close_matches(key, by_key, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(sorted(by_key))}"
            raise InvalidSetting(f"{path}: unknown key {key!r}{hint}", setting=key, path=str(path))
        found[by_key[key]] = value
    return found


def _flatten(table: Mapping[str, Any], known: frozenset[str], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key not in known:
            rows += _flatten(value, known, f"{key}.")
        else:
            rows.append((key, value))
    return rows


def _convert(spec: SettingSpec, value: Any, origin: str) -> Any:
    try:
        converted = msgspec.convert(_parsed(spec, value), spec.type, strict=False)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise _impossible(spec, value, origin) from error
    if isinstance(converted, float) and not math.isfinite(converted):
        raise _impossible(spec, value, origin)
    return converted


def _parsed(spec: SettingSpec, value: Any) -> Any:
    """Turn the text of an environment variable into what msgspec converts from."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if isinstance(spec.default, tuple):
        return [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(spec.default, dict):
        return value
    if value.startswith("{"):
        return msgspec.json.decode(value)
    return dict(pair.split("=", 1) if "=" in pair else (pair, None) for pair in value.split(","))


def _impossible(spec: SettingSpec, value: Any, origin: str) -> InvalidSetting:
    shown = "(hidden)" if spec.secret else value
    name = spec.env if origin.startswith("environment") else f"{spec.key} ({spec.env})"
    return InvalidSetting(
        f"{name} = {shown!r} from {origin} is not possible; allowed: {spec.allowed}",
        setting=spec.env,
        value=shown,
        origin=origin,
        allowed=spec.allowed,
    )
