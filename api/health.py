"""`/health/live`, `/health/ready` and `/metrics`: for machines that watch; no key needed."""

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from api.http import RawRoute, json_response, service_of

router = APIRouter(tags=["operation"], route_class=RawRoute)


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
    is_ready, content = await asyncio.to_thread(service_of(request).readiness)
    return json_response(msgspec.json.encode(content), 200 if is_ready else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """All workers' metrics in Prometheus' text format."""
    body: Any = await asyncio.to_thread(service_of(request).meters.exposition)
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
