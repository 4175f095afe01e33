"""`GET /v1/decisions/{transaction_id}`."""

import asyncio
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import DecisionOut
from api.http import SECURED, allow, json_response, problems
from api.replays import replayed_body
from api.wire import read_key

router = APIRouter(tags=["decisions"])


class AuditedDecisionOut(DecisionOut):
    """A decision, with what it was made on where that was asked for."""

    features: dict[str, float | None] | None = None


@router.get(
    "/v1/decisions/{transaction_id:path}",
    summary="The decision on a transaction",
    response_model=AuditedDecisionOut,
    responses=problems(401, 403, 404, 422, 503),
    openapi_extra=SECURED,
)
async def decision(
    request: Request,
    transaction_id: str,
    features: Annotated[bool, Query(description="Also the features; needs the scope `investigate`.")] = False,
) -> Response:
    """The decision as it was made. Scope: `score` or `investigate`."""
    service = allow(request, "investigate") if features else allow(request, "score", "investigate")
    key = read_key("transaction_id", transaction_id)
    found = await asyncio.to_thread(service.spooled_decision, key)
    if found is None:
        found = await service.look(partial(service.decision, key))
    body = replayed_body(found)
    if features:
        body = body[:-1] + b',"features":' + msgspec.json.encode(service.features(found)) + b"}"
    return json_response(body)
