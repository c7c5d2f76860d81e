"""Handlers of ``/model``."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router

from cadml_core.classifier.audit import AuditSnapshot
from cadml_core.classifier.choice import ModelInfo
from cadml_core.classifier.registry import ModelState
from cadml_hostapp.http.auth import for_admin
from cadml_hostapp.routes.declare import json_body, route
from cadml_hostapp.routes.model.schemas import ModelInfoForAdmin, ModelRequest
from cadml_hostapp.services import Services, ServicesDependency

STAGE = "model_reload"
_REFUSALS = (
    "DATA_NOT_FOUND",
    "MODEL_SIZE_EXCEEDED",
    "MODEL_MAGIC_INVALID",
    "MODEL_HASH_MISMATCH",
    "MODEL_MALFORMED",
    "MODEL_OPCODE_BLOCKED",
    "OPCODE_WHITELIST_VIOLATION",
    "MODEL_INTERFACE_INVALID",
    "MODEL_LOAD_FAILED",
)


@route("POST", "/reload", *_REFUSALS, stage=STAGE, admin=True, body=ModelRequest, status_code=200)
async def reload_model(request: Request[Any, Any, Any], services: ServicesDependency) -> ModelInfoForAdmin:
    """Check a model file and let it serve; where a check refuses it, the present model stays."""
    body = await json_body(request, ModelRequest)
    info = await services.load(services.runtime.models.registry.reload, body.path, body.expected_sha256)
    return for_admin(request, ModelInfoForAdmin, info)


@route("POST", "/rollback", "DATA_NOT_FOUND", stage=STAGE, admin=True, status_code=200)
async def rollback_model(request: Request[Any, Any, Any], services: ServicesDependency) -> ModelInfoForAdmin:
    """Let the model before serve again."""
    info = await services.write(_rollback, services)
    return for_admin(request, ModelInfoForAdmin, info)


@route("GET", "/version", stage=STAGE)
async def model_version(services: ServicesDependency) -> ModelState:
    """Show which model serves, which one it could go back to, and what went wrong last."""
    return await services.read(_newest, services)


@route("GET", "/opcode-audit", "MODEL_OPCODE_AUDIT_UNAVAILABLE", stage="opcode_audit")
async def opcode_audit(services: ServicesDependency) -> AuditSnapshot:
    """Show which opcodes and globals the scanned models used, and which policies would refuse them."""
    return await services.read(services.runtime.models.registry.audit)


def _newest(services: Services) -> ModelState:
    """Return the state, another process's choice of a moment ago included."""
    models = services.runtime.models
    models.follow()
    return models.registry.version()


def _rollback(services: Services) -> ModelInfo:
    _newest(services)
    return services.runtime.models.registry.rollback()


router = Router(
    "/model", route_handlers=[reload_model, rollback_model, model_version, opcode_audit], tags=["models"]
)
