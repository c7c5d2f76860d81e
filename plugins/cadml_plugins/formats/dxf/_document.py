"""From an open DXF to the CadDocument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from cadml_core import (
    BoundingBox,
    CadDocument,
    CadmlError,
    LengthUnit,
    MalformedFile,
    MeshRequest,
    ReadLimits,
)
from cadml_plugins.formats.dxf._ascii import AsciiSource
from cadml_plugins.formats.dxf._binary import BinarySource
from cadml_plugins.formats.dxf._census import Blocks, Census
from cadml_plugins.formats.dxf._code_page import code_page
from cadml_plugins.formats.dxf._kinds import GEOMETRY
from cadml_plugins.formats.dxf._load import (
    PARSER_FAILURES,
    Loaded,
    audit,
    load,
    unquoted,
)
from cadml_plugins.formats.dxf._mesh import triangle_mesh
from cadml_plugins.formats.dxf._signature import BINARY_SENTINEL, refuse_foreign
from cadml_plugins.formats.dxf._stream import NotStreamable, Source, StreamedModel
from cadml_plugins.formats.dxf._units import UNITS
from cadml_plugins.formats.dxf._view import DrawingView

STREAM_BYTES = 4 * 1024**2
"""From this size on a file is streamed; below, it is opened whole and audited."""
_MOST_LAYERS = 10_000
_LONGEST_NAME = 255
_FURTHEST = 1e100
"""In millimetres. Beyond it, volumes and moments would overflow."""
_TEXT_SAMPLE = 2000
"""Names and texts that are looked at to recognise the encoding."""


def read_document(path: Path, limits: ReadLimits) -> CadDocument:
    """Read a DXF; the errors are those of ``DxfAdapter.read``."""
    with path.open("rb") as file:
        refuse_foreign(file.read(4096))
    try:
        # A mesh needs the whole document, with the entities of its faces.
        large = path.stat().st_size >= STREAM_BYTES and limits.mesh is None
        if large and (document := read_streamed(path, limits)):
            return document
        return _read_whole(path, limits)
    except CadmlError:
        raise
    except PARSER_FAILURES as error:
        reason = unquoted(f"{type(error).__name__}: {error}")
        raise MalformedFile(f"a part of the DXF cannot be interpreted ({reason})") from error


def _read_whole(path: Path, limits: ReadLimits) -> CadDocument:
    """Read in memory; a file that cannot be opened so is read as a stream that tolerates single faults."""
    try:
        loaded = load(path)
    except MalformedFile:
        document = read_streamed(path, limits, tolerant=True)
        # Nothing was recovered, so the reason why the document could not be opened is the better answer.
        if document is None or document.empty:
            raise
        return document
    return read_in_memory(loaded, limits)


def read_in_memory(loaded: Loaded, limits: ReadLimits) -> CadDocument:
    """Read from a whole ezdxf document, and audit it."""
    blocks = Blocks(loaded.document, limits)
    census = Census(blocks)
    for entity in loaded.document.modelspace():
        if entity.is_alive:
            census.add(entity)
    texts, paper_entities = _texts(loaded.document), _paper_entities(loaded.document)
    findings = [*loaded.findings, *blocks.warnings]
    # Recovery has audited the document already. Here the audit comes last, as it changes what it finds.
    if not loaded.recovered:
        findings += audit(loaded.document)
    return summarise(
        loaded,
        census,
        texts=texts,
        paper_entities=paper_entities,
        findings=findings,
        properties={"repaired": loaded.recovered},
        stated=limits.unit,
        mesh=limits.mesh,
        view=limits.view,
    )


def read_streamed(path: Path, limits: ReadLimits, *, tolerant: bool = False) -> CadDocument | None:
    """Read with little memory; None where the file is not regular enough for that.

    Where ``tolerant``, entities that cannot be interpreted are placed by their points, with a warning.
    """
    with path.open("rb") as file:
        binary = file.read(len(BINARY_SENTINEL)) == BINARY_SENTINEL
        try:
            source: Source = BinarySource(path, file) if binary else AsciiSource(path, file)
            loaded = source.open_rest()
            blocks = Blocks(loaded.document, limits)
            census = Census(blocks)
            for entity in loaded.document.modelspace():
                census.add(entity)
            model = StreamedModel(source, loaded, census, tolerant=tolerant)
            model.count()
        except CadmlError:
            raise
        except (NotStreamable, *PARSER_FAILURES):
            return None
    return summarise(
        loaded,
        census,
        texts=[*_texts(loaded.document), *model.measures.texts],
        paper_entities=_paper_entities(loaded.document) + model.measures.paper_entities,
        findings=[*loaded.findings, *blocks.warnings, *model.warnings],
        properties={"repaired": False, "streamed": True},
        stated=limits.unit,
    )


def summarise(
    loaded: Loaded,
    census: Census,
    *,
    texts: list[str],
    paper_entities: int,
    findings: list[str],
    properties: dict[str, str | int | float | bool],
    stated: LengthUnit | None,
    mesh: MeshRequest | None = None,
    view: bool = False,
) -> CadDocument:
    """Return the document.

    Args:
        loaded: The ezdxf document, of which header and tables are used.
        census: The entities of the model.
        texts: Texts that help to recognise the encoding.
        paper_entities: How many entities lie in paper space.
        findings: Warnings so far.
        properties: Properties so far.
        stated: What the sender says of the unit; counts where the drawing states none.
        mesh: The mesh that is wanted; the ezdxf document must have its entities.
        view: Whether the document will be drawn; the same holds.
    """
    unit = UNITS.get(loaded.insunits) or stated
    millimetres = unit.millimetres if unit else 1.0
    box, warnings = _bounding_box(census, millimetres)
    if unit is None:
        warnings.append("the drawing states no unit ($INSUNITS); millimetres are assumed")
    if paper_entities:
        warnings.append(f"{paper_entities:,} entities in paper space (sheets) are not counted")
    layer_names = {layer.dxf.name for layer in loaded.document.layers} | census.layers
    page = code_page(loaded.encoding, [*layer_names, *texts])
    if page.wrong:
        warnings.append(f"the text is {page.actual}, though the file declares {page.declared}")
    layers = sorted({page.readable(name)[:_LONGEST_NAME] for name in layer_names})
    if len(layers) > _MOST_LAYERS:
        warnings.append(f"only {_MOST_LAYERS:,} of {len(layers):,} layers are listed")
    return CadDocument(
        format="dxf",
        entity_counts=_counts(census),
        surface_count=sum(number for kind, number in census.kinds.items() if kind in GEOMETRY),
        solid_count=census.measures["solids"],
        shell_count=census.measures["shells"],
        facet_count=census.measures["facets"],
        layers=tuple(layers[:_MOST_LAYERS]),
        bounding_box=box,
        unit=unit.name if unit else None,
        properties={"dxf_version": loaded.version, "encoding": page.actual, **properties, **_extras(census)},
        warnings=(*warnings, *(page.readable(finding) for finding in findings)),
        mesh=triangle_mesh(loaded.document, millimetres, mesh.max_triangles)
        if mesh and census.measures["facets"]
        else None,
        view=DrawingView(
            loaded.document, millimetres, max(box.extents) / millimetres, census.measures["facets"]
        )
        if view and box
        else None,
    )


def _counts(census: Census) -> dict[str, int]:
    """Return the kinds by name. Damaged files have names that are not ASCII; these are made storable."""
    counts: Counter[str] = Counter()
    for kind, number in sorted(census.kinds.items()):
        counts[kind.encode("ascii", "replace").decode("ascii")[:_LONGEST_NAME]] += number
    return dict(counts)


def _bounding_box(census: Census, millimetres: float) -> tuple[BoundingBox | None, list[str]]:
    extent = census.extent()
    if extent is None:
        return None, ["the model space holds no geometry"]
    warnings = []
    strays = int(extent.stray.sum()) + census.measures["strays"]
    if strays:
        warnings.append(
            f"{strays:,} entities lie extremely far from the rest; the bounding box leaves them out"
        )
    with np.errstate(over="ignore"):
        low, high = extent.low * millimetres, extent.high * millimetres
    if max(-low.min(), high.max()) > _FURTHEST:
        raise MalformedFile(f"the drawing extends further than {_FURTHEST:g} mm; its coordinates are wrong")
    if not census.has_geometry:
        warnings.append(
            "the drawing holds only annotations or endless lines; the bounding box is that of their positions"
        )
    return BoundingBox(tuple(low.tolist()), tuple(high.tolist())), warnings


def _extras(census: Census) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {"block_depth": census.height}
    if census.measures["acis_faces"]:
        found["acis_faces"] = census.measures["acis_faces"]
    return found


def _paper_entities(document: Any) -> int:
    """Count what lies on sheets. Every sheet has a viewport of its own, which is not content."""
    sheets = [block for block in document.blocks if block.name.casefold().startswith("*paper_space")]
    return sum(entity.dxftype() != "VIEWPORT" for sheet in sheets for entity in sheet)


def _texts(document: Any) -> list[str]:
    """Return a sample of the words in a document: block names and texts."""
    names = (block.name for block in document.blocks)
    return list(islice(chain(names, _model_texts(document)), _TEXT_SAMPLE))


def _model_texts(document: Any) -> Iterator[str]:
    for entity in document.modelspace():
        kind = entity.dxftype()
        if kind == "TEXT":
            yield str(entity.dxf.get("text", ""))
        elif kind == "MTEXT":
            yield str(entity.text)
