"""`POST /v1/score` and `/v1/score/batch`."""

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.answers import EXAMPLE, BatchOut, DecisionOut
from api.engine import Pending
from api.errors import InvalidRequest, invalid_body, problem_of
from api.http import MIB, RawRoute, allow, body_of, json_response, problems, read_json, ref
from api.wire import (
    MAX_BATCH,
    Refused,
    Transaction,
    read_batch,
    read_transaction,
)

PATH = "/v1/score"
router = APIRouter(tags=["scoring"], route_class=RawRoute)

_ERRORS = problems(400, 401, 403, 413, 415, 422, 503)


@router.post(
    PATH,
    summary="Score one transaction",
    response_model=DecisionOut,
    responses=_ERRORS | problems(409),
    openapi_extra=body_of(ref(Transaction), EXAMPLE),
)
async def score(request: Request) -> Response:
    """Decides on one transaction, durably, and says why. Scope: `score`."""
    service = allow(request, "score")
    body = await read_json(request, MIB)
    try:
        transaction = read_transaction(body)
    except ValidationError as error:
        raise invalid_body(error) from None
    submission = service.intake.submission(transaction)
    pending = Pending(submission, asyncio.get_running_loop().create_future(), request.scope.get("client"))
    service.engine.submit((pending,))
    await pending.waiter
    if pending.error is not None:
        raise pending.error
    return json_response(pending.body)


@router.post(
    "/v1/score/batch",
    summary="Score up to 1,000 transactions",
    response_model=BatchOut,
    responses=_ERRORS,
    openapi_extra=body_of({"type": "array", "items": ref(Transaction), "maxItems": MAX_BATCH}, [EXAMPLE]),
)
async def score_batch(request: Request) -> Response:
    """Decides on transactions, best given in order of time, so that each sees those before it. Scope: `score`.

    Each has an outcome of its own: status 200 with a decision, or another (409, 422, 503) with a problem, which
    does not stop the others.
    """
    service = allow(request, "score")
    body = await read_json(request, 4 * MIB)
    try:
        items = read_batch(body)
    except ValidationError as error:
        raise invalid_body(error) from None
    loop, intake = asyncio.get_running_loop(), service.intake
    entries: list[Pending | Refused] = []
    for item in items:
        if isinstance(item, Refused):
            entries.append(item)
            continue
        try:
            entries.append(Pending(intake.submission(item), loop.create_future()))
        except InvalidRequest as error:
            entries.append(Refused(item.transaction_id, error))
    pendings = [entry for entry in entries if isinstance(entry, Pending)]
    service.engine.submit(pendings)
    for pending in pendings:
        await pending.waiter
    return json_response(msgspec.json.encode({"results": [_outcome(entry) for entry in entries]}))


def _outcome(entry: Pending | Refused) -> dict[str, Any]:
    transaction_id = entry.transaction_id if isinstance(entry, Refused) else entry.submission.transaction_id
    if isinstance(entry, Pending) and entry.error is None:
        return {"transaction_id": transaction_id, "status": 200, "decision": msgspec.Raw(entry.body)}
    assert entry.error is not None
    problem = problem_of(entry.error)
    return {"transaction_id": transaction_id, "status": problem.status, "problem": problem.content()}
