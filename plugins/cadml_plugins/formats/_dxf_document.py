"""From an open DXF to the CadDocument."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from cadml_core import BoundingBox, CadDocument, CadmlError, MalformedFile, ReadLimits
from cadml_plugins.formats._dxf_census import GEOMETRY, Blocks, Census
from cadml_plugins.formats._dxf_load import PARSER_FAILURES, audit, load, refuse_foreign
from cadml_plugins.formats._dxf_names import code_page
from cadml_plugins.formats._dxf_units import UNITS

_MOST_LAYERS = 10_000
_TEXT_SAMPLE = 2000


def read_document(path: Path, limits: ReadLimits) -> CadDocument:
    """Read a DXF; the errors are those of ``DxfAdapter.read``."""
    with path.open("rb") as file:
        refuse_foreign(file.read(4096))
    try:
        return _read_in_memory(path, limits)
    except CadmlError:
        raise
    except PARSER_FAILURES as error:
        raise MalformedFile(
            f"a part of the DXF cannot be understood ({type(error).__name__}: {error})"
        ) from error


def _read_in_memory(path: Path, limits: ReadLimits) -> CadDocument:
    loaded = load(path)
    blocks = Blocks(loaded.document, limits)
    census = Census(blocks)
    for entity in loaded.document.modelspace():
        if entity.is_alive:
            census.add(entity)
    findings = [*loaded.findings, *blocks.warnings]
    return summarise(
        loaded.document,
        census,
        insunits=loaded.insunits,
        texts=_texts(loaded.document),
        paper_entities=_paper_entities(loaded.document),
        findings=findings if loaded.recovered else [*findings, *audit(loaded.document)],
        properties={"repaired": loaded.recovered},
    )


def summarise(
    document: Any,
    census: Census,
    *,
    insunits: int,
    texts: list[str],
    paper_entities: int,
    findings: list[str],
    properties: dict[str, str | int | float | bool],
) -> CadDocument:
    """Put a document together.

    Args:
        document: The ezdxf document; its header and tables are what matters here.
        census: The entities of the model.
        insunits: The drawing units as the file states them, 0 where it does not.
        texts: Texts that help to recognise the encoding.
        paper_entities: How many entities lie in paper space.
        findings: Sentences about the file so far.
        properties: What is known so far.
    """
    unit = UNITS.get(insunits)
    box, warnings = _bounding_box(census, unit.millimetres if unit else 1.0)
    if unit is None:
        warnings.append("the drawing states no unit ($INSUNITS); millimetres are assumed")
    if paper_entities:
        warnings.append(f"{paper_entities:,} entities in paper space (sheets) are not counted")
    layer_names = {layer.dxf.name for layer in document.layers} | census.layers
    version = document.loaded_dxfversion or document.dxfversion
    page = code_page("utf-8" if version >= "AC1021" else document.encoding, [*layer_names, *texts])
    if page.lies:
        warnings.append(f"the text is {page.actual}, though the file declares {page.declared}")
    layers = sorted({page.readable(name) for name in layer_names})
    if len(layers) > _MOST_LAYERS:
        warnings.append(f"only {_MOST_LAYERS:,} of {len(layers):,} layers are listed")
    return CadDocument(
        format="dxf",
        entity_counts=dict(sorted(census.kinds.items())),
        surface_count=sum(number for kind, number in census.kinds.items() if kind in GEOMETRY),
        solid_count=census.measures["solids"],
        shell_count=census.measures["shells"],
        facet_count=census.measures["facets"],
        layers=tuple(layers[:_MOST_LAYERS]),
        bounding_box=box,
        unit=unit.name if unit else None,
        properties={"dxf_version": version, "encoding": page.actual, **properties, **_extras(census)},
        warnings=(*warnings, *(page.readable(finding) for finding in findings)),
    )


def _bounding_box(census: Census, millimetres: float) -> tuple[BoundingBox | None, list[str]]:
    extent = census.extent()
    if extent is None:
        return None, ["the model space holds no geometry"]
    warnings = []
    strays = int(extent.stray.sum()) + census.measures["strays"]
    if strays:
        warnings.append(
            f"{strays:,} entities lie absurdly far from the rest; the bounding box leaves them out"
        )
    low, high = extent.low * millimetres, extent.high * millimetres
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise MalformedFile("the extents of the drawing exceed what a number can hold")
    if not census.has_geometry:
        warnings.append("the drawing holds annotations only; the bounding box is that of their positions")
    return BoundingBox(tuple(low.tolist()), tuple(high.tolist())), warnings


def _extras(census: Census) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {"block_depth": census.height}
    if census.measures["acis_faces"]:
        found["acis_faces"] = census.measures["acis_faces"]
    return found


def _paper_entities(document: Any) -> int:
    """Count what lies on sheets; every sheet has a viewport of its own, which is no content."""
    sheets = [layout for layout in document.layouts if not layout.is_modelspace]
    return sum(entity.dxftype() != "VIEWPORT" for sheet in sheets for entity in sheet)


def _texts(document: Any) -> list[str]:
    """Return a sample of the words in a document: block names and texts."""
    names = (block.name for block in document.blocks)
    return list(islice(chain(names, _written(document)), _TEXT_SAMPLE))


def _written(document: Any) -> Iterator[str]:
    for entity in document.modelspace():
        kind = entity.dxftype()
        if kind == "TEXT":
            yield str(entity.dxf.get("text", ""))
        elif kind == "MTEXT":
            yield str(entity.text)
