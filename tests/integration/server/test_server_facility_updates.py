"""What is noted of facilities is written once, whichever sensors come together."""

from datetime import UTC, datetime
from itertools import combinations

from pymongo import monitoring
from sensorpipe_schema.partial import encode
from sensorpipe_server.storage.facilities import Facilities
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.store import Store
from support.server_parts import NOW, T0, batch_of, one, partial, summary

pytest_plugins = ["support.server_fixtures"]

NAMES = [f"s{number}" for number in range(8)]


class Writes(monitoring.CommandListener):
    """Counts the updates of the collection of facilities."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.count += event.command.get("update") == "facilities"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


async def test_sensors_that_come_in_other_combinations_are_not_written_again(db, mongod):
    writes = Writes()
    uri = f"mongodb://127.0.0.1:{mongod.port}/{db.name}"
    async with database.connect(uri, event_listeners=[writes]) as client:
        facilities = Facilities(database.facilities(database.database(client)))
        for number, names in enumerate(combinations(NAMES, 3)):
            made = partial({name: summary([(1, 1.0)]) for name in names}, number=number + 1)
            await facilities.note(batch_of(encode(made), received_at=NOW).partials)
    (listed,) = await database.facilities(db).find().to_list()
    assert sorted(listed["sensors"]) == NAMES
    assert writes.count == len(NAMES) - 2


async def test_a_window_before_the_first_one_is_in_the_statistics_at_once(db, client):
    writing = Store(db)
    for number, window in enumerate((100, 50, 70), 1):
        message = one([(number, 1.0)], window=window, number=number)
        await writing.write(batch_of(message).partials)
    end = datetime.fromtimestamp((T0 + 60 * 10_000) / 1000, UTC)
    query = {"sensors": "temperature", "to": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
    (found,) = (await client.get("/api/stats", params=query)).json()
    assert found["temperature"]["count"] == 1
