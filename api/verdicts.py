"""`POST /v1/rings/{ring_id}/verdict`: what an investigator says of a ring."""

import time
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
from fastapi import APIRouter
from pydantic import Field, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.answers import VERDICT_EXAMPLE, VerdictOut
from api.errors import invalid_body
from api.http import allow, body_of, json_response, problems, read_json, ref
from api.rings import known_ring, told
from api.service import LabelCounts, NewLabel, Service
from api.wire import Wire, read_key
from graph.ring_records import RingStatus, Verdict
from graph.ring_verdicts import labels_of
from graph.store import rings_of

router = APIRouter(tags=["rings"])

_LIMIT = 65_536
_LINE = r"^[^\x00-\x1f\x7f]*$"
_NOTE = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"


class RingVerdict(Wire):
    """A verdict on a ring."""

    verdict: Literal["confirmed", "dismissed"]
    by: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=_LINE)] = Field(
        "", description="Who says so."
    )
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=_NOTE)] = Field(
        "", description="Why, for those who look at the ring later."
    )


@router.post(
    "/v1/rings/{ring_id}/verdict",
    summary="Confirm or dismiss a ring",
    response_model=VerdictOut,
    responses=problems(400, 401, 403, 404, 413, 415, 422, 503),
    openapi_extra=body_of(ref(RingVerdict), VERDICT_EXAMPLE),
)
async def verdict(request: Request, ring_id: str) -> Response:
    """Keeps an investigator's verdict; no refresh changes it. Scope: `investigate`.

    The transactions of a confirmed ring become known as fraud at this moment, and the next score takes that into
    account; where a confirmed ring is dismissed, this is taken back. The same verdict again changes nothing.
    """
    service = allow(request, "investigate")
    key = read_key("ring_id", ring_id)
    body = await read_json(request, _LIMIT)
    try:
        given = RingVerdict.model_validate_json(body)
    except ValidationError as error:
        raise invalid_body(error) from None
    at = time.time_ns() // 1000
    said = Verdict(key, at, RingStatus(given.verdict), given.by, given.note)
    return json_response(msgspec.json.encode(await service.look(partial(_judge, service, said))))


def _judge(service: Service, verdict: Verdict) -> dict[str, Any]:
    """Labels before the verdict: a verdict that is there has all its labels, whatever fails in between."""
    store = rings_of(service.store)
    labels = _new_labels(labels_of(service.store, known_ring(store, verdict.ring_id), verdict))
    counts = service.keep_labels(labels) if labels else LabelCounts()
    ring = store.write_verdict(verdict)
    service.engine.rings.refresh(service.store)
    return {"ring": told(store, ring, service.store.url), "labels": counts}


def _new_labels(table: pa.Table) -> list[NewLabel]:
    columns = (
        table["transaction_id"].to_pylist(),
        table["is_fraud"].to_pylist(),
        table["known_at"].cast(pa.int64()).to_pylist(),
        table["source"].to_pylist(),
    )
    return [NewLabel(*row, timed=True) for row in zip(*columns, strict=True)]
