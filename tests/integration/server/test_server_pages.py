"""A page misses no window while the partials of one are put together."""

from typing import Any

import pymongo
import pytest
from pymongo.monitoring import CommandListener
from sensorpipe_server.storage.documents import id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.queries import newest_window
from sensorpipe_server.storage.reads.pages import page_keys
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]

WINDOWS, PARTIALS = 8, 5


class Folder(CommandListener):
    """Puts the partials of every window together before a server gets the `at`-th read."""

    def __init__(self, uri, name, at):
        self._uri, self._name, self._left = uri, name, at

    def started(self, event):
        self._left -= event.command_name in {"find", "getMore"}
        if self._left:
            return
        self._left = -1
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(self._uri)
        with client:
            windows = client[self._name]["compacted_sensor_readings"]
            for start in sorted(starts()):
                key = f"facility_1/{start:015d}/10000"
                windows.insert_one({"_id": f"{key}/folded"})
                windows.delete_many({"_id": {"$gt": f"{key}/", "$lt": f"{key}/f"}})

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def starts():
    return [T0 + n * 10_000 for n in reversed(range(WINDOWS))]


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_windows_put_together_between_two_reads_are_not_missed(db, mongod, at):
    numbers = range(WINDOWS * PARTIALS)
    await store(db, *(one([(n + 1, 1.0)], window=n // PARTIALS, number=n + 1) for n in numbers))
    uri = f"mongodb://127.0.0.1:{mongod.port}/{db.name}"
    async with database.connect(uri, event_listeners=[Folder(uri, db.name, at)]) as client:
        windows = database.windows(database.database(client))
        found = await page_keys(windows, {"_id": id_range("facility_1")}, 1, 5)
    assert [key.start_ms for key in found] == starts()[1:6]


@pytest.mark.parametrize("at", [1, 2])
async def test_the_newest_window_is_found_while_it_is_put_together(db, mongod, at):
    numbers = range(WINDOWS * PARTIALS)
    await store(db, *(one([(n + 1, 1.0)], window=n // PARTIALS, number=n + 1) for n in numbers))
    uri = f"mongodb://127.0.0.1:{mongod.port}/{db.name}"
    async with database.connect(uri, event_listeners=[Folder(uri, db.name, at)]) as client:
        found = await newest_window(database.windows(database.database(client)), "facility_1")
    assert found is not None
    assert found.start_ms == starts()[0]
