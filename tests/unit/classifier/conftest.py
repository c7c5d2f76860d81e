"""Policies as installed, and folders with model files."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cadml_core.classifier.registry import ModelRegistry
from cadml_core.contracts.features import Metric
from cadml_core.contracts.policies import OpcodePolicy
from cadml_core.documents.features import FeatureSlot
from cadml_core.settings import Settings
from cadml_plugins.policies.audit import Audit
from cadml_plugins.policies.blacklist import Blacklist
from cadml_plugins.policies.whitelist import Whitelist
from tests.unit.classifier.tiny import Constant

MakeRegistry = Callable[..., ModelRegistry]


class PlainFeatures:
    """A feature version whose embedding has one number more than its values."""

    needs_mesh = False
    metric: Metric = "l2"

    def __init__(self, name: str, length: int) -> None:
        self.name = name
        self.slots = tuple(
            FeatureSlot(f"s{index}", "geometric", name, "1", "a number") for index in range(length)
        )

    def extract(self, document: Any) -> Any:
        """Not asked for here."""
        raise NotImplementedError

    def embed(self, values: Any) -> Any:
        """Return the values and their sum."""
        return np.column_stack([values, np.sum(values, axis=1)]).astype(np.float32)


@pytest.fixture
def policies() -> Mapping[str, OpcodePolicy]:
    """The three built-in policies."""
    return {policy.name: policy for policy in (Audit(), Blacklist(), Whitelist())}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A model folder with one good model, ``good.pkl``."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "good.pkl").write_bytes(pickle.dumps(Constant("bolt")))
    return folder


@pytest.fixture
def registry_of(models: Path, policies: Mapping[str, OpcodePolicy]) -> Iterator[MakeRegistry]:
    """Make a registry over the model folder; keywords are settings, or arguments of the registry."""

    def make(**options: Any) -> ModelRegistry:
        names = ("audit", "clock", "choices", "samples")
        own = {name: options.pop(name) for name in names if name in options}
        options.setdefault("model_opcode_whitelist", ("tests.*",))
        settings = Settings(model_dir=str(models), **options)
        features = {version.name: version for version in (PlainFeatures("v3", 22), PlainFeatures("v4", 24))}
        made.append(ModelRegistry(settings, policies, features, **own))
        return made[-1]

    made: list[ModelRegistry] = []
    yield make
    for registry in made:
        registry.close()
