"""Partials that fences shut out are counted once, and told beside the totals."""

from typing import Any

import pytest
from pymongo.errors import BulkWriteError
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.mongodb import database
from support.server_parts import PLACE, batch_of, client_of, fence_message, fresh_database, one


def batch(first_offset: int, known: logs.Log):
    """Return a fence of run 2, and two partials of run 1 behind it."""
    messages = [fence_message(2), *(one([(n, 1.0)], number=n, run=1) for n in (1, 2))]
    return batch_of(*messages, log=known, first_offset=first_offset)


async def test_what_is_read_again_is_not_counted_again(mongod):
    async with fresh_database(mongod) as db, client_of(db) as client:
        stored = database.logs(db)
        known = logs.Log(PLACE, None)
        for first_offset in (10, 10, 13):
            made = batch(first_offset, known)
            assert (made.fenced, len(made.partials)) == (2, 0)
            await logs.save(stored, made.fences, made.fenced_at)
        await logs.save(stored, [], {PLACE._replace(partition=1): [5]})
        assert await logs.fenced_total(stored) == 2 + 2 + 1
        answer = (await client.get("/api/integrity")).json()
        assert answer["set_aside"]["fenced"] == 5


@pytest.mark.parametrize(("how", "code"), [("no number", "16554"), ("validated", "121")])
async def test_a_counter_that_mongodb_never_takes_is_left_out(mongod, how, code, caplog):
    async with fresh_database(mongod) as db:
        stored = database.logs(db)
        if how == "validated":
            of_ours = {"_id": {"$ne": "topic/0"}}
            await db.create_collection(stored.name, validator=of_ours)
        else:
            await stored.insert_one(
                {"_id": "topic/0", "fenced": "three", "last_fenced": {"log": "log", "offset": 4}}
            )
        await logs.save(stored, [], {PLACE: [5, 6], PLACE._replace(partition=1): [7]})
        assert await logs.fenced_total(stored) == 1
    (said,) = caplog.records
    assert said.message == "a fence, or a count of fenced partials, is not stored"
    assert said.partition == 0
    assert said.error.startswith(f"MongoDB: {code}: ")


async def test_a_counter_that_another_server_has_just_made_is_counted_again():
    class Stored:
        async def bulk_write(self, *_, **__):
            duplicate = {"index": 0, "code": 11000, "keyPattern": {"_id": 1}}
            raise BulkWriteError({"writeErrors": [duplicate], "writeConcernErrors": []})

    stored: Any = Stored()
    with pytest.raises(BulkWriteError):
        await logs.save(stored, [], {PLACE: [5]}, refused_seconds=1e9)
