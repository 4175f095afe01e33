"""`POST /v1/models/reload`: takes what the models folder says now, rather than within a second."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.http import SECURED, RawRoute, allow, json_response, problems

router = APIRouter(tags=["operation"], route_class=RawRoute)

_LOADING = ThreadPoolExecutor(1, thread_name_prefix="quipu-reload")


class RefusedOut(BaseModel):
    """A bundle that the models folder names and the service cannot use; `at` in seconds since the epoch."""

    role: str
    bundle: str
    reason: str
    hint: str | None
    at: float


class ModelsOut(BaseModel):
    """The bundles in use: the champion decides, the challenger scores beside it."""

    model_version: str
    challenger: str | None
    refused: list[RefusedOut]


@router.post(
    "/v1/models/reload",
    summary="Use the bundle that was promoted",
    response_model=ModelsOut,
    responses=problems(401, 403, 422, 503)
    | {409: {**problems(409)[409], "description": "The bundle is refused; the one in use goes on serving."}},
    openapi_extra=SECURED,
)
async def reload(request: Request) -> Response:
    """Loads and verifies the champion and the challenger of the models folder, where they have changed, and goes
    over to them between two batches: no request fails or waits for it. Other workers follow within a second.
    Scope: `admin`.
    """
    service = allow(request, "admin")
    models = service.models
    loop = asyncio.get_running_loop()
    status = await loop.run_in_executor(_LOADING, models.reload)
    return json_response(msgspec.json.encode(status))
