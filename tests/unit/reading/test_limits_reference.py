"""The reference page of limits against the code."""

from __future__ import annotations

from pathlib import Path

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import ERROR_CODES
from cadml_core.isolation.limits import GROWTH_ALLOWED, MAX_ANSWER, MAX_FILE, MIB
from cadml_core.isolation.worker import PEAK_ALLOWED
from cadml_core.reading.limits import read_limits
from cadml_core.settings import Settings, setting_specs

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "reference" / "limits.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| `")
]


def test_every_limit_is_documented_with_its_default() -> None:
    """The table has one row for each field, in order, with the value that the code has."""
    limits = ReadLimits()
    expected = [(f"`{field}`", str(getattr(limits, field))) for field in ReadLimits.__struct_fields__]
    assert [(row[0], row[2]) for row in ROWS] == expected


def test_the_settings_named_exist_and_change_their_limit() -> None:
    """A setting in the table is one, and its default is the limit's."""
    fields = {spec.env: spec.field for spec in setting_specs()}
    named = {row[0].strip("`"): row[1].strip("`") for row in ROWS if row[1]}
    assert (
        named.items() >= {"max_seconds": "PARSE_TIMEOUT_SECONDS", "max_memory_mb": "PARSE_MEMORY_MB"}.items()
    )
    for limit, env in named.items():
        default = getattr(Settings(), fields[env])
        changed = read_limits(Settings(**{fields[env]: default + 1}))
        assert getattr(changed, limit) != getattr(read_limits(Settings()), limit)


def test_codes_and_constants_are_those_of_the_code() -> None:
    """Error codes exist; the sizes in the text are the constants."""
    assert all(row[5].split("`")[1] in ERROR_CODES for row in ROWS)
    assert f"{MAX_ANSWER // MIB} MiB" in PAGE
    assert f"{MAX_FILE // (1024 * MIB)} GiB" in PAGE
    isolation = (DOCS / "explanation" / "isolation.md").read_text(encoding="utf-8")
    assert f"more than {GROWTH_ALLOWED // MIB} MiB" in isolation
    assert PEAK_ALLOWED == 0.5
    assert "half of its memory limit" in isolation
    assert f"larger than {MAX_ANSWER // MIB} MiB" in isolation


def test_the_limits_of_connections_are_those_of_the_settings() -> None:
    """Each row names settings with their defaults, and a code that there is."""
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in PAGE.partition("## Connections")[2].splitlines()
        if line.startswith("| ") and "`" in line
    ]
    specs = {spec.env: spec for spec in setting_specs()}
    assert len(rows) == 9
    for _, env, default, told in rows:
        assert float(default) == specs[env.strip("`")].default
        assert told.split("`")[1] in ERROR_CODES or "Connection: close" in told
