"""Work out settings: defaults < cadml.toml < environment < arguments. The only environment reader."""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec import Meta

from cadml_core.errors import InvalidSetting
from cadml_core.settings.schema import Settings


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
    # A single key under its usual name; API_KEYS, read below, wins over it.
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
    # msgspec's bounds do not exclude NaN, as every comparison with it is false.
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
