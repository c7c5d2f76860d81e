"""Write down what a call is given, so that an argument that nobody's model ever has is not let through.

The built-in whitelist holds these descriptions; the policy describes each call of a scan and looks it up.
"""

from __future__ import annotations

from typing import Any

from cadml_core import Shape

LARGEST_INTEGER = 1_000_000
"""Integers up to here are alike; larger ones (checksums) count one by one: none can size an allocation."""

# How arrays and bytes are made depends on the pickle protocol and the numpy version, not on the model.
_ARRAY_MAKERS = frozenset({"numpy._core.numeric:_frombuffer", "numpy._core.multiarray:_reconstruct"})
_ALIASES = {
    "_codecs:encode": "bytes",
    "builtins:bytes": "bytes",
    "builtins:bytearray": "bytearray",
    "builtins:set": "set",
    "builtins:frozenset": "frozenset",
    "builtins:complex": "complex",
}


def canonical(label: str) -> str:
    """Return the name that numpy 2 uses for what numpy 1 kept under ``numpy.core``."""
    return label.replace("numpy.core.", "numpy._core.", 1) if label.startswith("numpy.core.") else label


def pattern(shown: Any) -> str:
    """Describe what a call shows: ``(int, array, int)``, ``(global numpy:ndarray, (0), bytes)``."""
    if isinstance(shown, tuple):
        return f"({', '.join(map(pattern, shown))})"
    if isinstance(shown, Shape):
        return _shape_pattern(shown)
    if isinstance(shown, int):
        return "int" if abs(shown) <= LARGEST_INTEGER else f"int {shown}"
    return repr(shown)


def _shape_pattern(shape: Shape) -> str:
    if shape.kind == "global":
        return f"global {canonical(shape.name or '')}"
    if shape.kind != "object" or shape.name is None:
        return shape.kind
    maker = canonical(shape.name)
    if maker in _ARRAY_MAKERS:
        return "array"
    return _ALIASES.get(maker, f"object {maker}")
