"""Every built-in feature version, vector backend and policy keeps the contract of its kind."""

from __future__ import annotations

import pytest

from cadml_core import FeatureVersion, OpcodePolicy, PictureMaker, VectorBackend
from cadml_core.plugins.loader import load_plugins
from cadml_core.settings import Settings
from cadml_core.testing import (
    FeatureVersionContract,
    OpcodePolicyContract,
    PictureMakerContract,
    VectorBackendContract,
)

REGISTRY = load_plugins(Settings(safe_mode=True)).registry


@pytest.mark.parametrize("name", REGISTRY.features)
class TestFeatureVersions(FeatureVersionContract):
    """v1 to v4, and shape."""

    @pytest.fixture
    def version(self, name: str) -> FeatureVersion:
        """The version of that name."""
        return REGISTRY.features[name]


@pytest.mark.parametrize("name", REGISTRY.vectors)
class TestVectorBackends(VectorBackendContract):
    """memory and faiss."""

    @pytest.fixture
    def backend(self, name: str) -> VectorBackend:
        """The backend of that name."""
        return REGISTRY.vectors[name]


@pytest.mark.parametrize("name", REGISTRY.policies)
class TestOpcodePolicies(OpcodePolicyContract):
    """blacklist, audit and whitelist."""

    @pytest.fixture
    def policy(self, name: str) -> OpcodePolicy:
        """The policy of that name."""
        return REGISTRY.policies[name]


@pytest.mark.parametrize("name", REGISTRY.pictures)
class TestPictureMakers(PictureMakerContract):
    """step, iges, stl, dxf and any."""

    @pytest.fixture
    def maker(self, name: str) -> PictureMaker:
        """The maker of that name."""
        return REGISTRY.pictures[name]


def test_there_is_something_to_check() -> None:
    """An empty registry would make every test above vanish."""
    assert set(REGISTRY.features) == {"v1", "v2", "v3", "v4", "identity", "shape"}
    assert set(REGISTRY.vectors) == {"faiss", "memory"}
    assert set(REGISTRY.pictures) == {"any", "dxf", "iges", "step", "stl"}
    assert set(REGISTRY.policies) == {"audit", "blacklist", "whitelist"}
