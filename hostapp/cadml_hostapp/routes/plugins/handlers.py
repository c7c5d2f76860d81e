"""Handler of ``/plugins``."""

from __future__ import annotations

from cadml_hostapp.routes.declare import route
from cadml_hostapp.routes.plugins.schemas import PluginAnswer, plugin_answer
from cadml_hostapp.services import ServicesDependency


@route("GET", "/plugins", stage="plugins", tags=["plugins"])
async def plugins(services: ServicesDependency) -> list[PluginAnswer]:
    """List every plugin: what it provides, or why it does not."""
    return [plugin_answer(record) for record in services.runtime.plugins.records]
