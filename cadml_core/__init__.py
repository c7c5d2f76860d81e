"""What a plugin author needs: the hook marker, the contracts, the document and the errors."""

from cadml_core.contracts import (
    DurableIndex,
    FeatureVersion,
    FormatAdapter,
    Hits,
    HostCommand,
    HostRoutes,
    MeshRequest,
    Metric,
    OpcodePolicy,
    ReadLimits,
    VectorBackend,
    VectorIndex,
)
from cadml_core.document import BoundingBox, CadDocument, FacetQuality, MassProperties, TriangleMesh
from cadml_core.errors import (
    CadmlError,
    DimensionMismatch,
    EmptyDocument,
    FormatMismatch,
    LimitExceeded,
    MalformedFile,
    UnsupportedContent,
)
from cadml_core.features import FeatureSlot, FeatureVector, convert_by_name
from cadml_core.hookspecs import hookimpl

__all__ = [
    "BoundingBox",
    "CadDocument",
    "CadmlError",
    "DimensionMismatch",
    "DurableIndex",
    "EmptyDocument",
    "FacetQuality",
    "FeatureSlot",
    "FeatureVector",
    "FeatureVersion",
    "FormatAdapter",
    "FormatMismatch",
    "Hits",
    "HostCommand",
    "HostRoutes",
    "LimitExceeded",
    "MalformedFile",
    "MassProperties",
    "MeshRequest",
    "Metric",
    "OpcodePolicy",
    "ReadLimits",
    "TriangleMesh",
    "UnsupportedContent",
    "VectorBackend",
    "VectorIndex",
    "convert_by_name",
    "hookimpl",
]
