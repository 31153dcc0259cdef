"""The web application: the code of each operation of `operations.py`."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.routing import Route

from sensorpipe_server.api import operations
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounts
from sensorpipe_server.api.facilities import FacilityList
from sensorpipe_server.api.http.problems import HANDLERS
from sensorpipe_server.api.http.scans import Scans, ended_by_disconnect
from sensorpipe_server.api.integrity import IntegrityReport
from sensorpipe_server.api.openapi_json import OpenApi
from sensorpipe_server.api.sensors import WindowList
from sensorpipe_server.api.stats import Stats
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.source_seqs import Settling


def application(
    db: database.Database,
    *,
    page_limit: int,
    settling: Settling | None = None,
    set_aside: Callable[[], Awaitable[DeadLetterCounts]] | None = None,
) -> Starlette:
    """Return the web application."""
    settling = settling or Settling()
    integrity = IntegrityReport(db, settling, set_aside or _unknown)
    endpoints = {
        operations.WINDOWS: WindowList(db, page_limit, settling).answer,
        operations.STATS: Scans().limited(Stats(db).answer),
        operations.FACILITIES: FacilityList(db).answer,
        operations.INTEGRITY: Scans().limited(integrity.answer),
    }
    described = [*endpoints, operations.OPENAPI]
    endpoints[operations.OPENAPI] = OpenApi(described, page_limit).answer
    routes = [Route(each.path, ended_by_disconnect(code)) for each, code in endpoints.items()]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return app


async def _unknown() -> DeadLetterCounts:
    return DeadLetterCounts()
