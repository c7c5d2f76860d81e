"""Handlers of ``/duplicates``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Router
from litestar.params import PathParameter, QueryParameter

from cadml_core.duplicates import report as reporting
from cadml_core.duplicates.decisions import Decision, Decisions, content_of
from cadml_core.duplicates.journal import Run
from cadml_core.duplicates.scope import Scope
from cadml_core.errors import NotFound
from cadml_core.families.families import SMALLEST, Families, find_families
from cadml_core.relations.relation import Kind
from cadml_hostapp.routes.declare import json_body, route
from cadml_hostapp.routes.duplicates.schemas import (
    DecisionRequest,
    DuplicateGroups,
    LeadAnswer,
    LeadRequest,
    RunList,
    RunRequest,
    groups_answer,
)
from cadml_hostapp.routes.parameters import Cursor, KnownId, PageSize, QueryText, row_after
from cadml_hostapp.services import Services, ServicesDependency

STAGE = "duplicates"
Folder = Annotated[
    str | None,
    QueryParameter(max_length=4000, pattern=r"^[^\x00]*$", description="Only parts below this folder."),
]
Kinds = Annotated[list[Kind] | None, QueryParameter(description="Only groups of these kinds.")]
Formats = Annotated[
    list[str] | None,
    QueryParameter(description="Only parts of these formats; of several, groups across at least two."),
]
Mirror = Annotated[bool, QueryParameter(description="Whether mirror images count.")]
Scale = Annotated[bool, QueryParameter(description="Whether copies of another size count.")]
SameMaterial = Annotated[bool, QueryParameter(description="Only parts that agree in their material.")]
AcrossProjects = Annotated[bool, QueryParameter(description="Leave out groups within one project.")]
Decided = Annotated[bool, QueryParameter(description="Show groups as well that are decided.")]
Cut = Annotated[
    float | None,
    QueryParameter(ge=0, le=2, description="Distance at which families end, over that of unrelated parts."),
]
Smallest = Annotated[int, QueryParameter(ge=2, le=1000, description="Parts of a family.")]
RunId = Annotated[int, PathParameter(ge=1, le=2**53, description="Id of a run.")]
GroupId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{12}(-[0-9]{1,6})?$", description="Id of a group.")]


@route("GET", "/", stage=STAGE)
async def groups(
    services: ServicesDependency,
    folder: Folder = None,
    project: QueryText = None,
    format: Formats = None,
    kind: Kinds = None,
    mirror: Mirror = True,
    scale: Scale = True,
    same_material: SameMaterial = False,
    across_projects: AcrossProjects = False,
    decided: Decided = False,
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> DuplicateGroups:
    """List groups of parts that are the same, the surest kinds first, as the last run has left them."""
    scope = Scope(
        folder=folder,
        project=project,
        formats=tuple(format or ()),
        kinds=tuple(kind or ()),
        mirror=mirror,
        scale=scale,
        same_material=same_material,
        across_projects=across_projects,
        decided=decided,
    )
    return await services.read(_groups, services, scope, None, row_after(cursor), limit)


@route("POST", "/runs", "DUPLICATES_CONFLICT", stage=STAGE, body=RunRequest, status_code=202)
async def start(request: Request[Any, Any, Any], services: ServicesDependency) -> Run:
    """Start to compare what is new. It goes on after this answer; ask for the run to see how far it is."""
    body = await json_body(request, RunRequest)
    number = await services.write(services.jobs.start, meshes=body.meshes)
    return await services.read(_run, services, number)


@route("GET", "/runs", stage=STAGE)
async def runs(services: ServicesDependency) -> RunList:
    """List the last runs, newest first."""
    return RunList(await services.read(services.runtime.duplicates.runs))


@route("GET", "/runs/{run:int}", "DATA_NOT_FOUND", stage=STAGE)
async def run(
    services: ServicesDependency, run: RunId, cursor: Cursor = None, limit: PageSize = 100
) -> DuplicateGroups:
    """Show how far a run is; once it is over, also the groups of the whole catalogue."""
    found = await services.read(_run, services, run)
    if found.status == "running":
        return DuplicateGroups(run=found, parts=0, waiting=0, counts={}, groups=[], next_cursor=None)
    return await services.read(_groups, services, Scope(), found, row_after(cursor), limit)


@route("POST", "/runs/{run:int}/cancel", "DATA_NOT_FOUND", stage=STAGE, status_code=202)
async def cancel(services: ServicesDependency, run: RunId) -> Run:
    """Ask a run to stop. It does within seconds, and what it has compared is kept."""
    return await services.write(services.runtime.duplicates.cancel, run)


@route(
    "PUT",
    "/decisions/{a:str}/{b:str}",
    "DATA_NOT_FOUND",
    "DECISION_CONFLICT",
    stage=STAGE,
    body=DecisionRequest,
)
async def decide(
    request: Request[Any, Any, Any], services: ServicesDependency, a: KnownId, b: KnownId
) -> Decision:
    """Decide what two parts are to one another. It holds for their contents, wherever the files lie."""
    body = await json_body(request, DecisionRequest)
    return await services.write(_decide, services, a, b, body)


@route("DELETE", "/decisions/{a:str}/{b:str}", "DATA_NOT_FOUND", stage=STAGE)
async def withdraw(services: ServicesDependency, a: KnownId, b: KnownId) -> None:
    """Withdraw what was decided of two parts, so that they are proposed again."""
    await services.write(_withdraw, services, a, b)


@route("PUT", "/groups/{group:str}/lead", "DATA_NOT_FOUND", stage=STAGE, body=LeadRequest)
async def lead(request: Request[Any, Any, Any], services: ServicesDependency, group: GroupId) -> LeadAnswer:
    """Choose which part of a group is to be kept."""
    body = await json_body(request, LeadRequest)
    return await services.write(_lead, services, group, body)


@route("GET", "/", stage="families")
async def families(services: ServicesDependency, cut: Cut = None, smallest: Smallest = SMALLEST) -> Families:
    """List families of parts that are shaped alike, by the feature version that ranks the combined search.

    Takes time by the square of the parts: a second for 10,000.
    """
    return await services.read(_families, services, cut, smallest)


def _families(services: Services, cut: float | None, smallest: int) -> Families:
    runtime = services.runtime
    feature = runtime.registry.features[runtime.combined.versions()[0]]
    return find_families(runtime.catalog, feature, cut=cut, smallest=smallest, remember=False)


def _groups(services: Services, scope: Scope, run: Run | None, after: int, limit: int) -> DuplicateGroups:
    finder = services.runtime.duplicates
    shown = run or next(iter(finder.runs()), None)
    report = reporting.report(
        services.runtime.catalog, scope, shown, waiting=finder.waiting(), after=after, limit=limit
    )
    return groups_answer(report, after)


def _run(services: Services, number: int) -> Run:
    for found in services.runtime.duplicates.runs():
        if found.id == number:
            return found
    raise NotFound(f"no run {number} of duplicates; the last ten are kept", stage=STAGE, id=number)


def _decide(services: Services, a: str, b: str, body: DecisionRequest) -> Decision:
    catalog = services.runtime.catalog
    return Decisions(catalog).decide(
        catalog.part(a), catalog.part(b), body.verdict, note=body.note, by=body.by, replace=body.replace
    )


def _withdraw(services: Services, a: str, b: str) -> None:
    catalog = services.runtime.catalog
    Decisions(catalog).withdraw(catalog.part(a), catalog.part(b))


def _lead(services: Services, group: str, body: LeadRequest) -> LeadAnswer:
    catalog = services.runtime.catalog
    part = catalog.part(body.part)
    reporter = reporting.Reporter(catalog, Scope(decided=True))
    if content_of(part) not in reporter.contents_of(group):
        raise NotFound(f"no group {group} has the part {body.part!r}", stage=STAGE, id=group)
    found = Decisions(catalog).choose_lead(part, by=body.by)
    return LeadAnswer(found.part, found.sha256, found.by, found.at)


router = Router(
    "/duplicates",
    route_handlers=[groups, start, runs, run, cancel, decide, withdraw, lead],
    tags=["duplicates"],
)
family_router = Router("/families", route_handlers=[families], tags=["duplicates"])
