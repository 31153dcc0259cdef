"""`GET /openapi.json`: this API, as an OpenAPI 3.1 document."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.http.answers import json
from sensorpipe_server.api.openapi.document import document
from sensorpipe_server.api.openapi.operation import Operation
from sensorpipe_server.api.openapi.security import restrict
from sensorpipe_server.api.params import Params


class OpenApi:
    """Answers the document of some operations, made once; `is_restricted` if they need tokens."""

    def __init__(
        self, described: Sequence[Operation], page_limit: int, *, is_restricted: bool = False
    ) -> None:
        limit = {"maximum": page_limit, "default": page_limit}
        made = document(described, {"limit": limit})
        self._body = json(restrict(made, described) if is_restricted else made).body

    async def answer(self, request: Request) -> Response:
        """Answer the document."""
        Params(request, operations.OPENAPI).check()
        return Response(self._body, media_type="application/json")
