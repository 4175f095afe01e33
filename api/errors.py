"""What each error is to a client: the content of an `application/problem+json` (RFC 9457). Free of any framework."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from graph.errors import (
    Conflict,
    InputError,
    LimitExceeded,
    NotFound,
    Overloaded,
    QuipuError,
    StoreError,
    StoreUnavailable,
)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = "1"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: `pointer` is a JSON pointer into the body, or names a parameter."""

    pointer: str
    detail: str


class InvalidRequest(InputError):
    """The request is JSON, but its content cannot be used; `fields` says which and why."""

    def __init__(self, fields: Sequence[FieldError], *, hint: str | None = None) -> None:
        count = len(fields)
        super().__init__(f"{count} field{'s' if count != 1 else ''} cannot be used as given", hint=hint)
        self.fields = list(fields)


class MalformedBody(InputError):
    """The body is not JSON at all."""


class UnsupportedBody(InputError):
    """The body is declared as something else than JSON."""


class TooLarge(InputError):
    """The body is larger than this route accepts."""


class Unauthenticated(QuipuError):
    """No API key was given, or it is not a valid one."""


class Forbidden(QuipuError):
    """The API key lacks the scope that this route needs."""


class NotReady(Overloaded):
    """The service is still loading its index, or is about to stop."""


class ModelRefused(QuipuError):
    """The service cannot use the bundle that is to be in use, and goes on with the one it has."""


# The first match counts, so a subclass stands before its base.
_STATUS: tuple[tuple[type[QuipuError], int, str], ...] = (
    (InvalidRequest, 422, "invalid-request"),
    (MalformedBody, 400, "malformed-body"),
    (UnsupportedBody, 415, "unsupported-media-type"),
    (TooLarge, 413, "body-too-large"),
    (LimitExceeded, 422, "limit-exceeded"),
    (InputError, 422, "invalid-request"),
    (Unauthenticated, 401, "unauthenticated"),
    (Forbidden, 403, "forbidden"),
    (NotFound, 404, "not-found"),
    (Conflict, 409, "conflict"),
    (ModelRefused, 409, "model-refused"),
    (NotReady, 503, "not-ready"),
    (Overloaded, 503, "overloaded"),
    (StoreUnavailable, 503, "store-unavailable"),
    (StoreError, 500, "store-error"),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem's content and the headers it travels with."""

    kind: str
    status: int
    detail: str
    hint: str | None = None
    fields: list[FieldError] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """The members of the problem, without `instance`."""
        content: dict[str, Any] = {
            "type": f"urn:quipu:problem:{self.kind}",
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.hint:
            content["hint"] = self.hint
        if self.fields:
            content["errors"] = self.fields
        return content


def problem_of(error: QuipuError) -> Problem:
    """The problem that an error is to a client."""
    matching = ((status, name) for kind, status, name in _STATUS if isinstance(error, kind))
    status, name = next(matching, (500, "internal-error"))
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="quipu"'
    elif status == 503:
        headers["Retry-After"] = RETRY_AFTER
    elif status == 413:
        headers["Connection"] = "close"
    fields = error.fields if isinstance(error, InvalidRequest) else []
    return Problem(name, status, error.message, error.hint, fields, headers)


def invalid_body(error: ValidationError) -> QuipuError:
    """What pydantic found wrong with a body."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return MalformedBody(f"the body is not valid JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}")
    return InvalidRequest(field_errors(found))


def field_errors(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Pydantic's findings, as a client reads them; at most 50."""
    return [FieldError(_pointer(item["loc"]), _message(item["type"], item["msg"])) for item in found[:50]]


def _pointer(location: Sequence[int | str]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


_MESSAGES = {
    "extra_forbidden": "this field is not known here",
    "missing": "this field is required",
    "timezone_aware": "a time needs its zone, such as 2026-01-31T12:30:00Z or 2026-01-31T07:30:00-05:00",
    "string_pattern_mismatch": "this text has characters or a form that is not allowed here",
    "finite_number": "must be a finite number",
}


def _message(kind: str, message: str) -> str:
    return _MESSAGES.get(kind) or message.removeprefix("Value error, ")
