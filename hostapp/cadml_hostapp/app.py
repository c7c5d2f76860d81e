"""The Litestar application over a runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.prometheus import PrometheusConfig

from cadml_core.runtime import Runtime, build_runtime
from cadml_core.settings import Settings, load_settings
from cadml_hostapp.http import errors as http_errors
from cadml_hostapp.http.auth import ADMIN_HEADER, KEY_HEADER, Gatekeeper, KeyCheck
from cadml_hostapp.http.middleware import HttpMetrics, RequestMiddleware, before_request
from cadml_hostapp.http.plugin_routes import plugin_routers
from cadml_hostapp.http.rate_limit import RateLimit, rate_limit
from cadml_hostapp.http.searching import FastSearch
from cadml_hostapp.routes import docs
from cadml_hostapp.routes.analyze import handlers as analyze
from cadml_hostapp.routes.cache import handlers as cache
from cadml_hostapp.routes.declare import MAX_JSON_BYTES
from cadml_hostapp.routes.duplicates import handlers as duplicates
from cadml_hostapp.routes.features import handlers as features
from cadml_hostapp.routes.health import handlers as health
from cadml_hostapp.routes.index import handlers as index
from cadml_hostapp.routes.migration import handlers as migration
from cadml_hostapp.routes.model import handlers as model
from cadml_hostapp.routes.parts import handlers as parts
from cadml_hostapp.routes.pictures import handlers as pictures
from cadml_hostapp.routes.plugins import handlers as plugins
from cadml_hostapp.routes.search import handlers as search
from cadml_hostapp.routes.vectors import handlers as vectors
from cadml_hostapp.services import Services

API = "/api/v1"


def create_app(source: Settings | Runtime | None = None) -> Litestar:
    """Return the application.

    Args:
        source: Settings, from which a runtime is built, or a runtime; the application closes it when it
            shuts down. Where None, the settings come from the environment.

    Raises:
        InvalidSetting: A setting is impossible, or there is no API key.
        PluginUnavailable: What the settings chose is not installed.
        CatalogueUnavailable: The database cannot be opened.
    """
    settings = source.settings if isinstance(source, Runtime) else source or load_settings()
    gatekeeper = Gatekeeper(settings)  # first: without a key nothing should be opened
    services = Services(source if isinstance(source, Runtime) else build_runtime(settings))
    limit = _rate_limit(settings)
    app = Litestar(
        route_handlers=[
            health.root,
            Router(
                API,
                route_handlers=[
                    analyze.router,
                    parts.router,
                    vectors.router,
                    search.router,
                    search.file_router,
                    pictures.router,
                    features.router,
                    migration.router,
                    duplicates.router,
                    duplicates.family_router,
                    index.router,
                    cache.router,
                    model.router,
                    *plugin_routers(services.runtime.registry.routes, _dependencies(services)),
                    health.api_health,
                    plugins.plugins,
                ],
            ),
        ],
        dependencies=_dependencies(services),
        state=State({"gatekeeper": gatekeeper, "services": services}),
        lifespan=[_lifespan(services)],
        middleware=_middleware(gatekeeper, limit),
        before_request=before_request,
        exception_handlers=http_errors.handlers(settings.data_path),
        cors_config=_cors(settings),
        openapi_config=_openapi(),
        request_max_body_size=MAX_JSON_BYTES,
        logging_config=None,
    )
    record = HttpMetrics(app, _metrics()).record
    fast = FastSearch(app.asgi_handler, services.searcher, gatekeeper, record, limit)
    app.asgi_handler = RequestMiddleware(
        app.asgi_handler,
        {f"{API}/vectors/search": fast},
        body_timeout=settings.upload_timeout_seconds,
        pages=docs.PATH,
        limit=limit,
    )
    return app


def _dependencies(services: Services) -> dict[str, Provide]:
    """Return what is injected into handlers; those of plugins use the runtime."""
    return {
        "services": Provide(lambda: services, use_cache=True, sync_to_thread=False),
        "runtime": Provide(lambda: services.runtime, use_cache=True, sync_to_thread=False),
    }


def _lifespan(services: Services) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await asyncio.to_thread(services.open)
        try:
            yield
        finally:
            await asyncio.to_thread(services.close)

    return lifespan


def _rate_limit(settings: Settings) -> RateLimit | None:
    if not settings.rate_limit_per_minute:
        return None
    return RateLimit(settings.rate_limit_per_minute, settings.server_workers)


def _middleware(gatekeeper: Gatekeeper, limit: RateLimit | None) -> list[DefineMiddleware]:
    found = [
        _metrics().middleware,
        DefineMiddleware(KeyCheck, gatekeeper=gatekeeper, prefix=f"{API}/", limit=limit),
    ]
    if limit is not None:
        found.append(rate_limit(limit))
    return found


def _metrics() -> PrometheusConfig:
    return PrometheusConfig(app_name="cadml", prefix="http", group_path=True, middleware_class=HttpMetrics)


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_headers=["Content-Type", KEY_HEADER, ADMIN_HEADER, "X-Request-ID"],
        expose_headers=["X-Request-ID", "Retry-After"],
    )


def _openapi() -> OpenAPIConfig:
    page = docs.Page()
    return OpenAPIConfig(
        title="cadml",
        version=version("cadml"),
        description="Find similar parts in CAD files: DXF, STL, STEP and IGES.",
        path=docs.PATH,
        render_plugins=[page, docs.Document()],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "ApiKey": SecurityScheme(type="apiKey", name=KEY_HEADER, security_scheme_in="header"),
                "AdminToken": SecurityScheme(type="apiKey", name=ADMIN_HEADER, security_scheme_in="header"),
            }
        ),
    )
