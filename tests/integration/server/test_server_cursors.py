"""A read that is cancelled ends, and leaves no cursor, which MongoDB would keep for ten minutes."""

import asyncio

import pytest
from bson import ObjectId
from pymongo.monitoring import CommandListener
from sensorpipe_server.storage.logs import fenced_total
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.queries import (
    count_windows,
    facility_names,
    has_others,
    in_batches,
    newest_window,
)
from sensorpipe_server.storage.reads.facility_list import read_entries
from sensorpipe_server.storage.rollups.state import RollupState
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]

DOCUMENTS = 3000

_STEPS = 3


class Leaver(CommandListener):
    """Cancels a task so many steps of the event loop after its first read of a kind began."""

    task: asyncio.Task[None]

    def __init__(self, command, steps=_STEPS):
        self._command = command
        self._steps = steps

    def started(self, event):
        if event.command_name == self._command and not self.task.cancelling():
            _after(self._steps, self.task.cancel)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def _after(steps, call):
    """Call after so many steps of the event loop."""
    asyncio.get_running_loop().call_soon(*((_after, steps - 1, call) if steps else (call,)))


async def batches(db):
    async for _ in in_batches(database.facilities(db), {}, {"_id": 1}):
        pass


async def whole_list(db):
    await read_entries(database.facilities(db), with_sensors=False)


async def all_states(db):
    await RollupState(db).read()


async def all_markers(db):
    await RollupState(db).next_markers(None, 0)


async def fill(db):
    """Store what each of the reads finds more of than comes at once."""
    numbers = range(DOCUMENTS)
    await database.facilities(db).insert_many({"_id": f"f{n:05}"} for n in numbers)
    await database.rollup_state(db).insert_many({"_id": f"f{n:05}"} for n in numbers)
    await database.rollup_dirty(db).insert_many(
        {"_id": f"f/{n:015}", "mark": ObjectId()} for n in numbers
    )


async def cursors(db):
    """Return how many cursors were opened up to now, and how many are open."""
    status = await db.client.admin.command("serverStatus")
    found = status["metrics"]["cursor"]
    return found["totalOpened"], found["open"]["total"]


@pytest.mark.parametrize("read", [batches, whole_list, all_states, all_markers])
@pytest.mark.parametrize("command", ["find", "getMore"])
async def test_a_read_cancelled_under_way_leaves_no_cursor(db, mongod, read, command):
    await fill(db)
    opened, still_open = await cursors(db)
    leaver = Leaver(command)
    uri = f"mongodb://127.0.0.1:{mongod.port}/{db.name}"
    async with database.connect(uri, event_listeners=[leaver]) as client:
        leaver.task = asyncio.create_task(read(database.database(client)))
        with pytest.raises(asyncio.CancelledError):
            await leaver.task

        async def is_closed():
            now_opened, now_open = await cursors(db)
            return now_opened > opened and now_open <= still_open

        await eventually(is_closed)


async def one_state(db):
    await RollupState(db).of("f")


async def names(db):
    _ = [name async for name in facility_names(database.windows(db))]


async def others(db):
    await has_others(database.windows(db), [])


async def newest(db):
    await newest_window(database.windows(db), "f")


async def number_of_windows(db):
    await count_windows(database.windows(db), {"_id": {"$gte": "f"}}, 1)


async def fenced(db):
    await fenced_total(database.logs(db))


SHORT = {
    one_state: "find",
    names: "find",
    others: "find",
    newest: "find",
    number_of_windows: "aggregate",
    fenced: "find",
}


@pytest.mark.parametrize("read", SHORT)
@pytest.mark.parametrize("steps", range(4))
async def test_a_read_ends_whenever_it_is_cancelled(db, mongod, read, steps):
    """Also just as its command is written, when `asyncio.wait_for` loses a cancellation."""
    leaver = Leaver(SHORT[read], steps)
    uri = f"mongodb://127.0.0.1:{mongod.port}/{db.name}"
    async with database.connect(uri, event_listeners=[leaver]) as client:
        leaver.task = asyncio.create_task(read(database.database(client)))
        with pytest.raises(asyncio.CancelledError):
            await leaver.task


async def test_a_cancellation_that_was_lost_ends_the_next_read(db):
    async def scan():
        written = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(finish, written)
        await asyncio.wait_for(written, 60)  # as PyMongo waits for a socket
        await newest(db)

    def finish(written):
        written.set_result(None)
        scanning.cancel()

    scanning = asyncio.create_task(scan())
    with pytest.raises(asyncio.CancelledError):
        await scanning
