"""Errors as problem documents (RFC 9457)."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import UNSET
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api.http import metrics
from sensorpipe_server.api.openapi.answers import Problem
from sensorpipe_server.api.openapi.operation import PROBLEM

log = logging.getLogger(__name__)

_SHOWN: Final = 5

METHODS: Final = ("GET", "HEAD", "OPTIONS")
"""The methods that every path allows."""


class InvalidRequestError(Exception):
    """A request that cannot be answered, with everything that is wrong with it."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class ForbiddenError(Exception):
    """A request for facilities that its token does not grant."""

    def __init__(self, facilities: Sequence[str], granted: object) -> None:
        names = ", ".join(repr(each) for each in facilities[:_SHOWN])
        super().__init__(f"The token does not grant the facility {names}; granted: {granted}")


def document(status: int, detail: str, path: str, errors: Sequence[str] = ()) -> bytes:
    """Return a problem document about a request for a path."""
    title = HTTPStatus(status).phrase
    found = list(errors) or UNSET
    return msgspec.json.encode(Problem("about:blank", title, status, detail, path, found))


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document as the answer to a request."""
    content = document(status, detail, request.url.path, errors)
    return Response(content, status, headers=headers, media_type=PROBLEM)


async def invalid_request(request: Request, error: Exception) -> Response:
    """Answer an InvalidRequestError."""
    errors = error.errors if isinstance(error, InvalidRequestError) else ()
    return problem(request, HTTPStatus.BAD_REQUEST, str(error), errors=errors)


async def forbidden(request: Request, error: Exception) -> Response:
    """Answer a ForbiddenError."""
    metrics.ACCESS_REFUSED.labels("facility").inc()
    return problem(request, HTTPStatus.FORBIDDEN, str(error))


async def http_error(request: Request, error: Exception) -> Response:
    """Answer requests that Starlette refuses: an unknown path, a method that is not allowed.

    Every path allows the same methods, OPTIONS among them, to which no route is registered.
    """
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(METHODS)
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    details = {
        HTTPStatus.NOT_FOUND: f"Unknown path {request.url.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed; use GET",
    }
    detail = details.get(HTTPStatus(error.status_code), str(error.detail))
    return problem(request, error.status_code, detail, headers=headers)


async def database_unavailable(request: Request, error: Exception) -> Response:
    """Answer while MongoDB is unavailable."""
    log.info(
        "request not answered: MongoDB is unavailable",
        extra={"path": request.url.path, "error": str(error)[:500]},
    )
    detail = "The database does not answer; try again in a few seconds"
    headers = {"Retry-After": "5"}
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)


async def internal_error(request: Request, _error: Exception) -> Response:
    """Answer after an internal error, which is in the log."""
    detail = "The server failed to answer; see its log"
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


HANDLERS = {
    InvalidRequestError: invalid_request,
    ForbiddenError: forbidden,
    HTTPException: http_error,
    PyMongoError: database_unavailable,
    Exception: internal_error,
}
