"""What the routes share: reading bodies with a limit, finding the service, and documenting raw bodies."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.errors import PROBLEM_JSON, TooLarge, UnsupportedBody
from api.service import Service

MIB = 2**20
JSON = "application/json"


class RawRoute(APIRoute):
    """A route whose endpoint takes the request as it is: FastAPI's parameter handling would cost more than the rest.

    There is nothing for FastAPI to close after such a request either, and what it raises is handled by the application.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def answered(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = answered


def service_of(request: Request) -> Service:
    """The service behind this application."""
    service: Service = request.app.state.service
    return service


def allow(request: Request, *scopes: str) -> Service:
    """The service, where the request's key has one of `scopes` (or admin)."""
    service = service_of(request)
    service.keys.require(header(request, b"authorization"), *scopes)
    return service


def header(request: Request, name: bytes) -> str | None:
    """A header by its name in lower case. Starlette's own look-up would decode and compare for each name anew."""
    for key, value in request.scope["headers"]:
        if key == name:
            return cast(bytes, value).decode("latin-1")
    return None


async def read_json(request: Request, limit: int) -> bytes:
    """The body, if it is declared as JSON (or not declared) and has at most `limit` bytes.

    Raises:
        UnsupportedBody: it is declared as something else.
        TooLarge: it has more bytes.
    """
    kind = header(request, b"content-type")
    if kind is not None and kind != JSON:
        mime = kind.partition(";")[0].strip().lower()
        if mime != JSON and not mime.endswith("+json"):
            raise UnsupportedBody(f"the body is declared as {mime or 'nothing'!r}", hint=f"send Content-Type: {JSON}")
    length = header(request, b"content-length")
    if length is not None and length.isdecimal() and int(length[:20]) > _MOST_READ:
        raise TooLarge(f"the body has more than {limit} bytes", hint=_SPLIT)
    receive = request.receive
    body, size = b"", 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        size += len(part)
        if size <= limit:
            body += part
        if not message.get("more_body", False) or size > _MOST_READ:
            break
    if size > limit:
        raise TooLarge(f"the body has more than {limit} bytes", hint=_SPLIT)
    return body


# A client that is cut off while it sends sees a broken connection instead of the answer, so what is too large
# is read to its end (and dropped), unless it is absurd.
_MOST_READ = 32 * MIB
_SPLIT = "send less at once"


_IS_JSON = (b"content-type", JSON.encode())


def json_response(body: bytes, status: int = 200) -> Response:
    """An answer whose JSON is ready."""
    response = Response(None, status)
    response.body = body
    response.raw_headers = [(b"content-length", b"%d" % len(body)), _IS_JSON]
    return response


def body_of(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """OpenAPI's description of a raw JSON body that needs a key."""
    content = {JSON: {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}, **SECURED}


SECURED: dict[str, Any] = {"security": [{"key": []}]}

_PROBLEMS = {
    400: "The body is not JSON.",
    401: "No valid API key.",
    403: "The API key lacks the scope.",
    404: "There is no such thing.",
    409: "The same id is known with other content.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field or parameter cannot be used as given.",
    503: "Not ready, or too much waits: try again after `Retry-After` seconds.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the errors a route answers."""
    schema = {"$ref": "#/components/schemas/ProblemOut"}
    return {
        status: {"description": _PROBLEMS[status], "content": {PROBLEM_JSON: {"schema": schema}}} for status in statuses
    }


def schemas(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """JSON schemas of models, by name, referring to each other as OpenAPI's components."""
    _, document = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    definitions: dict[str, Any] = document["$defs"]
    return definitions


def ref(model: type[BaseModel]) -> dict[str, str]:
    """A reference to a model among OpenAPI's components."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}
