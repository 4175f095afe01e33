"""`POST /v1/labels`."""

import asyncio
import time

import msgspec
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.answers import LABEL_EXAMPLE, LabelsOut
from api.errors import FieldError, InvalidRequest, invalid_body
from api.http import MIB, RawRoute, allow, body_of, json_response, problems, read_json, ref
from api.service import NewLabel
from api.wire import MAX_BATCH, Label, read_labels
from graph.errors import Conflict

router = APIRouter(tags=["labels"], route_class=RawRoute)

_ONE_OR_MORE = {"oneOf": [ref(Label), {"type": "array", "items": ref(Label), "maxItems": MAX_BATCH}]}


@router.post(
    "/v1/labels",
    summary="Tell what became known about transactions",
    response_model=LabelsOut,
    responses={
        202: {"model": LabelsOut, "description": "Kept durably; the graph store is away and gets them later."},
        **problems(400, 401, 403, 409, 413, 415, 422, 503),
    },
    openapi_extra=body_of(_ONE_OR_MORE, LABEL_EXAMPLE),
)
async def labels(request: Request) -> Response:
    """Keeps one label, or a list of up to 1,000; the next score takes them into account. Scope: `label`.

    A label counts from its `known_at` on. Several on one transaction are a history: the latest known one holds.
    The transaction need not be known yet. A single label that contradicts what its source said at the same
    moment is a 409; in a list such labels are counted as `conflicts`.
    """
    service = allow(request, "label")
    body = await read_json(request, MIB)
    try:
        given = read_labels(body)
    except ValidationError as error:
        raise invalid_body(error) from None
    now = time.time_ns() // 1000
    many = body.lstrip()[:1] == b"["
    new: list[NewLabel] = []
    wrong: list[FieldError] = []
    for i, label in enumerate(given):
        try:
            known_at = service.intake.known_at(label, now, f"/{i}" if many else "")
        except InvalidRequest as error:
            wrong += error.fields
            continue
        new.append(NewLabel(label.transaction_id, label.is_fraud, known_at, label.source, label.known_at is not None))
    if wrong:
        raise InvalidRequest(wrong[:50])
    counts = await asyncio.to_thread(service.keep_labels, new)
    if counts.conflicts and not many:
        raise Conflict(
            f"{new[0].source!r} has said otherwise about transaction {new[0].transaction_id!r} at the same moment",
            hint="a change of mind is a label with a later known_at",
        )
    return json_response(msgspec.json.encode(counts), 202 if counts.kept else 200)
