"""`/health/live`, `/health/ready` and `/metrics`: for machines that watch; no key needed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from api.http import RawRoute, json_response, service_of
from graph.job_metrics import collected

router = APIRouter(tags=["operation"], route_class=RawRoute)

_WATCHED = ThreadPoolExecutor(2, thread_name_prefix="quipu-health")
"""Threads of its own, so that who watches does not wait behind those who wait for a store."""


class HealthOut(BaseModel):
    """`status`: alive; or ready, degraded (answers, but the graph store is away), loading, stopping, unavailable."""

    model_config = ConfigDict(extra="allow")

    status: str
    reasons: list[str] = []


@router.get("/health/live", summary="Is the process alive?", response_model=HealthOut)
async def live(request: Request) -> Response:  # noqa: ARG001
    """Always 200 while the process can answer at all; a restart is called for only when it cannot."""
    return json_response(b'{"status":"alive"}')


@router.get(
    "/health/ready",
    summary="Can it score?",
    response_model=HealthOut,
    responses={503: {"model": HealthOut, "description": "Loading, stopping, or the spool cannot be written."}},
)
async def ready(request: Request) -> Response:
    """200 when transactions can be scored durably, also while the graph store is away (`degraded`, with reasons)."""
    loop = asyncio.get_running_loop()
    is_ready, content = await loop.run_in_executor(_WATCHED, service_of(request).readiness)
    return json_response(msgspec.json.encode(content), 200 if is_ready else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """All workers' metrics, and the latest figures of batch jobs, in Prometheus' text format."""
    service = service_of(request)

    def told() -> bytes:
        return service.meters.exposition() + collected(service.settings.var)

    loop = asyncio.get_running_loop()
    body: Any = await loop.run_in_executor(_WATCHED, told)
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
