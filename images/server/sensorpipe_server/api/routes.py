"""The table of routes."""

from starlette.applications import Starlette
from starlette.routing import Route

from sensorpipe_server import database
from sensorpipe_server.api.facilities import FacilityList
from sensorpipe_server.api.health import Check, Health, metrics
from sensorpipe_server.api.integrity import Integrity
from sensorpipe_server.api.problems import HANDLERS
from sensorpipe_server.api.sensors import Windows
from sensorpipe_server.api.stats import Stats


def application(
    db: database.Database, *, page_limit: int, consuming: Check, assigned: Check
) -> Starlette:
    """Return the web application."""
    windows, facilities = database.windows(db), database.facilities(db)
    health = Health(db, consuming=consuming, assigned=assigned)
    table = {
        "/api/sensors/{facility}": Windows(windows, page_limit).answer,
        "/api/stats": Stats(windows, facilities).answer,
        "/api/facilities": FacilityList(windows, facilities).answer,
        "/api/integrity": Integrity(windows, facilities).answer,
        "/healthz": health.healthz,
        "/readyz": health.readyz,
        "/metrics": metrics,
    }
    routes = [Route(path, endpoint) for path, endpoint in table.items()]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return app
