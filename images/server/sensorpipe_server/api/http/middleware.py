"""What all answers of the API have in common: headers, CORS, compression, entity tags."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from sensorpipe_server.api.http.compression import Compression
from sensorpipe_server.api.http.conditional import Conditional
from sensorpipe_server.api.http.limits import SECURITY_HEADERS
from sensorpipe_server.api.http.problems import METHODS

REQUEST_HEADERS: Final = ("Authorization", "If-None-Match", "Last-Event-ID")
"""Headers of requests that pages of other origins may send, beside those they always may."""

EXPOSED_HEADERS: Final = (
    "Content-Disposition",
    "ETag",
    "Retry-After",
    "Sensorpipe-Every",
    "Sensorpipe-From",
    "Sensorpipe-To",
)
"""Headers of answers that pages of other origins may read, beside those they always may."""


class HttpApplication(Starlette):
    """An application with everything that its answers have in common.

    Pages of `cors_origins` may read the answers; `*` stands for all origins. `guard` is put around
    all that makes answers; its own have the common headers, too.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        exception_handlers: Mapping[Any, ExceptionHandler],
        cors_origins: Collection[str] = (),
        guard: Callable[[ASGIApp], ASGIApp] | None = None,
    ) -> None:
        super().__init__(routes=routes, exception_handlers=exception_handlers)
        self._cors_origins = cors_origins
        self._guard = guard

    def build_middleware_stack(self) -> ASGIApp:
        """Return the middleware around the routes, and around answers to internal errors as well.

        Starlette leaves the latter out of the middleware that it is passed.
        """
        app: ASGIApp = Compression(Conditional(super().build_middleware_stack()))
        if self._guard is not None:
            app = self._guard(app)
        if self._cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=self._cors_origins,
                allow_methods=METHODS,
                allow_headers=REQUEST_HEADERS,
                expose_headers=EXPOSED_HEADERS,
            )
        return _DefaultHeaders(app)


class _DefaultHeaders:
    """Adds headers to the answers of an application, unless an answer has its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache")
                message = {**message, "headers": headers.raw}
            await send(message)

        await self._app(scope, receive, send_with_headers)
