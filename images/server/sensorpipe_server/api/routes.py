"""The web application: the endpoint of each path."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.routing import Route

from sensorpipe_server.api.dead_letter_counts import DeadLetterCounts
from sensorpipe_server.api.facilities import FacilityList
from sensorpipe_server.api.http.problems import HANDLERS
from sensorpipe_server.api.http.scans import Endpoint, Scans, ended_by_disconnect
from sensorpipe_server.api.integrity import IntegrityReport
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
    integrity = IntegrityReport(db, settling or Settling(), set_aside or _unknown)
    table: dict[str, Endpoint] = {
        "/api/sensors/{facility}": WindowList(db, page_limit).answer,
        "/api/stats": Scans().limited(Stats(db).answer),
        "/api/facilities": FacilityList(db).answer,
        "/api/integrity": Scans().limited(integrity.answer),
    }
    routes = [Route(path, ended_by_disconnect(endpoint)) for path, endpoint in table.items()]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return app


async def _unknown() -> DeadLetterCounts:
    return DeadLetterCounts()
