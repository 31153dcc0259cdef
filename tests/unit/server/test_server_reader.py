"""A server that is never let into its group begins anew instead of waiting for ever."""

import asyncio
from typing import Any

import pytest
from sensorpipe_server.ingest import fetch_watch, reader
from sensorpipe_server.ingest.fetch_watch import FetchesFailedError
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.ingest.reader import Reader


class Joining:
    """A consumer that waits for its assignment, as aiokafka's does: without any end."""

    def __init__(self):
        self.asked = 0

    def assignment(self):
        return set()

    async def getmany(self, **_):
        self.asked += 1
        await asyncio.get_running_loop().create_future()


async def never():
    raise AssertionError("the topics are looked for only once the group has let us in")


async def test_a_group_that_does_not_let_us_in_ends_the_session(monkeypatch):
    monkeypatch.setattr(fetch_watch, "FAILED_AFTER", 0.3)
    monkeypatch.setattr(reader, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(reader, "IDLE_SECONDS", 0.0)
    consumer = Joining()
    nothing: Any = None
    reading = Reader(consumer, Membership(), nothing, "log", never)
    async with asyncio.timeout(20):
        with pytest.raises(FetchesFailedError, match="not admitted to the consumer group for"):
            await reading.run(asyncio.Queue())
    assert consumer.asked > 1
