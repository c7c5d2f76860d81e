"""The conformance kit: one contract class per kind of plugin, to be inherited by its author's tests.

    from cadml_core.testing import FormatAdapterContract

    class TestMyFormat(FormatAdapterContract):
        @pytest.fixture
        def adapter(self): return MyAdapter()

        @pytest.fixture
        def sample(self, tmp_path): ...   # write a good file, return its path

pytest collects the inherited tests. ``pip install cadml[testing]`` brings pytest.
"""

import pytest

pytest.register_assert_rewrite(
    "cadml_core.testing.durable_indexes",
    "cadml_core.testing.feature_versions",
    "cadml_core.testing.format_adapters",
    "cadml_core.testing.opcode_policies",
    "cadml_core.testing.picture_makers",
    "cadml_core.testing.vector_backends",
)

from cadml_core.testing.durable_indexes import DurableIndexContract  # noqa: E402
from cadml_core.testing.feature_versions import FeatureVersionContract  # noqa: E402
from cadml_core.testing.format_adapters import FormatAdapterContract  # noqa: E402
from cadml_core.testing.opcode_policies import OpcodePolicyContract  # noqa: E402
from cadml_core.testing.picture_makers import PictureMakerContract  # noqa: E402
from cadml_core.testing.vector_backends import VectorBackendContract  # noqa: E402

__all__ = [
    "DurableIndexContract",
    "FeatureVersionContract",
    "FormatAdapterContract",
    "OpcodePolicyContract",
    "PictureMakerContract",
    "VectorBackendContract",
]
