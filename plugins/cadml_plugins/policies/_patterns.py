"""Describes the arguments of calls, so that a call with arguments that no known model has can be refused.

The built-in whitelist consists of such descriptions; the policy describes each call of a scan and looks it
up.
"""

from __future__ import annotations

from typing import Any

from cadml_core import Shape

LARGEST_INTEGER = 1_000_000
"""Integers up to this are described alike. Larger ones are described by their value: a few real models have
checksums, and no other large number may become the size of an allocation."""

# Which function makes an array or bytes depends on the pickle protocol and the numpy version.
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
    """Return the name that numpy 2 uses for what is under ``numpy.core`` in numpy 1."""
    return label.replace("numpy.core.", "numpy._core.", 1) if label.startswith("numpy.core.") else label


def pattern(shown: Any) -> str:
    """Describe an argument or a tuple of them, such as ``(global numpy:ndarray, (0), bytes)``."""
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
