"""A position is stored before it is committed, so that a restored backup is found out."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from pymongo import ReadPreference
from pymongo.errors import AutoReconnect, BulkWriteError
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.settings import Environment
from sensorpipe_server.ingest.consume import Ingest
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.ingest.positions import Positions
from sensorpipe_server.ingest.reader import Reader
from sensorpipe_server.storage.logs import Log
from sensorpipe_server.storage.mongodb import database
from support.server_parts import PLACE

ZERO = TopicPartition(PLACE.topic, 0)


class Both:
    """Kafka and MongoDB: what was done to them, in order."""

    def __init__(self, error=None):
        self.error = error
        self.done = []

    async def bulk_write(self, updates, **_):
        self.done.append(("stored", len(updates)))
        if self.error is not None:
            raise self.error

    async def commit(self, offsets):
        self.done.append(("committed", offsets[ZERO]))


async def commit(both):
    membership = Membership()
    membership.logs[ZERO] = Log(PLACE, PLACE.log)
    await Positions(both, membership, both).commit({ZERO: 5})


async def test_a_position_is_stored_first():
    both = Both()
    await commit(both)
    assert both.done == [("stored", 1), ("committed", 5)]


async def test_without_mongodb_nothing_is_committed():
    both = Both(AutoReconnect("away"))
    with pytest.raises(AutoReconnect):
        await commit(both)
    assert both.done == [("stored", 1)]


async def test_what_mongodb_refuses_holds_up_no_commit(caplog):
    both = Both(BulkWriteError({"writeErrors": [{"code": 121}]}))
    await commit(both)
    assert both.done == [("stored", 1), ("committed", 5)]
    assert "positions are not stored" in caplog.text


@pytest.mark.parametrize(
    ("stored", "committed", "is_restored"),
    [(4, 5, True), (5, 5, False), (6, 5, False), (0, 5, True), (None, 5, False), (4, None, False)],
)
def test_a_database_is_older_than_kafka_if_less_is_stored(stored, committed, is_restored):
    assert Log(PLACE, PLACE.log, (), stored).is_older_than(committed) is is_restored


class Assigned:
    """A consumer that has one partition, in which so much is committed."""

    def __init__(self, committed):
        self.at = committed
        self.sought = []

    def assignment(self):
        return {ZERO}

    async def committed(self, _):
        return self.at

    def seek(self, partition, offset):
        self.sought.append((partition, offset))


class Stored:
    """The collection of logs, with one position."""

    def __init__(self, position):
        self.position = {"log": PLACE.log, "offset": position}

    async def find_one(self, _):
        return {"_id": "topic/0", "log": PLACE.log, "position": self.position}


@pytest.mark.parametrize(
    ("committed", "sought", "left"), [(5, [], [ZERO]), (6, [(ZERO, 0)], []), (None, [], [ZERO])]
)
async def test_a_partition_of_which_less_is_stored_is_read_from_its_beginning(
    committed, sought, left, caplog
):
    consumer, membership, fetched = Assigned(committed), Membership(), {ZERO: ["a record"]}
    stored: Any = Stored(5)
    reader = Reader(consumer, membership, stored, PLACE.log, unexpected)
    await reader._load_logs(fetched)
    assert (consumer.sought, list(fetched)) == (sought, left)
    assert ("less is stored than was committed" in caplog.text) is bool(sought)
    assert membership.logs[ZERO].position == 5


async def unexpected():
    raise AssertionError("the topics are there")


async def test_positions_and_fences_are_read_from_the_primary_whatever_the_uri_prefers():
    """A secondary that lags has older ones: a fence would be missed, or a restore imagined."""
    kafka = KafkaSettings.read(Environment({}))
    async with database.connect("mongodb://127.0.0.1/x?readPreference=secondary") as client:
        ingest = Ingest(kafka, database.database(client))
        assert ingest._logs.read_preference == ReadPreference.PRIMARY
        assert ingest._logs.write_concern == database.DURABLE
