"""Searches that are answered together, on the loop and past the framework, tell the same as one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from litestar import Litestar

from cadml_core.catalog.records import NewPart, Vector
from cadml_hostapp.app import create_app
from tests.integration.http.server import HEADERS, settings_for

COUNT, SEARCH = 300, "/api/v1/vectors/search"


@pytest.fixture
def filled(tmp_path: Path) -> Litestar:
    """An application with some hundred registered vectors."""
    app = create_app(settings_for(tmp_path))
    values = np.random.default_rng(5).lognormal(2, 1, size=(COUNT, 22))
    app.state.services.runtime.catalog.add(
        [
            NewPart(id=f"part {n}", material="ab"[n % 2], vectors={"v3": Vector(row, "registered")})
            for n, row in enumerate(values)
        ]
    )
    return app


def run(app: Litestar, job: Any) -> Any:
    """Run a coroutine function with a client, in the lifespan of the application."""

    async def within() -> Any:
        async with app.lifespan():
            transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=HEADERS) as client:
                while (await client.get("/ready")).status_code != 200:
                    await asyncio.sleep(0.01)
                return await job(client)

    return asyncio.run(within())


def bodies() -> list[dict[str, Any]]:
    """Searches of every kind, some of which the quick way takes and some of which it does not."""
    queries = np.random.default_rng(6).lognormal(2, 1, size=(40, 22)).tolist()
    found: list[dict[str, Any]] = [{"vector": query, "k": 1 + n % 12} for n, query in enumerate(queries)]
    found += [{"vector": query, "k": 5, "metric": "cosine_raw"} for query in queries[:6]]
    found += [{"vector": query, "k": 5, "min_score": 0.05} for query in queries[:6]]
    found += [{"vector": query, "k": 5, "material": "a"} for query in queries[:6]]
    found += [{"vector": query, "k": 2, "explain": True} for query in queries[:3]]
    found += [{"id": f"part {n}", "k": 4} for n in range(6)]
    return found


def test_together_and_alone_are_the_same(filled: Litestar) -> None:
    """Sixty searches at once are answered like sixty searches of the catalogue itself."""
    search = filled.state.services.runtime.search

    async def job(client: httpx.AsyncClient) -> list[Any]:
        await client.post(SEARCH, json={**bodies()[40], "k": 1})  # builds the index of the other metric
        responses = await asyncio.gather(*(client.post(SEARCH, json=body) for body in bodies()))
        compared: list[tuple[Any, Any]] = []
        for body, response in zip(bodies(), responses, strict=True):
            named = {key: body[key] for key in ("k", "metric", "min_score") if key in body}
            if "material" in body or "explain" in body:
                compared.append((response.status_code, 200))
                continue
            alone = (
                search.by_values(body["vector"], **named)
                if "vector" in body
                else search.by_id(body["id"], **named)
            )
            told = [(hit["id"], hit["score"], hit["distance"]) for hit in response.json()["hits"]]
            compared.append((told, [(hit.id, hit.score, hit.distance) for hit in alone.hits]))
        return compared

    for together, alone in run(filled, job):
        assert together == alone


def test_a_change_is_seen_by_the_next_search(filled: Litestar) -> None:
    """What is kept in memory is forgotten with the first change of the catalogue."""
    values = [1.5] * 22

    async def job(client: httpx.AsyncClient) -> list[str]:
        nearest = []
        for name in ("new", "newer"):
            await client.post("/api/v1/vectors/register", json={"id": name, "vector": values})
            for _ in range(2):
                found = await client.post(SEARCH, json={"vector": values, "k": 1})
                nearest.append(found.json()["hits"][0]["id"])
            assert (await client.delete(f"/api/v1/parts/{name}")).status_code == 204
            found = await client.post(SEARCH, json={"vector": values, "k": COUNT // 3})
            assert name not in {hit["id"] for hit in found.json()["hits"]}
        return nearest

    assert run(filled, job) == ["new", "new", "newer", "newer"]


def test_the_quick_way_is_as_strict(filled: Litestar) -> None:
    """Wrong keys, fields, types and lengths are refused by the route with its words."""

    async def job(client: httpx.AsyncClient) -> list[tuple[int, str]]:
        good = bodies()[0]
        requests = [
            client.post(SEARCH, json=good, headers={"X-API-Key": "wrong"}),
            client.post(SEARCH, json={**good, "surprise": 1}),
            client.post(SEARCH, json={**good, "k": 101}),
            client.post(SEARCH, json={"vector": [1.0]}),
            client.post(SEARCH, json={**good, "id": "part 1"}),
            client.post(SEARCH, json={"id": "nobody"}),
            client.post(SEARCH, content=b"{}", headers={"Content-Type": "text/plain"}),
            client.post(SEARCH + "?k=1", json=good),
        ]
        return [(found.status_code, found.json()["code"]) for found in await asyncio.gather(*requests)]

    assert run(filled, job) == [
        (401, "AUTH_FAILED"),
        (422, "INPUT_VALIDATION_FAILED"),
        (422, "INPUT_VALIDATION_FAILED"),
        (409, "DIMENSION_MISMATCH"),
        (422, "INPUT_VALIDATION_FAILED"),
        (404, "DATA_NOT_FOUND"),
        (415, "INPUT_FORMAT_INVALID"),
        (422, "INPUT_VALIDATION_FAILED"),
    ]


def test_searches_are_measured_whichever_way_they_take(filled: Litestar) -> None:
    """The quick way counts under the same labels as the route."""
    label = (
        'http_requests_total{app_name="cadml",method="POST",path="/api/v1/vectors/search",status_code="200"}'
    )

    async def job(client: httpx.AsyncClient) -> list[float]:
        counts = []
        for body in (bodies()[0], {**bodies()[0], "explain": True}, None):
            lines = (await client.get("/metrics")).text.splitlines()
            counts.append(sum(float(line.split()[-1]) for line in lines if line.startswith(label)))
            if body:
                await client.post(SEARCH, json=body)
        return counts

    first, second, third = run(filled, job)
    assert (second, third) == (first + 1, first + 2)
