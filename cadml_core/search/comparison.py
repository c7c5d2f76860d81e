"""What one file or stored part is to another, with the meshes read again where they decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cadml_core.catalog.feature_lists import feature_lists
from cadml_core.catalog.paths import path_to_text
from cadml_core.catalog.records import Content
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.formats import MeshRequest, UnitName
from cadml_core.documents.document import TriangleMesh
from cadml_core.documents.feature_list import decode_features
from cadml_core.documents.meshes import unpack_mesh
from cadml_core.errors import CadmlError, NotFound
from cadml_core.intake.intake import Intake
from cadml_core.intake.originals import Original, locate
from cadml_core.relations.relate import relate
from cadml_core.relations.relation import Relation, Subject
from cadml_core.relations.verify import DEFLECTION, needs_meshes, verify

MESH = MeshRequest(relative_deflection=DEFLECTION, max_triangles=400_000)
"""The mesh by which parts are compared."""


class Comparable(msgspec.Struct, frozen=True):
    """A file or stored part with what a comparison needs."""

    name: str
    subject: Subject
    originals: tuple[Original, ...]
    """Where its mesh can be read from again; one at least."""
    unit: UnitName | None = None
    """What the sender has said of a file that states no unit."""


def comparable(intake: Intake, query: str) -> Comparable:
    """Take a file, or the part with this id; stores nothing.

    Raises:
        NotFound: It is neither.
        CadmlError: As ``Intake.take``.
    """
    path = Path(query)
    if path.is_file():
        content = intake.take(path, ()).content
        return _comparable(intake, path.name, content, path_to_text(path.absolute()))
    if not intake.catalog.parts_by_id([query]):
        raise NotFound(f"{query!r} is neither a file nor the id of a part", stage="compare", id=query)
    return stored(intake, query)


def stored(intake: Intake, part_id: str) -> Comparable:
    """Take the part with this id.

    Raises:
        NotFound: There is none, or it was registered without a file.
    """
    part = intake.catalog.part(part_id)
    if part.sha256 is None:
        raise NotFound(
            f"part {part_id!r} was registered without a file, so there is nothing to compare",
            stage="compare",
            id=part_id,
        )
    return _comparable(intake, part.name, intake.catalog.contents([part.sha256])[part.sha256], part.path)


def _comparable(intake: Intake, name: str, content: Content, path: str | None) -> Comparable:
    return comparable_content(name, subject_of(intake.catalog, content), content, [path])


def comparable_content(
    name: str, subject: Subject, content: Content, paths: Sequence[str | None]
) -> Comparable:
    """Return a stored content that may be read again at one of these paths, or where uploads are kept."""
    originals = tuple(Original(content.sha256, content.format, path) for path in paths or [None])
    return Comparable(name, subject, originals, content.unit)


def subject_of(catalog: Catalog, content: Content) -> Subject:
    """Return what a content is compared by; its features are looked up where it does not carry them."""
    if content.features:
        return Subject(content.sha256, content.document, decode_features(content.features))
    features = feature_lists(catalog, [content.sha256]).get(content.sha256)
    return Subject(content.sha256, content.document, features)


def compare(intake: Intake, a: Comparable, b: Comparable, *, check_meshes: bool = True) -> Relation:
    """Say what the second part is to the first.

    Args:
        intake: Reads meshes again, where there are files to read.
        a: The first part.
        b: The second part.
        check_meshes: Whether to read meshes where only they can decide; takes about a second.
    """
    found = relate(a.subject, b.subject)
    if not check_meshes or not needs_meshes(found):
        return found
    first, second = (mesh_of(intake, part) for part in (a, b))
    for part, mesh in ((a, first), (b, second)):
        if isinstance(mesh, str):
            return msgspec.structs.replace(found, reason=f"{found.reason}; {part.name}: {mesh}")
    assert not isinstance(first, str)
    assert not isinstance(second, str)
    return verify(found, a.subject, b.subject, first, second)


def mesh_of(intake: Intake, part: Comparable, request: MeshRequest = MESH) -> TriangleMesh | str:
    """Read a mesh from its file again; or say why there is none, in words that follow a part's name."""
    original = part.originals[0]
    located = locate(part.originals, intake.blobs, intake.formats)
    if isinstance(located, str):
        return located
    try:
        reading = intake.readers.read(located, (), adapter=original.format, unit=part.unit, mesh=request)
    except CadmlError as error:
        return f"its file cannot be read again ({error.code}): {error.message}"
    if reading.sha256 != original.sha256:
        return "its file has changed since: ingest it again"
    return unpack_mesh(reading.mesh) if reading.mesh else "its file holds no surface"
