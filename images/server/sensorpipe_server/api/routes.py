"""The web application: the code of each operation of `operations.py`."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Route

from sensorpipe_server.api import operations
from sensorpipe_server.api.access.access import Access
from sensorpipe_server.api.access.guard import Guard
from sensorpipe_server.api.caching import CacheRules, Caching
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounts
from sensorpipe_server.api.dead_letters.answer import DeadLetterList, Source
from sensorpipe_server.api.facilities import FacilityList
from sensorpipe_server.api.http.limits import MAX_STREAMS
from sensorpipe_server.api.http.middleware import HttpApplication
from sensorpipe_server.api.http.open_streams import OpenStreams
from sensorpipe_server.api.http.problems import HANDLERS
from sensorpipe_server.api.http.scans import Scans, ended_by_disconnect
from sensorpipe_server.api.integrity import IntegrityReport
from sensorpipe_server.api.live.live import Live
from sensorpipe_server.api.openapi_json import OpenApi
from sensorpipe_server.api.page import Page
from sensorpipe_server.api.sensor_metrics import SensorMetrics
from sensorpipe_server.api.sensors import WindowList
from sensorpipe_server.api.series import SeriesAnswers
from sensorpipe_server.api.stats import Stats
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.source_seqs import Settling

_WAITING: Final = 8
"""Largest number of requests for dead letters that wait: each one reads some MB from Kafka."""

_NO_RETENTION: Final = CacheRules(lateness_ms=2_000, kept_ms=None)


def application(
    db: database.Database,
    *,
    page_limit: int,
    settling: Settling | None = None,
    set_aside: Callable[[], Awaitable[DeadLetterCounts]] | None = None,
    dead_letters: Source | None = None,
    cache_rules: CacheRules = _NO_RETENTION,
    cors_origins: Collection[str] = (),
    access: Access | None = None,
) -> Starlette:
    """Return the web application; without `access` everybody may read everything."""
    settling, caching = settling or Settling(), Caching(db, cache_rules)
    integrity = IntegrityReport(db, settling, set_aside or _unknown)
    endpoints = {
        operations.WINDOWS: WindowList(db, page_limit, settling, caching).answer,
        operations.STATS: Scans().limited(Stats(db, caching).answer),
        operations.SERIES: SeriesAnswers(db, settling, caching).answer,
        operations.FACILITIES: FacilityList(db).answer,
        operations.INTEGRITY: Scans().limited(integrity.answer),
        operations.DEAD_LETTERS: Scans(most_waiting=_WAITING).limited(
            DeadLetterList(dead_letters).answer
        ),
        operations.SENSOR_METRICS: Scans().limited(SensorMetrics(db, settling).answer),
    }
    streams = OpenStreams(MAX_STREAMS)
    described = [*endpoints, operations.LIVE, operations.OPENAPI]
    is_restricted = access is not None
    openapi = OpenApi(described, page_limit, is_restricted=is_restricted)
    endpoints[operations.OPENAPI] = openapi.answer
    code = {each: ended_by_disconnect(answer) for each, answer in endpoints.items()}
    live = Live(db, settling, streams)
    code[operations.LIVE] = live.answer
    routes = [Route(each.path, code[each]) for each in described]
    guard = None
    if access is not None:
        access.on_change.append(live.close_all)
        scopes = [(route, each.scope) for route, each in zip(routes, described, strict=True)]
        guard = partial(Guard, access=access, scopes=scopes)
    app = HttpApplication([*Page().routes(), *routes], HANDLERS, cors_origins, guard)
    app.state.streams = streams
    app.router.redirect_slashes = False
    return app


async def _unknown() -> DeadLetterCounts:
    return DeadLetterCounts()
