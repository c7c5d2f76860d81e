"""Files of other CAD systems that no reader takes, and what to do with each."""

from __future__ import annotations

import re
from collections.abc import Collection

_NATIVE = "export it as STEP (AP214 or AP242) from {}"
_MESH = "export it as STL, or install a plugin that reads it"
_DRAWING = "save it as DXF from {}"
_UNPACK = "unpack it first"
_NOT_ENABLED = "its reader is disabled or has failed: `cadml plugins doctor` says why"

_SYSTEMS = {
    "SOLIDWORKS": ".sldprt .sldasm",
    "Inventor": ".ipt .iam",
    "CATIA": ".catpart .catproduct .cgr .model",
    "NX, Creo or Solid Edge": ".prt .asm .par .psm",
    "Fusion": ".f3d .f3z",
    "FreeCAD": ".fcstd",
    "Rhino": ".3dm",
    "SketchUp": ".skp",
    "a system that reads Parasolid": ".x_t .x_b .xmt_txt",
    "a system that reads ACIS": ".sat .sab",
    "a system that reads JT": ".jt",
    "a system that reads BREP": ".brep .brp",
    "a system that reads IFC": ".ifc",
}
_DRAWINGS = {
    "AutoCAD, or with a converter": ".dwg",
    "MicroStation": ".dgn",
    "SOLIDWORKS": ".slddrw",
    "Inventor": ".idw",
    "CATIA": ".catdrawing",
}
_MESHES = ".obj .3mf .ply .off .amf .glb .gltf .wrl .vrml .dae .fbx"
_OURS = ".step .stp .p21 .iges .igs .stl .dxf"
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".z")
_ARCHIVES = ".zip .7z .rar .tgz .stpz .ifczip"

ADVICE: dict[str, str] = {
    **{suffix: _NATIVE.format(name) for name, several in _SYSTEMS.items() for suffix in several.split()},
    **{suffix: _DRAWING.format(name) for name, several in _DRAWINGS.items() for suffix in several.split()},
    **dict.fromkeys(_MESHES.split(), _MESH),
    **dict.fromkeys(_ARCHIVES.split(), _UNPACK),
    **dict.fromkeys(_OURS.split(), _NOT_ENABLED),
}
"""By suffix: what its owner can do, in words that follow a file's name."""
_NUMBERED = re.compile(r"(\.(?:prt|asm))\.\d+$")
"""Creo numbers the versions of a file."""


def foreign_suffix(name: str, readable: Collection[str]) -> str | None:
    """Return the suffix of a CAD file that no reader takes, None where it is read or no CAD file we know.

    Args:
        name: The file's name.
        readable: Suffixes that a reader takes; such a file that is packed counts as foreign.
    """
    lower = name.lower()
    if numbered := _NUMBERED.search(lower):
        return numbered[1]
    stem, dot, last = lower.rpartition(".")
    if dot + last in _PACKED:
        inner = "." + stem.rpartition(".")[2]
        return inner + dot + last if inner in readable or inner in ADVICE else None
    return dot + last if dot + last in ADVICE and dot + last not in readable else None


def advice_for(suffix: str) -> str:
    """Return what to do with files of a suffix that ``foreign_suffix`` returned."""
    return ADVICE.get(suffix, _UNPACK)
