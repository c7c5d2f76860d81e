"""Settings come from defaults, the file, the environment and arguments, in rising order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cadml_core.errors import InvalidSetting
from cadml_core.settings import Settings, load_settings, setting_specs


def toml(folder: Path, text: str) -> Path:
    """Write a settings file."""
    path = folder / "cadml.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_source_beats_the_one_below(tmp_path: Path) -> None:
    """Default < file < environment < argument, and each value remembers where it came from."""
    path = toml(tmp_path, '[features]\nversion = "v1"\n[parse]\nworkers = 2\n[cache]\ncapacity = 50\n')
    environ = {"FEATURE_VERSION": "v2", "PARSE_WORKERS": "3"}
    settings = load_settings({"feature_version": "v4"}, environ=environ, config=path)
    assert (settings.feature_version, settings.parse_workers, settings.feature_cache_capacity) == (
        "v4",
        3,
        50,
    )
    assert settings.prewarm_max == 500
    assert settings.origins == {
        "feature_version": "argument",
        "parse_workers": "environment PARSE_WORKERS",
        "feature_cache_capacity": str(path),
    }


def test_arguments_that_are_none_are_passed_over() -> None:
    """An option that was not given changes nothing."""
    assert load_settings({"feature_version": None}, environ={}).feature_version == "v3"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARSE_WORKERS", "-1"),
        ("PARSE_WORKERS", "many"),
        ("PARSE_TIMEOUT_SECONDS", "0"),
        ("PARSE_TIMEOUT_SECONDS", "nan"),
        ("PARSE_TIMEOUT_SECONDS", "inf"),
        ("FAISS_RECOVERY_BACKOFF_MULTIPLIER", "0.5"),
        ("FEATURE_CACHE_CAPACITY", "1.5"),
        ("STRESS_STRICT", "perhaps"),
        ("CADML_PLUGINS_PREFER", "no-equals-sign"),
        ("CADML_VECTOR_CONFIG", "{broken"),
    ],
)
def test_an_impossible_value_names_itself(variable: str, value: str) -> None:
    """The refusal names the variable, the value and what is allowed."""
    with pytest.raises(InvalidSetting) as refusal:
        load_settings(environ={variable: value})
    assert variable in refusal.value.message
    assert value in refusal.value.message
    assert refusal.value.context["allowed"]


def test_secrets_are_not_repeated_in_errors(tmp_path: Path) -> None:
    """A secret of the wrong type is refused without being shown."""
    with pytest.raises(InvalidSetting) as refusal:
        load_settings(environ={}, config=toml(tmp_path, "[server]\nadmin_token = 987654321\n"))
    assert "987654321" not in refusal.value.message


def test_unknown_keys_suggest_the_known(tmp_path: Path) -> None:
    """A misspelt key is refused with the key that was probably meant."""
    with pytest.raises(InvalidSetting, match=r"parse\.workers"):
        load_settings(environ={}, config=toml(tmp_path, "[parse]\nworker = 2\n"))


@pytest.mark.parametrize("text", ["= 3", "\x00", "[a\n"])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    """TOML that does not parse names the file."""
    with pytest.raises(InvalidSetting, match=r"cadml\.toml"):
        load_settings(environ={}, config=toml(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file named by CADML_CONFIG must be there."""
    with pytest.raises(InvalidSetting, match="nowhere"):
        load_settings(environ={"CADML_CONFIG": str(tmp_path / "nowhere.toml")})


def test_lists_and_tables() -> None:
    """Comma lists are split and trimmed; tables come as pairs or JSON; empty means unset."""
    settings = load_settings(
        environ={
            "API_KEYS": " one, two ,,",
            "CADML_PLUGINS_PREFER": "off=cadml-off",
            "CADML_VECTOR_CONFIG": '{"faiss": {"x": 1}}',
            "FEATURE_VERSION": "  ",
        }
    )
    assert settings.api_keys == ("one", "two")
    assert settings.plugins_prefer == {"off": "cadml-off"}
    assert settings.vector_config == {"faiss": {"x": 1}}
    assert settings.feature_version == "v3"


def test_a_single_key_is_enough() -> None:
    """API_KEY gives one key; API_KEYS wins where both are set."""
    assert load_settings(environ={"API_KEY": "k"}).api_keys == ("k",)
    assert load_settings(environ={"API_KEY": "k", "API_KEYS": "a,b"}).api_keys == ("a", "b")


def test_vector_options_are_taken_whole_from_the_file(tmp_path: Path) -> None:
    """A backend's own table is passed on as it is."""
    path = toml(tmp_path, "[vectors.config.faiss]\nkind = 'flat'\n")
    assert load_settings(environ={}, config=path).vector_config == {"faiss": {"kind": "flat"}}


@pytest.mark.parametrize("attribute", ["env", "key", "field"])
def test_no_two_settings_share_a_name(attribute: str) -> None:
    """Each variable and each key means one thing."""
    names: list[Any] = [getattr(spec, attribute) for spec in setting_specs()]
    assert len(set(names)) == len(names)


def test_derived_values(tmp_path: Path) -> None:
    """Limits, folders and the database follow from the settings."""
    settings = Settings(data_dir=str(tmp_path), analysis_max_file_mb=3, parse_workers=5)
    assert settings.max_file_bytes == 3 * 1024**2
    assert settings.effective_database_url == f"sqlite:///{tmp_path}/catalogue.sqlite3"
    assert settings.model_path == tmp_path / "models"
    assert settings.worker_count == 5
