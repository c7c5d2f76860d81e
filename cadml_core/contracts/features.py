"""Feature versions: named numbers of a document, and a space with a meaningful distance."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.documents.document import CadDocument
from cadml_core.documents.features import FeatureSlot

Metric = Literal["l2", "cosine"]
"""How an index compares embeddings: Euclidean distance, or cosine of the angle."""


@runtime_checkable
class FeatureVersion(Protocol):
    """Turns a document into named numbers, and those into a space with a meaningful distance."""

    name: str
    slots: tuple[FeatureSlot, ...]
    needs_mesh: bool
    """Whether ``extract`` works on the document's mesh. Meshes are not stored: such a version is computed
    when a file is read, and again from the file where another one is wanted; all others follow from the
    stored document summary."""
    metric: Metric

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values: float64 (len(slots),), finite, the same for the same document.

        Raises:
            UnsupportedContent: The version needs a mesh, and the document holds geometry without one.
        """

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, len(slots)) to float32 (n, e), row by row."""
