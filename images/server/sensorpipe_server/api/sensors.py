"""`GET /api/sensors/{facility}`: stored windows, newest first."""

import time
from collections.abc import Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.caching import Caching
from sensorpipe_server.api.http.answers import encoded, json
from sensorpipe_server.api.http.scans import Scans
from sensorpipe_server.api.openapi.answers import Pagination, Span, Window, Windows
from sensorpipe_server.api.params import Params, write_cursor
from sensorpipe_server.storage.documents import Document, WindowKey, date, id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import with_sensors
from sensorpipe_server.storage.reads.counts import Counts, WindowQuery
from sensorpipe_server.storage.reads.pages import Row, page_keys, rows
from sensorpipe_server.storage.rollups.levels import WINDOWS
from sensorpipe_server.storage.rollups.state import State
from sensorpipe_server.storage.source_seqs import Settling


class WindowList:
    """Answers pages of one facility's windows.

    `from` and `to` choose the windows that start in `from <= start < to`, so that
    neighbouring ranges share none. With `sensors` only windows that have one of them.
    """

    def __init__(
        self,
        db: Database,
        page_limit: int,
        settling: Settling,
        caching: Caching,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._windows = database.windows(db)
        self._counts = Counts(db)
        self._page_limit = page_limit
        self._settling = settling
        self._caching = caching
        self._clock = clock
        self._limited_page = Scans().limited(self._page)

    async def answer(self, request: Request) -> Response:
        """Answer one page; expensive ones are limited, a few at once.

        Those name several sensors, so windows must be counted one by one: rollups do not say how
        many have any of the sensors.
        """
        query = request.query_params
        counts_much = "," in query.get("sensors", "") and "cursor" not in query
        return await (self._limited_page if counts_much else self._page)(request)

    async def _page(self, request: Request) -> Response:
        params = Params(request, operations.WINDOWS, self._clock)
        facility = params.facility(request.path_params["facility"]) or ""
        offset, limit = params.offset(), params.limit(self._page_limit)
        start, end = params.span()
        sensors, cursor = params.sensors(required=False), params.cursor()
        params.check()
        headers = await self._caching.headers(params.fixed_range, [facility], params.now_ms)
        query = WindowQuery(facility, start, end, sensors)

        async def read(state: State) -> tuple[Pagination, list[Row]]:
            # removed windows may still exist; no total counts them
            kept_ms = max(start, state.removed.get(WINDOWS, 0))
            kept = query._replace(from_ms=kept_ms)
            return await self._read(kept, state, offset, limit, cursor)

        pagination, found = await self._counts.read_consistently(facility, read)
        items = (self._item(row, sensors, params.now_ms) for row in found)
        return json(Windows(await encoded(items), pagination), headers)

    def _item(self, row: Row, sensors: list[str], now_ms: int) -> Window:
        return item(row, sensors, complete=self._settling.is_complete(row.key.end_ms, now_ms))

    async def _read(
        self, query: WindowQuery, state: State, offset: int, limit: int, cursor: str | None
    ) -> tuple[Pagination, list[Row]]:
        pagination = Pagination(limit=limit)
        if cursor is None:
            total, keys = await self._at(query, state, offset, limit + 1)
            pagination = Pagination(offset=offset, limit=limit, total=total)
        else:  # with a cursor no total is needed, which takes longest
            keys = await page_keys(self._windows, _condition(query, cursor), 0, limit + 1)
        if len(keys) > limit:
            pagination.next = write_cursor(keys[limit - 1])
        return pagination, await rows(self._windows, keys[:limit], query.sensors)

    async def _at(
        self, query: WindowQuery, state: State, offset: int, count: int
    ) -> tuple[int, list[WindowKey]]:
        """Return the total number of windows, and `count` of them from the `offset`-th on."""
        status = await self._counts.read_status(query.facility, state)
        stretches = await self._counts.stretches(query, status)
        total = sum(stretch.windows for stretch in stretches)
        place = await self._counts.place(query, status, stretches, offset)
        if place is None:
            return total, []
        end_ms, skip = place
        condition = _condition(query._replace(to_ms=min(query.to_ms, end_ms)))
        return total, await page_keys(self._windows, condition, skip, count)


def _condition(query: WindowQuery, place: str = "") -> Document:
    """Return the condition for windows, with `place` only those after that of a cursor."""
    bounds = id_range(query.facility, query.from_ms, query.to_ms)
    if place:
        bounds["$lt"] = min(f"{query.facility}/{place}/", bounds["$lt"])
    return with_sensors({"_id": bounds}, query.sensors)


def item(row: Row, sensors: list[str], *, complete: bool) -> Window:
    """Return a window as the API shows it."""
    key = row.key
    shown: dict[str, Any] = {
        "facility_name": key.facility,
        "window": Span(date(key.start_ms), date(key.end_ms)),
        "received_at": row.received_at,
        "complete": complete,
    }
    for name, moments in sorted(row.sensors.items()):
        if sensors and name not in sensors:
            continue
        shown[f"avg_{name}"] = moments.mean
        shown[f"min_{name}"] = moments.min
        shown[f"max_{name}"] = moments.max
        shown[f"stdev_{name}"] = moments.stdev
        shown[f"count_{name}"] = moments.count
    return cast("Window", shown)  # with keys that a TypedDict cannot name
