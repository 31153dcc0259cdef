"""`GET /api/sensors/{facility}`: stored windows, newest first."""

import asyncio
import math
from typing import Any

import pymongo
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api.answers import json
from sensorpipe_server.api.params import Params, write_cursor
from sensorpipe_server.database import READ_SECONDS, Collection
from sensorpipe_server.documents import Document, id_range


class Windows:
    """Answers pages of one facility's windows.

    `from` and `to` choose the windows that start in `from <= start < to`, so that
    neighbouring ranges share none. With `sensors` only windows that have one of them.
    """

    def __init__(self, windows: Collection, page_limit: int) -> None:
        self._windows = windows
        self._page_limit = page_limit

    async def answer(self, request: Request) -> Response:
        """Answer one page."""
        params = Params(request, "offset", "limit", "from", "to", "sensors", "cursor")
        facility = params.facility(request.path_params["facility"]) or ""
        offset, limit = params.offset(), params.limit(self._page_limit)
        start, end = params.span()
        sensors, cursor = params.sensors(required=False), params.cursor()
        params.check()
        condition = condition_of(facility, start, end, sensors)
        with pymongo.timeout(READ_SECONDS):
            total, found = await asyncio.gather(
                self._windows.count_documents(condition),
                self._page(condition, facility, cursor, offset, limit + 1),
            )
        pagination: dict[str, Any] = {"limit": limit, "total": total}
        if cursor is None:
            pagination = {"offset": offset, **pagination}
        if len(found) > limit:
            pagination["next"] = write_cursor(found[limit - 1]["_id"])
        data = [item(document, sensors) for document in found[:limit]]
        return json({"data": data, "pagination": pagination})

    async def _page(
        self, condition: Document, facility: str, cursor: str | None, offset: int, count: int
    ) -> list[Document]:
        if cursor:
            older = f"{facility}/{cursor}"
            bounds = condition["_id"]
            condition = {**condition, "_id": {**bounds, "$lt": min(older, bounds["$lt"])}}
        found = self._windows.find(condition, _PROJECTION, sort=[("_id", -1)], batch_size=count)
        return await found.skip(offset).limit(count).to_list()


_PROJECTION = {"compactors": 0}


def condition_of(facility: str, start_ms: int, end_ms: int, sensors: list[str]) -> Document:
    """Return the condition for windows of a facility that have one of the sensors, or any."""
    condition: Document = {"_id": id_range(facility, start_ms, end_ms)}
    if sensors:
        condition["$or"] = [{f"sensors.{name}": {"$exists": True}} for name in sensors]
    return condition


def item(document: Document, sensors: list[str]) -> dict[str, Any]:
    """Return a window as the API shows it."""
    shown: dict[str, Any] = {
        key: document[key] for key in ("facility_name", "window", "received_at")
    }
    for name, summary in sorted(document["sensors"].items()):
        if sensors and name not in sensors:
            continue
        count = summary["count"]
        shown[f"avg_{name}"] = summary["mean"]
        shown[f"min_{name}"] = summary["min"]
        shown[f"max_{name}"] = summary["max"]
        shown[f"stdev_{name}"] = math.sqrt(summary["m2"] / (count - 1)) if count > 1 else 0.0
        shown[f"count_{name}"] = count
    return shown
