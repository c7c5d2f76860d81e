"""``/docs``: the API's description, for people and for generators. Works without a network."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.params import FromPath

from cadml_core.errors import NotFound
from cadml_hostapp.routes.declare import REF
from cadml_hostapp.routes.fields import Body

PATH = "/docs"
_WEB = Path(__file__).parents[1] / "web"
_ASSETS = {"docs.js": "text/javascript", "docs.css": "text/css"}


def with_bodies(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas of the bodies that routes decode themselves to an OpenAPI document."""
    _, components = msgspec.json.schema_components(_bodies(Body), ref_template=REF)
    known = document["components"]["schemas"]
    return {**document, "components": {**document["components"], "schemas": {**known, **components}}}


def _bodies(base: type[Body]) -> list[type[Body]]:
    """Return every kind of body; the modules of the handlers have imported all that there are."""
    return [found for kind in base.__subclasses__() for found in (kind, *_bodies(kind))]


class Document(JsonRenderPlugin):
    """``/docs/openapi.json``."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document as JSON."""
        return super().render(request, with_bodies(openapi_schema))


class Page(OpenAPIRenderPlugin):
    """``/docs`` itself, with its script and its style."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        """Return the page."""
        return (_WEB / "docs.html").read_bytes()

    def receive_router(self, router: Router) -> None:
        """Serve the page's files; what is not there is an error in our shape, not Litestar's HTML page."""
        router.routes = [route for route in router.routes if route.path != f"{PATH}/{{path:str}}"]
        router.register(asset)


@get("/{name:str}", sync_to_thread=False)
def asset(name: FromPath[str]) -> Response[bytes]:
    """Return a script or style of the page."""
    if name not in _ASSETS:
        raise NotFound(f"there is no {PATH}/{name}", stage="request", path=f"{PATH}/{name}")
    return Response(_load(name), media_type=_ASSETS[name])


@functools.cache
def _load(name: str) -> bytes:
    return (_WEB / name).read_bytes()
