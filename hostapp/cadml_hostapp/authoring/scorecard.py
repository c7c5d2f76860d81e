"""What an installed plugin is worth: its contract, what damaged files do to it, and its speed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from cadml_core.errors import InvalidSetting, PluginUnavailable
from cadml_core.plugins.loader import load_plugins
from cadml_core.settings import load_settings
from cadml_hostapp.authoring import contract, robustness, speed
from cadml_hostapp.authoring.subjects import record_of

Outcome = Literal["passed", "failed", "skipped"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was tried."""

    area: Literal["contract", "robustness", "speed"]
    subject: str
    """Name of the object that the plugin registered."""
    name: str
    outcome: Outcome
    detail: str = ""
    """Why it failed or was skipped, or what was measured."""


class Scorecard(msgspec.Struct, frozen=True):
    """Everything that was tried on one plugin."""

    plugin: str
    distribution: str
    version: str
    provides: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return sum(check.outcome == "failed" for check in self.checks)


def score(name: str, sample: Path | None = None) -> Scorecard:
    """Try everything that there is a check for.

    Args:
        name: The plugin's entry point or distribution.
        sample: A good file, for a plugin that reads a format.

    Raises:
        NotFound: No such plugin is installed.
        PluginUnavailable: It is installed, but was not loaded.
        InvalidSetting: pytest is not installed, or the sample is not there.
    """
    record = record_of(load_plugins(load_settings()), name)
    if record.status != "loaded":
        raise PluginUnavailable(
            f"the plugin {record.name} is {record.status}: {record.error}. See `cadml plugins doctor`.",
            name=record.name,
        )
    if sample is not None and not sample.is_file():
        raise InvalidSetting(f"{sample} is not a file", stage="plugins")
    checks = (*contract.checks(record, sample), *robustness.checks(record, sample), *speed.checks(record))
    return Scorecard(record.name, record.distribution, record.version, record.provides, checks)
