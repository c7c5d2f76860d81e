"""Access to Open CASCADE: the only module that knows which binding is installed, OCP or pythonocc-core.

Both wrap the same kernel and differ in spelling: modules (``OCP.gp`` / ``OCC.Core.gp``), owners of static
methods (``BRepGProp`` / ``brepgprop``), their suffix (``Add_s`` / ``Add``), and the names of collections,
which also changed between kernels. Names are looked up here; what they name behaves the same. Importing this
module loads the kernel, which takes a second and 235 MB; import it in worker processes only.
"""

from __future__ import annotations

import importlib
from typing import Any

Shape = Any
"""A TopoDS_Shape of either binding; neither has type information."""


def _find_binding() -> str:
    for package in ("OCP", "OCC.Core"):
        try:
            importlib.import_module(f"{package}.gp")
        except ModuleNotFoundError:
            continue
        return package
    raise ModuleNotFoundError(
        "no Python binding of Open CASCADE: pip install cadquery-ocp-novtk, or conda install"
        " -c conda-forge pythonocc-core",
        name="OCP",
    )


BINDING = _find_binding()
"""``OCP`` or ``OCC.Core``."""


def kernel_class(*names: str) -> Any:
    """Return the first class or constant found.

    The module is the part of the name before its underscore, as everywhere in the kernel, unless it is given
    with a colon: ``collections:List_TopoDS_Shape``.

    Raises:
        ImportError: This build of the kernel has none of them.
    """
    for name in names:
        module, colon, member = name.partition(":")
        if not colon:
            module, member = name.partition("_")[0], name
        try:
            return getattr(importlib.import_module(f"{BINDING}.{module}"), member)
        except (ModuleNotFoundError, AttributeError):
            continue
    raise ImportError(f"this build of {BINDING} has none of {', '.join(names)}")


def kernel_function(owner: str, method: str) -> Any:
    """Return a static method: ``Owner.method_s`` in OCP, ``owner.method`` in pythonocc.

    Raises:
        ImportError: This build of the kernel has no such method.
    """
    module = importlib.import_module(f"{BINDING}.{owner.partition('_')[0]}")
    for name in (owner, owner.lower()):
        for spelling in (f"{method}_s", method):
            found = getattr(getattr(module, name, None), spelling, None)
            if found is not None:
                return found
    raise ImportError(f"this build of {BINDING} has no {owner}.{method}")


def _failures() -> tuple[type[Exception], ...]:
    """Return the kernel's exceptions. In OCP they do not derive from one another."""
    if BINDING != "OCP":
        return (RuntimeError,)
    names = "Standard StdFail gp Geom Geom2d GProp LProp BRepExtrema TopoDS Interface Transfer OSD math Units"
    found: list[type[Exception]] = [RuntimeError]
    for name in names.split():
        module = importlib.import_module(f"{BINDING}.{name}")
        found += [
            kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)
        ]
    return tuple(found)


Failure = _failures()
"""The exceptions that the binding raises where the kernel throws; for ``except``."""


def reason(error: BaseException) -> str:
    """Return the message of a kernel exception on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _silence() -> None:
    """Stop the kernel from writing to standard output, where the host expects answers only."""
    messenger = kernel_function("Message", "DefaultMessenger")()
    printer = kernel_class("Message_PrinterOStream")
    descriptor = getattr(printer, "get_type_descriptor_s", None) or printer.get_type_descriptor
    messenger.RemovePrinters(descriptor())


_silence()
