"""STEP (ISO 10303-21: AP203, AP214, AP242 and their kin) through Open CASCADE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cadml_core.contracts import FormatAdapter, ReadLimits
from cadml_core.document import CadDocument
from cadml_core.errors import LimitExceeded, MalformedFile
from cadml_core.hookspecs import hookimpl
from cadml_plugins.formats import _part21

if TYPE_CHECKING:
    from cadml_plugins.formats._exchange import Transfer

UNITS = {
    "millimetre": "mm",
    "centimetre": "cm",
    "metre": "m",
    "micrometre": "µm",
    "INCH": "inch",
    "FOOT": "foot",
}


class StepAdapter:
    """Reads parts and assemblies: exact geometry, or facets where a file holds nothing else."""

    name = "step"
    version = "1"
    suffixes: tuple[str, ...] = (".step", ".stp", ".p21")
    media_types: tuple[str, ...] = ("model/step", "application/step", "application/x-step")
    preload = ("cadml_plugins.formats._kernel_document",)

    def sniff(self, head: bytes) -> bool:
        """Tell whether the content begins with the part 21 marker, after blanks and comments."""
        return _part21.looks_like_step(head)

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read and measure a STEP file.

        Raises:
            MalformedFile: The file is cut off or damaged, or the kernel cannot build its shapes.
            LimitExceeded: A bound of ``limits`` was crossed.
            UnreadableInput: The file cannot be opened.
        """
        # Imported here, in the worker: loading the kernel takes a second and 235 MB.
        from cadml_plugins.formats import _exchange, _kernel_document

        skeleton = _part21.read_skeleton(_kernel_document.read_bytes(path, limits))
        _check_limits(skeleton, limits)
        transfer = _exchange.read_step(path)
        if transfer.shape is None and skeleton.faces:
            raise MalformedFile(
                f"no shape could be built of {skeleton.faces} faces: {_first(transfer.faults)}",
                reason="no shape",
            )
        unit, warnings = _unit(transfer.units)
        return _kernel_document.build(
            self.name,
            transfer.shape,
            limits,
            unit=unit,
            layers=skeleton.products,
            properties=dict(_properties(skeleton)),
            warnings=[*skeleton.warnings, *warnings, *_faults(transfer)],
            faces_expected=skeleton.faces,
        )


def _check_limits(skeleton: _part21.Skeleton, limits: ReadLimits) -> None:
    if skeleton.faces > limits.max_entities:
        raise LimitExceeded("max_entities", found=skeleton.faces, allowed=limits.max_entities)
    if skeleton.assembly_depth > limits.max_block_depth:
        raise LimitExceeded("max_block_depth", found=skeleton.assembly_depth, allowed=limits.max_block_depth)


def _first(faults: tuple[str, ...]) -> str:
    return faults[0] if faults else "the kernel gives no reason"


def _unit(units: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """Return the unit's short name, and what to say about none or several."""
    names = tuple(dict.fromkeys(UNITS.get(unit, unit) for unit in units))
    if not names:
        return None, ["the file states no unit of length; millimetres are assumed"]
    if len(names) > 1:
        return names[0], [f"the file mixes units ({', '.join(names)}); all are converted to mm"]
    return names[0], []


def _properties(skeleton: _part21.Skeleton) -> Iterator[tuple[str, str | int]]:
    if skeleton.schema:
        yield "schema", skeleton.schema
    if skeleton.originating_system:
        yield "originating_system", skeleton.originating_system
    if skeleton.assembly_depth:
        yield "assembly_depth", skeleton.assembly_depth


def _faults(transfer: Transfer) -> Iterator[str]:
    if transfer.transferred < transfer.roots:
        yield f"{transfer.roots - transfer.transferred} of {transfer.roots} roots could not be built"
    if transfer.faults:
        yield f"{len(transfer.faults)} records could not be interpreted, the first: {transfer.faults[0]}"


@hookimpl
def cadml_format_adapters() -> Iterable[FormatAdapter]:
    """Register the STEP adapter."""
    return [StepAdapter()]
