"""The kernel's readers for exchange files: from a file to a shape in millimetres and a list of faults."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cadml_core import MalformedFile
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function, reason

_StepReader = kernel_class("STEPControl_Reader")
_IgesReader = kernel_class("IGESControl_Reader")
_Names = kernel_class("TColStd_SequenceOfAsciiString", "collections:Sequence_TCollection_AsciiString")
_start_iges = kernel_function("IGESControl_Controller", "Init")
_set_option = kernel_function("Interface_Static", "SetCVal")
_DONE = kernel_class("IFSelect_RetDone")


class Transfer(NamedTuple):
    """What the kernel's reader made of a file."""

    shape: Shape | None
    """None where no root became a shape. Lengths are millimetres."""
    missing: tuple[str, ...]
    """Names of the roots that could not be built."""
    faults: tuple[str, ...]
    """What could not be interpreted or built: the kernel's messages, each with its entity number."""
    units: tuple[str, ...] = ()
    """Length units that a STEP file states, as the kernel spells them."""


def read_step(path: Path, instead: bytes | None = None) -> Transfer:
    """Read a STEP file and transfer all its roots.

    Args:
        path: The file.
        instead: Content to read instead of the file's.

    Raises:
        MalformedFile: The kernel could not load the file, or threw.
    """
    with _guarded(), _kernel_name(path, instead) as name:
        reader = _StepReader()
        # Facets only where there is no exact shape for the same item.
        _set_option("read.step.tessellated", "OnNoBRep")
        _load(reader, name)
        lengths = _Names()
        reader.FileUnits(lengths, _Names(), _Names())
        units = tuple(lengths.Value(index).ToCString() for index in range(1, lengths.Length() + 1))
        return _transfer(reader)._replace(units=units)


def read_iges(path: Path, instead: bytes | None = None) -> Transfer:
    """Read an IGES file and transfer all its roots.

    Args:
        path: The file.
        instead: Content to read instead of the file's.

    Raises:
        MalformedFile: The kernel could not load the file, or threw.
    """
    with _guarded(), _kernel_name(path, instead) as name:
        _start_iges()
        reader = _IgesReader()
        _load(reader, name)
        return _transfer(reader)


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except Failure as error:
        raise MalformedFile(
            f"Open CASCADE cannot read the file: {reason(error)}", reason=reason(error)
        ) from error


@contextlib.contextmanager
def _kernel_name(path: Path, instead: bytes | None) -> Iterator[str]:
    """Yield a name that the kernel can open: it accepts valid UTF-8 only.

    Other content, and a file whose name is not UTF-8, is passed as an open file descriptor.
    """
    if instead is not None:
        with tempfile.TemporaryFile() as file:  # nameless: a crash leaves no file behind
            file.write(instead)
            file.seek(0)
            yield f"/dev/fd/{file.fileno()}"
    elif _is_utf8(os.fspath(path)):
        yield os.fspath(path)
    else:
        with path.open("rb") as file:
            yield f"/dev/fd/{file.fileno()}"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _load(reader: Any, name: str) -> None:
    # A setting of the whole process, which other code may have changed.
    _set_option("xstep.cascade.unit", "MM")
    if reader.ReadFile(name) != _DONE:
        raise MalformedFile(
            "Open CASCADE cannot load the file: its records are not well-formed; export it again",
            reason="syntax",
        )


def _transfer(reader: Any) -> Transfer:
    roots = [reader.RootForTransfer(number) for number in range(1, reader.NbRootsForTransfer() + 1)]
    complete = reader.TransferRoots() == len(roots)
    shape = reader.OneShape() if reader.NbShapes() else None
    session = reader.WS()
    # Faults of the records themselves, and of building shapes from them.
    checks = (session.ModelCheckList(False), session.TransferReader().LastCheckList())
    return Transfer(
        shape=None if shape is None or shape.IsNull() else shape,
        missing=()
        if complete
        else tuple(
            f"{_name(root)} (root {number})"
            for number, root in enumerate(roots, start=1)
            if not session.TransferReader().HasResult(root)
        ),
        faults=tuple(fault for check in checks for fault in _faults(check)),
    )


def _name(root: Any) -> str:
    """Return the product's name where the root is one, else the type of the entity."""
    try:
        name = root.Formation().OfProduct().Name().ToCString()
    except (AttributeError, UnicodeDecodeError):
        name = ""
    return name or type(root).__name__.rpartition("_")[2]


def _faults(checks: Any) -> Iterator[str]:
    checks.Start()
    while checks.More():
        check = checks.Value()
        if check.NbFails() and checks.Number():
            yield f"record {checks.Number()}: {_words(check)}"
        checks.Next()


def _words(check: Any) -> str:
    try:
        return str(check.CFail(1, True))
    except UnicodeDecodeError:  # it quotes the file, whose encoding is not known
        return "not readable"
