"""IGES (versions 4 to 5.3, ASCII) through Open CASCADE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from cadml_core import CadDocument, FormatAdapter, LimitExceeded, ReadLimits, hookimpl
from cadml_plugins.formats.kernel import _iges_sections


class IgesAdapter:
    """Reads solids, surfaces and curves; sews surfaces into solids and names elementary ones."""

    name = "iges"
    version = "5"
    suffixes: tuple[str, ...] = (".iges", ".igs")
    media_types: tuple[str, ...] = ("model/iges", "application/iges")
    preload = ("cadml_plugins.formats.kernel._document",)

    def sniff(self, head: bytes) -> bool:
        """Tell whether the first line ends with the mark of the Start section, S and the number 1."""
        return _iges_sections.looks_like_iges(head)

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read and measure an IGES file.

        Raises:
            MalformedFile: The file is truncated or damaged, or the kernel cannot build its shapes.
            UnsupportedContent: It is in the binary or the compressed form.
            LimitExceeded: A bound of ``limits`` was crossed.
            UnreadableInput: The file cannot be opened.
        """
        # Imported here, in the worker: loading the kernel takes a second and 235 MB.
        from cadml_plugins.formats.kernel import _document, _exchange

        data = _document.read_bytes(path)
        sections = _iges_sections.read_sections(data)
        if sections.faces > limits.max_entities:
            raise LimitExceeded("max_entities", found=sections.faces, allowed=limits.max_entities)
        transfer = _exchange.read_iges(path, _iges_sections.for_kernel(data, sections))
        warnings = list(sections.warnings)
        if sections.unit is None and (name := sections.text(15)):
            warnings.append(
                f"the file calls its unit of length {name!r}, which is no known one; millimetres are assumed"
            )
        elif sections.unit is None:
            warnings.append("the file states no unit of length; inches are assumed, as the standard says")
        shape = _document.transferred_shape(transfer, sections.faces, warnings)
        return _document.build(
            self.name,
            shape,
            limits,
            unit=sections.unit,
            layers=sections.levels,
            properties=dict(_properties(sections)),
            warnings=warnings,
            faces_expected=sections.faces,
        )


def _properties(sections: _iges_sections.Sections) -> Iterator[tuple[str, str]]:
    for name, number in (("product", 3), ("originating_system", 5), ("preprocessor", 6)):
        if value := sections.text(number):
            yield name, value


@hookimpl
def cadml_format_adapters() -> Iterable[FormatAdapter]:
    """Register the IGES adapter."""
    return [IgesAdapter()]
