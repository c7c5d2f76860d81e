"""Reads OFF (Object File Format) meshes: a header word, the counts, vertices, then faces by index."""

import re
from pathlib import Path

import numpy as np

from cadml_core import BoundingBox, CadDocument, LimitExceeded, MalformedFile, ReadLimits, hookimpl


class OffAdapter:
    """The format adapter."""

    name, version = "off", "1"
    suffixes, media_types = (".off",), ("model/vnd.off",)

    def sniff(self, head: bytes) -> bool:
        """Tell whether the first word is OFF."""
        return head.split(None, 1)[:1] == [b"OFF"]

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read a mesh; OFF states no unit, so lengths are taken as millimetres.

        Raises:
            MalformedFile: The file is not OFF, is cut short, or names a vertex that it does not define.
            LimitExceeded: It states more faces than ``max_triangles``.
        """
        try:
            box, sides = self._parse(re.sub(rb"#.*", b"", path.read_bytes()).split(), limits)
        except LimitExceeded:  # a ValueError too
            raise
        except (ValueError, IndexError) as error:
            raise MalformedFile(f"not a sound OFF file: {error}") from error
        return CadDocument(
            format="off",
            entity_counts={f"{count}-gon": sides.count(count) for count in sorted(set(sides))},
            facet_count=len(sides),
            surface_count=len(sides),
            bounding_box=box,
            warnings=("OFF states no unit; millimetres are assumed",),
        )

    def _parse(self, words: list[bytes], limits: ReadLimits) -> tuple[BoundingBox, list[int]]:
        if words[0] != b"OFF":
            raise ValueError("the first word is not OFF")
        vertices, faces, start = int(words[1]), int(words[2]), 4 + 3 * int(words[1])
        if faces > limits.max_triangles:
            raise LimitExceeded("max_triangles", found=faces, allowed=limits.max_triangles)
        points = np.array(words[4:start], dtype=np.float64).reshape(vertices, 3)
        corners, sides, at = np.array(words[start:], dtype=np.int64), [], 0
        for face in range(faces):
            sides.append(int(corners[at]))
            ring = corners[at + 1 : at + 1 + sides[-1]]
            if len(ring) < max(3, sides[-1]) or ring.min() < 0 or ring.max() >= vertices:
                raise ValueError(f"face {face} is cut short or names a vertex that is not there")
            at += 1 + sides[-1]
        return BoundingBox(tuple(points.min(axis=0).tolist()), tuple(points.max(axis=0).tolist())), sides


@hookimpl
def cadml_format_adapters() -> list[OffAdapter]:
    """Register the adapter."""
    return [OffAdapter()]
