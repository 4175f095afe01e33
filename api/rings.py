"""`/v1/rings`: fraud rings, as lists, in full and as pictures."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import RingGraphOut, RingOut, RingsOut
from api.http import SECURED, allow, header, json_response, problems
from api.service import Service
from api.wire import read_key
from graph.browser.links import BrowserLinks
from graph.errors import NotFound
from graph.ring_graph import ring_graph
from graph.ring_json import event, event_text, iso, summary, whole
from graph.ring_page import render_ring
from graph.ring_records import Ring, RingStatus
from graph.store import RingStore, rings_of

router = APIRouter(tags=["rings"])

T = TypeVar("T")
_HTML = "text/html"
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}


@router.get(
    "/v1/rings",
    summary="Rings, the most suspicious first",
    response_model=RingsOut,
    responses=problems(401, 403, 422, 503),
    openapi_extra=SECURED,
)
async def rings(
    request: Request,
    status: Annotated[RingStatus | None, Query(description="Only rings of this status.")] = None,
    active: Annotated[bool, Query(description="Those that the latest refresh found; false: no longer found.")] = True,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most rings.")] = 100,
) -> Response:
    """The rings that the latest refresh found, without their members. Scope: `investigate`."""

    def read(store: RingStore, _: Service) -> dict[str, Any]:
        found = store.rings(active=active, status=status, limit=limit)
        at = store.refreshed_at()
        return {"refreshed_at": iso(at), "rings": [summary(ring) for ring in found]}

    return await _answer(request, read)


# Before the ring itself, so that `graph` is not taken for a part of its id.
@router.get(
    "/v1/rings/{ring_id}/graph",
    summary="The picture of a ring",
    response_model=RingGraphOut,
    responses={
        200: {"content": {_HTML: {"schema": {"type": "string"}}}, "description": "JSON, or an interactive page."},
        **problems(401, 403, 404, 422, 503),
    },
    openapi_extra=SECURED,
)
async def graph(
    request: Request,
    ring_id: str,
    format: Annotated[  # noqa: A002
        Literal["json", "html"] | None, Query(description="`html` for a page; else as `Accept` asks.")
    ] = None,
) -> Response:
    """A ring's members and links with sums of their transactions: as JSON, or as an interactive page that loads
    nothing else. Scope: `investigate`."""
    if format == "html" or (format is None and _wants_page(request)):
        service = allow(request, "investigate")
        page = await service.look(partial(_page, service, read_key("ring_id", ring_id)))
        return Response(page, media_type=_HTML, headers=_PAGE_HEADERS)

    def read(store: RingStore, service: Service) -> dict[str, Any]:
        return ring_graph(service.store, known_ring(store, ring_id))

    return await _answer(request, read, ring_id)


@router.get(
    "/v1/rings/{ring_id}",
    summary="One ring",
    response_model=RingOut,
    responses=problems(401, 403, 404, 422, 503),
    openapi_extra=SECURED,
)
async def ring(request: Request, ring_id: str) -> Response:
    """A ring with its members, its links, why it is one, and its history. Scope: `investigate`."""

    def read(store: RingStore, service: Service) -> dict[str, Any]:
        return told(store, known_ring(store, ring_id), service.store.url)

    return await _answer(request, read, ring_id)


async def _answer(
    request: Request, read: Callable[[RingStore, Service], dict[str, Any]], ring_id: str | None = None
) -> Response:
    """What `read` tells, as JSON; it runs beside the event loop, since it waits for the store."""
    service = allow(request, "investigate")
    if ring_id is not None:
        read_key("ring_id", ring_id)
    store = rings_of(service.store)
    return json_response(msgspec.json.encode(await service.look(partial(read, store, service))))


def told(store: RingStore, ring: Ring, url: str) -> dict[str, Any]:
    """All that is known of a ring, its history, and where to look at it; `url` is the store's."""
    events = [{**event(item), "text": event_text(item)} for item in store.ring_events(ring.ring_id)]
    links = BrowserLinks.of(url)
    return {**whole(ring), "history": events, **({} if links is None else {"browser": links.ring(ring.ring_id)})}


def _page(service: Service, ring_id: str) -> str:
    store = rings_of(service.store)
    found = known_ring(store, ring_id)
    return render_ring(found, ring_graph(service.store, found), store.ring_events(ring_id))


def known_ring(store: RingStore, ring_id: str) -> Ring:
    """The ring of this id.

    Raises:
        NotFound: there is none.
    """
    ring = store.ring(ring_id)
    if ring is None:
        raise NotFound(f"there is no ring {ring_id!r}", hint="GET /v1/rings lists those there are")
    return ring


def _wants_page(request: Request) -> bool:
    """Whether the client would rather have a page than JSON, as a browser does: by the order of what it accepts."""
    kinds = [part.partition(";")[0].strip().lower() for part in (header(request, b"accept") or "").split(",")]
    return _HTML in kinds and ("application/json" not in kinds or kinds.index(_HTML) < kinds.index("application/json"))
