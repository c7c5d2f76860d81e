"""STEP (ISO 10303-21: AP203, AP214, AP242 and their kin) through Open CASCADE."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cadml_core import CadDocument, FormatAdapter, LimitExceeded, ReadLimits, hookimpl
from cadml_plugins.formats.kernel import _part21

UNITS = {
    "mm": ("mm", "millimetre", "millimeter"),
    "cm": ("cm", "centimetre", "centimeter"),
    "km": ("km", "kilometre", "kilometer"),
    "µm": ("µm", "um", "micrometre", "micrometer", "micron"),
    "m": ("m", "metre", "meter"),
    "inch": ("inch", "inches", "in"),
    "foot": ("foot", "feet", "ft"),
    "mil": ("mil", "thou"),
}
"""Short names of the units, and what files and the kernel call them."""
_SHORT = {name: unit for unit, names in UNITS.items() for name in names}


class StepAdapter:
    """Reads parts and assemblies: exact geometry, or facets where a file holds nothing else."""

    name = "step"
    version = "5"
    suffixes: tuple[str, ...] = (".step", ".stp", ".p21")
    media_types: tuple[str, ...] = ("model/step", "application/step", "application/x-step")
    preload = ("cadml_plugins.formats.kernel._document",)

    def sniff(self, head: bytes) -> bool:
        """Tell whether the content begins with the part 21 marker, after blanks and comments."""
        return _part21.looks_like_step(head)

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read and measure a STEP file.

        Raises:
            MalformedFile: The file is truncated or damaged, or the kernel cannot build its shapes.
            LimitExceeded: A bound of ``limits`` was crossed.
            UnreadableInput: The file cannot be opened.
        """
        # Imported here, in the worker: loading the kernel takes a second and 235 MB.
        from cadml_plugins.formats.kernel import _document, _exchange

        data = _document.read_bytes(path)
        skeleton = _part21.read_skeleton(data)
        _check_limits(skeleton, limits)
        bare = data.removeprefix(codecs.BOM_UTF8)  # the kernel cannot read a byte order mark
        transfer = _exchange.read_step(path, bare if len(bare) < len(data) else None)
        unit, warnings = _unit(transfer.units)
        if skeleton.other_files:
            warnings.append(f"components in other files are not read: {', '.join(skeleton.other_files)}")
        shape = _document.transferred_shape(transfer, skeleton.faces, warnings)
        return _document.build(
            self.name,
            shape,
            limits,
            unit=unit,
            layers=skeleton.products,
            properties=dict(_properties(skeleton)),
            warnings=warnings,
            faces_expected=skeleton.faces,
        )


def _check_limits(skeleton: _part21.Skeleton, limits: ReadLimits) -> None:
    if skeleton.faces > limits.max_entities:
        raise LimitExceeded("max_entities", found=skeleton.faces, allowed=limits.max_entities)
    if skeleton.assembly_depth > limits.max_block_depth:
        raise LimitExceeded("max_block_depth", found=skeleton.assembly_depth, allowed=limits.max_block_depth)


def _unit(stated: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """Return the unit's short name, and what to say about none, several or one without a name."""
    units = {text: _unit_name(text) for text in stated}
    names = tuple(dict.fromkeys(name for name in units.values() if name))
    unknown = [text for text, name in units.items() if not name]
    warnings = [
        f"the file calls its unit of length {text!r}, which is no known one; it is converted to mm by the"
        " factor that the file states"
        for text in unknown
    ]
    if not stated:
        warnings.append("the file states no unit of length; millimetres are assumed")
    if len(names) > 1:
        warnings.append(f"the file mixes units ({', '.join(names)}); all are converted to mm")
    return names[0] if names else None, warnings


def _unit_name(text: str) -> str | None:
    """Return the short name of a unit; programs write words of their own around its name."""
    words = re.findall(r"[a-zµ]+", text.lower())
    return next((_SHORT[word] for word in reversed(words) if word in _SHORT), None)


def _properties(skeleton: _part21.Skeleton) -> Iterator[tuple[str, str | int]]:
    if skeleton.schema:
        yield "schema", skeleton.schema
    if skeleton.originating_system:
        yield "originating_system", skeleton.originating_system
    if skeleton.assembly_depth:
        yield "assembly_depth", skeleton.assembly_depth


@hookimpl
def cadml_format_adapters() -> Iterable[FormatAdapter]:
    """Register the STEP adapter."""
    return [StepAdapter()]
