"""The public surface: everything a plugin may import, and all that ``cadml.v1`` promises."""

from cadml_core.contracts.features import LARGEST_VALUE, FeatureVersion, Metric, PlacedVersion, RefinedVersion
from cadml_core.contracts.formats import FormatAdapter, LengthUnit, MeshRequest, ReadLimits
from cadml_core.contracts.host import HostCommand, HostRoutes
from cadml_core.contracts.pictures import PictureMaker, PictureRequest
from cadml_core.contracts.policies import (
    Call,
    ConfigurablePolicy,
    Finding,
    GlobalReference,
    Made,
    OpcodePolicy,
    PickleScan,
    Shape,
    Verdict,
)
from cadml_core.contracts.vectors import DurableIndex, Hits, IndexKey, VectorBackend, VectorIndex
from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.documents.boundary import CURVE_KINDS, SURFACE_KINDS, Boundary
from cadml_core.documents.document import BoundingBox, CadDocument, FacetQuality, MassProperties, TriangleMesh
from cadml_core.documents.drawn import PNG, SVG, Picture
from cadml_core.documents.feature_list import EDGE_CODES, FACE_CODES, MOST_FEATURES, VERTEX, FeatureList
from cadml_core.documents.features import FeatureSlot, FeatureVector, convert_by_name
from cadml_core.documents.invariants import MOST_BODIES, BodyInvariants, Invariants, chirality
from cadml_core.documents.view import View
from cadml_core.errors import (
    CadmlError,
    DimensionMismatch,
    EmptyDocument,
    FormatMismatch,
    InvalidSetting,
    LimitExceeded,
    MalformedFile,
    UnreadableInput,
    UnsupportedContent,
)
from cadml_core.plugins.hookspecs import hookimpl
from cadml_core.printable import printable

__all__ = [
    "CURVE_KINDS",
    "EDGE_CODES",
    "FACE_CODES",
    "LARGEST_VALUE",
    "MOST_BODIES",
    "MOST_FEATURES",
    "PNG",
    "SURFACE_KINDS",
    "SVG",
    "VERTEX",
    "BodyInvariants",
    "Boundary",
    "BoundingBox",
    "CadDocument",
    "CadmlError",
    "Call",
    "ConfigurablePolicy",
    "DimensionMismatch",
    "DurableIndex",
    "EmptyDocument",
    "FacetQuality",
    "FeatureList",
    "FeatureSlot",
    "FeatureVector",
    "FeatureVersion",
    "Finding",
    "FloatMatrix",
    "FloatVector",
    "FormatAdapter",
    "FormatMismatch",
    "GlobalReference",
    "Hits",
    "HostCommand",
    "HostRoutes",
    "IndexKey",
    "Int64Array",
    "InvalidSetting",
    "Invariants",
    "LengthUnit",
    "LimitExceeded",
    "Made",
    "MalformedFile",
    "MassProperties",
    "MeshRequest",
    "Metric",
    "OpcodePolicy",
    "PickleScan",
    "Picture",
    "PictureMaker",
    "PictureRequest",
    "PlacedVersion",
    "ReadLimits",
    "RefinedVersion",
    "Shape",
    "TriangleMesh",
    "UnreadableInput",
    "UnsupportedContent",
    "VectorBackend",
    "VectorIndex",
    "Verdict",
    "View",
    "chirality",
    "convert_by_name",
    "hookimpl",
    "printable",
]
