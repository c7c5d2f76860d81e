"""How pictures and models are sent: named by their content, kept for good, harmless as a page."""

from __future__ import annotations

import hashlib
from typing import Any

from litestar import Request, Response

from cadml_core.documents.drawn import Drawn

KEPT = "private, max-age=31536000, immutable"
NOT_KEPT = "no-store"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Opened by itself, a picture runs nothing and loads nothing."""


def answer(request: Request[Any, Any, Any], drawn: Drawn, kept: str = KEPT) -> Response[bytes]:
    """Return a picture or model, or that the client has it already."""
    tag = f'"{hashlib.sha256(drawn.data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": kept, "Content-Security-Policy": _POLICY}
    known = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(b"", status_code=304, headers=headers, media_type=drawn.media_type)
    return Response(drawn.data, headers=headers, media_type=drawn.media_type)
