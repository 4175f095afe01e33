"""`GET /v1/entities/{type}/{id}` and `…/graph`: what investigators look at."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from api.errors import FieldError, InvalidRequest
from api.http import SECURED, allow, json_response, problems
from api.service import Service
from api.wire import iso, read_key
from graph.errors import NotFound
from graph.ids import canonical

router = APIRouter(tags=["entities"])

_ERRORS = problems(401, 403, 404, 422, 503)


class EntityOut(BaseModel):
    """One entity and its latest transactions, newest first."""

    model_config = ConfigDict(extra="allow")

    type: str
    key: str
    recent: list[dict[str, Any]]


class SubgraphOut(BaseModel):
    """A bounded neighbourhood; `truncated` where there is more than `limit` allows."""

    nodes: list[dict[str, Any]]
    links: list[dict[str, Any]]
    truncated: bool


# Before the entity itself, whose key may have slashes.
@router.get(
    "/v1/entities/{type}/{key:path}/graph",
    summary="The neighbourhood of an entity",
    response_model=SubgraphOut,
    responses=_ERRORS,
    openapi_extra=SECURED,
)
async def subgraph(
    request: Request,
    type: str,  # noqa: A002
    key: str,
    depth: Annotated[int, Query(ge=1, le=3, description="Steps from entity to entity.")] = 1,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most nodes.")] = 200,
) -> Response:
    """Entities linked to this one by transactions. Scope: `investigate`."""
    service = allow(request, "investigate")

    def read() -> dict[str, Any]:
        name = _check(service, type, key)
        found = service.store.neighbourhood(type, name, depth=depth, limit=limit)
        if not found["nodes"]:
            raise _unknown(type, name)
        return found

    return json_response(msgspec.json.encode(_readable(await service.look(read))))


@router.get(
    "/v1/entities/{type}/{key:path}",
    summary="One entity",
    response_model=EntityOut,
    responses=_ERRORS,
    openapi_extra=SECURED,
)
async def entity(
    request: Request,
    type: str,  # noqa: A002
    key: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most transactions.")] = 50,
) -> Response:
    """What is known of an entity, and its latest transactions. Scope: `investigate`."""
    service = allow(request, "investigate")

    def read() -> dict[str, Any]:
        name = _check(service, type, key)
        found = service.store.entity(type, name)
        if found is None:
            raise _unknown(type, name)
        return {**found, "recent": service.store.recent_transactions(type, name, limit=limit)}

    return json_response(msgspec.json.encode(_readable(await service.look(read))))


def _readable(value: Any) -> Any:
    """The store's terms (microseconds, hundredths) in those of requests (ISO 8601, units of the currency)."""
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _readable_field(name, item) for name, item in value.items()}


def _readable_field(name: str, value: Any) -> Any:
    if name == "attributes":
        return value
    if name == "amount" and isinstance(value, int):
        return value / 100
    if name.endswith("_at") and isinstance(value, int):
        return iso(value)
    return _readable(value)


def _check(service: Service, entity_type: str, key: str) -> str:
    known = service.store.schema().entities
    if entity_type not in known:
        detail = f"there is no entity type {entity_type!r}; there are: {', '.join(known)}"
        raise InvalidRequest([FieldError("/path/type", detail)])
    given = read_key("key", key)
    return canonical(entity_type, given) or given


def _unknown(entity_type: str, key: str) -> NotFound:
    return NotFound(f"there is no {entity_type} {key!r} in the graph")
