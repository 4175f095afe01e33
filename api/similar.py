"""`GET /v1/entities/{type}/{id}/similar`: entities like one, by their embeddings."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import SIMILAR_EXAMPLE, SimilarOut
from api.errors import FieldError, InvalidRequest
from api.http import JSON, SECURED, allow, json_response, problems
from api.wire import read_key
from graph.ids import canonical
from graph.similar import similar_entities

router = APIRouter(tags=["entities"])


@router.get(
    "/v1/entities/{type}/{key:path}/similar",
    summary="Entities like one",
    response_model=SimilarOut,
    responses={200: {"content": {JSON: {"example": SIMILAR_EXAMPLE}}}, **problems(401, 403, 404, 422, 503)},
    openapi_extra=SECURED,
)
async def similar(
    request: Request,
    type: str,  # noqa: A002
    key: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most entities.")] = 10,
) -> Response:
    """The entities most like this one, as the graph network saw them when `quipu graph embed` ran last.

    Scope: `investigate`.
    """
    service = allow(request, "investigate")
    given = read_key("key", key)

    def read() -> dict[str, Any]:
        known = service.store.schema().entities
        if type not in known:
            detail = f"there is no entity type {type!r}; there are: {', '.join(known)}"
            raise InvalidRequest([FieldError("/path/type", detail)])
        return similar_entities(service.store, type, canonical(type, given) or given, limit=limit)

    return json_response(msgspec.json.encode(await service.look(read)))
