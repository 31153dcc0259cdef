"""`GET /api/facilities`: the facilities, with their sensors and their last window."""

from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.http.answers import encoded, json
from sensorpipe_server.api.openapi.answers import Facilities, Facility, Span
from sensorpipe_server.api.params import Params
from sensorpipe_server.storage.documents import date
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import facility_names, newest_window
from sensorpipe_server.storage.reads.facility_list import FacilityEntry, read_entries, sensors_in


class FacilityList:
    """Answers the list of facilities."""

    def __init__(self, db: Database) -> None:
        self._windows = database.windows(db)
        self._lists = database.facilities(db)

    async def answer(self, request: Request) -> Response:
        """Answer names, sensors and last windows; a new window may appear some seconds later."""
        params = Params(request, operations.FACILITIES)
        params.check()
        found = await read_entries(self._lists, with_sensors=True)
        if not found:
            found = [FacilityEntry(name) async for name in facility_names(self._windows)]
        found = [each for each in found if params.granted.has(each.name)]
        entries = [each if each.is_whole else await self._complete(each) for each in found]
        items = (_item(each) for each in entries if each is not None)
        return json(Facilities(await encoded(items)))

    async def _complete(self, entry: FacilityEntry) -> FacilityEntry | None:
        """Return the completed entry of a facility; None if it has no window."""
        last = await newest_window(self._windows, entry.name)
        if last is None:
            return None
        sensors = entry.sensors or await sensors_in(self._windows, last)
        return entry._replace(sensors=sensors, last_ms=last.start_ms, last_end_ms=last.end_ms)


def _item(entry: FacilityEntry) -> Facility:
    last = Span(date(entry.last_ms or 0), date(entry.last_end_ms or 0))
    return Facility(entry.name, sorted(entry.sensors or ()), dict(entry.units), last)
