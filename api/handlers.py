"""Errors become answers here, and nowhere else: `application/problem+json` (RFC 9457)."""

import logging
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.errors import PROBLEM_JSON, InvalidRequest, Problem, field_errors, problem_of
from graph.errors import QuipuError

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem document."""
    app.add_exception_handler(QuipuError, _quipu_error)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _disconnected)
    app.add_exception_handler(Exception, _unexpected)


def _response(problem: Problem, request: Request) -> Response:
    body = msgspec.json.encode({**problem.content(), "instance": request.url.path})
    return Response(body, problem.status, problem.headers, PROBLEM_JSON)


async def _quipu_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, QuipuError)
    problem = problem_of(error)
    if problem.status == 500:
        route = getattr(request.scope.get("route"), "path", "unmatched")
        log.error("%s %s: %s", request.method, route, error.message)
    return _response(problem, request)


async def _parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _response(problem_of(InvalidRequest(field_errors(error.errors()))), request)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != phrase else f"{request.method} {request.url.path}: {phrase.lower()}"
    hint = "the routes are described at /docs" if error.status_code in {404, 405} else None
    kind = phrase.lower().replace(" ", "-")
    return _response(Problem(kind, error.status_code, detail, hint, headers=dict(error.headers or {})), request)


async def _disconnected(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return Response(status_code=499)  # nobody reads it; it is for the metrics


async def _unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001
    detail = "an unexpected error occurred; the service's log has the details"
    return _response(Problem("internal-error", 500, detail), request)
