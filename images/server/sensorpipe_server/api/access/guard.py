"""Refuses requests that may not read what they ask for, before anything else is done for them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensorpipe_server.access.grants import Caller, Permissions
from sensorpipe_server.access.tokens import RefusedError
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.access.sources import NoKeysError
from sensorpipe_server.api.http import metrics
from sensorpipe_server.api.http.conditional import TAG_SALT
from sensorpipe_server.api.http.limits import RETRY_AFTER_SECONDS
from sensorpipe_server.api.http.problems import problem

_CALLER: Final = "sensorpipe.caller"
_CHALLENGE: Final = 'Bearer realm="sensorpipe"'


def caller_of(scope: Scope) -> Caller:
    """Return who sent a request; may read everything where access is not restricted."""
    found: Caller = scope.get(_CALLER, Caller())
    return found


class Guard:
    """Lets requests for an operation pass if their token grants its scope.

    `scopes` has the scope of each route, None for one that is open. Which facilities are granted
    is up to the operation, which finds it by `caller_of`. Unknown paths pass, since they hold
    nothing, and OPTIONS, which browsers send without a token.
    """

    def __init__(
        self, app: ASGIApp, access: Access, scopes: Sequence[tuple[Route, str | None]]
    ) -> None:
        self._app = app
        self._access = access
        self._scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        needed = self._needed(scope)
        if needed is None:
            await self._app(scope, receive, send)
            return
        private = _Private(send).send
        found = await self._caller(Request(scope), needed)
        if isinstance(found, Response):
            await found(scope, receive, private)
            return
        salted = {**scope, _CALLER: found, TAG_SALT: found.name.encode()}
        await self._app(salted, receive, private)

    def _needed(self, scope: Scope) -> str | None:
        """Return the scope that a request needs; None if it passes."""
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            return None
        matching = (needed for route, needed in self._scopes if _is_for(route, scope))
        return next(matching, None)

    async def _caller(self, request: Request, needed: str) -> Caller | Response:
        """Return who may read, or the refusal."""
        try:
            granted = await self._access.permissions(request.headers.getlist("authorization"))
        except RefusedError as error:
            return _unauthorized(request, error.reason, str(error))
        except NoKeysError:
            metrics.ACCESS_REFUSED.labels("no_keys").inc()
            detail = "The keys of the token's issuer cannot be fetched now; try again later"
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)
        return granted.caller(needed) or _not_granted(request, granted, needed)


class _Private:
    """Marks the answer to one request as one for its sender only."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            headers.add_vary_header("Authorization")
            caching = headers.get("cache-control", "no-cache")
            headers["Cache-Control"] = f"private, {caching.removeprefix('public, ')}"
            message = {**message, "headers": headers.raw}
        await self._send(message)


def _is_for(route: Route, scope: Scope) -> bool:
    match, _ = route.matches(scope)
    return match is not Match.NONE


def _not_granted(request: Request, granted: Permissions, needed: str) -> Response:
    if granted.principal is None:
        return _unauthorized(request, "no_token", "A token is needed: `Authorization: Bearer …`")
    metrics.ACCESS_REFUSED.labels("scope").inc()
    detail = f"The token does not grant the scope {needed}; granted: {granted}"
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{needed}"'
    headers = {"WWW-Authenticate": challenge}
    return problem(request, HTTPStatus.FORBIDDEN, detail, headers=headers)


def _unauthorized(request: Request, reason: str, detail: str) -> Response:
    metrics.ACCESS_REFUSED.labels(reason).inc()
    challenge = _CHALLENGE
    if reason != "no_token":
        challenge += f', error="invalid_token", error_description="{_quotable(detail)}"'
    headers = {"WWW-Authenticate": challenge}
    return problem(request, HTTPStatus.UNAUTHORIZED, detail, headers=headers)


def _quotable(text: str) -> str:
    """Return a text without what RFC 6750 does not allow in a description."""
    return "".join(each if " " <= each <= "~" and each not in '"\\' else "'" for each in text)
