"""Have picture makers draw a document, and hold them to their contract. A failure costs only the picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from cadml_core.contracts.pictures import ANY_FORMAT, PictureMaker, PictureRequest
from cadml_core.documents.document import CadDocument
from cadml_core.documents.drawn import GLB, DrawingKind, Drawn, Picture, refusal
from cadml_core.errors import CadmlError, UnsupportedContent
from cadml_core.printable import printable
from cadml_core.reading.glb import MODEL_MAKER, model_of
from cadml_core.reading.steps import DRAW_STEP


def maker_of(makers: Mapping[str, PictureMaker], format_name: str) -> PictureMaker | None:
    """Return who draws the files of a format: its own maker, else the one for any format."""
    chosen = next((name for name in (format_name, ANY_FORMAT) if name in makers), None)
    return None if chosen is None else makers[chosen]


def maker_text(makers: Mapping[str, PictureMaker], format_name: str, kind: DrawingKind) -> str:
    """Return name and version of what draws one kind of a format; empty where nothing does."""
    if kind == "model":
        return MODEL_MAKER
    maker = maker_of(makers, format_name)
    return "" if maker is None else f"{maker.name} {maker.version}"


def draw_all(
    document: CadDocument,
    wanted: Sequence[DrawingKind],
    makers: Mapping[str, PictureMaker],
    note: Callable[[str], None],
) -> tuple[tuple[Drawn, ...], float]:
    """Draw what is wanted; return it with the seconds taken. ``note`` is told before each call.

    What could not be drawn is there too, and says why.
    """
    start = time.perf_counter()
    drawn = []
    for kind in wanted:
        note(DRAW_STEP)
        drawn.append(_draw(document, kind, makers))
    return tuple(drawn), time.perf_counter() - start


def _draw(document: CadDocument, kind: DrawingKind, makers: Mapping[str, PictureMaker]) -> Drawn:
    drawn = Drawn(kind=kind, maker=maker_text(makers, document.format, kind))
    try:
        picture = _picture(document, kind, makers)
        drawn = msgspec.structs.replace(drawn, media_type=picture.media_type, data=picture.data)
        reason = refusal(drawn)
    except CadmlError as error:
        reason = error.message
    except MemoryError:
        reason = "drawing it takes more memory than a reader may have"
    # The same boundary as for adapters: third-party code may raise anything, and costs the picture alone.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        reason = f"drawing it ended with {type(error).__name__}: {error}"
    if reason is None:
        return drawn
    return Drawn(kind=kind, maker=drawn.maker, failure=printable(reason[:500]))


def _picture(document: CadDocument, kind: DrawingKind, makers: Mapping[str, PictureMaker]) -> Picture:
    if kind == "model":
        return Picture(GLB, model_of(document))
    maker = maker_of(makers, document.format)
    if maker is None:
        raise UnsupportedContent("no picture maker is installed for this format")
    picture: Any = maker.draw(document, PictureRequest(axes="file" if kind == "file" else "own"))
    if not isinstance(picture, Picture):
        raise UnsupportedContent(f"the picture maker {maker.name} returned {type(picture).__name__}")
    return picture
