"""`GET /api/facilities`: which facilities there are, what they measure, how recently."""

import pymongo
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api.answers import json
from sensorpipe_server.api.params import Params
from sensorpipe_server.database import READ_SECONDS, Collection
from sensorpipe_server.documents import id_range


async def facility_names(facilities: Collection) -> list[str]:
    """Return the names of all facilities, sorted."""
    return list(await sensors_by_facility(facilities))


async def sensors_by_facility(facilities: Collection) -> dict[str, list[str]]:
    """Return the sensors that each facility ever had, both sorted."""
    with pymongo.timeout(READ_SECONDS):
        entries = await facilities.find({"_id": {"$gte": ""}}, sort=[("_id", 1)]).to_list()
    return {entry["_id"]: sorted(entry["sensors"]) for entry in entries}


class FacilityList:
    """Answers the list of facilities."""

    def __init__(self, windows: Collection, facilities: Collection) -> None:
        self._windows = windows
        self._facilities = facilities

    async def answer(self, request: Request) -> Response:
        """Answer names, sensors seen, and the last window."""
        Params(request).check()
        data = []
        for name, sensors in (await sensors_by_facility(self._facilities)).items():
            with pymongo.timeout(READ_SECONDS):
                last = await self._windows.find_one(
                    {"_id": id_range(name)}, {"window": 1}, sort=[("_id", -1)]
                )
            if last is not None:
                data.append(
                    {"facility_name": name, "sensors": sensors, "last_window": last["window"]}
                )
        return json({"data": data})
