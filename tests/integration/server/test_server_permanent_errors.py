"""What MongoDB never takes stops nobody else: its record becomes a dead letter."""

import pytest
from pymongo import GEOSPHERE
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.store import Store
from support.server_parts import PLACE, batch_of, fence_message, one
from support.server_pipe import Pipe, expect

pytest_plugins = ["support.server_fixtures"]

FULL = 16 * 1024 * 1024 - 60
"""Bytes of a text that leaves a document no room for a name."""


@pytest.fixture
async def pipe(tansu):
    return Pipe(tansu.port)


async def validated(db, name):
    """Let a collection take nothing at all."""
    await db.create_collection(name, validator={"never": True})


@pytest.mark.parametrize("how", ["no array", "full", "validated"])
async def test_a_listing_that_mongodb_never_takes_is_left_out(pipe, db, how, caplog):
    listed = database.facilities(db)
    if how == "validated":
        await validated(db, listed.name)
    elif how == "full":
        await listed.insert_one({"_id": "facility_1", "sensors": [], "note": "x" * FULL})
    else:
        await listed.insert_one({"_id": "facility_1", "sensors": "temperature"})
    async with pipe.ingesting(db):
        await pipe.send(*(one([(n, 1.0)], number=n) for n in range(1, 41)))
        await pipe.send(one([(1, 1.0)], facility="other"), partition=1)
        await expect(db, [40, 1])
    assert (await pipe.committed())[:2] == [40, 1]
    said = [r for r in caplog.records if r.message.startswith("sensors of a facility are not list")]
    (error,) = [record.error for record in said if record.facility == "facility_1"]
    code = {"no array": "28664", "full": "17419", "validated": "121"}[how]
    assert code in error
    names = [entry["_id"] async for entry in listed.find()]
    assert names == ([] if how == "validated" else ["facility_1", "other"])


@pytest.mark.parametrize("how", ["no array", "validated"])
async def test_a_fence_that_mongodb_never_takes_is_left_out(pipe, db, how, caplog):
    stored = database.logs(db)
    if how == "validated":
        await validated(db, stored.name)
    else:
        await stored.insert_one({"_id": f"{pipe.route.topic}/0", "fences": "none"})
    async with pipe.ingesting(db):
        await pipe.send(one([(1, 1.0)], number=1), fence_message(2))
        await pipe.send(one([(2, 1.0)], run=2, number=1))
        await expect(db, [2])
        await pipe.commits(3)
    said = [r.error for r in caplog.records if r.message.startswith("a fence, or a count")]
    code = {"no array": "MongoDB: 2: ", "validated": "MongoDB: 121: "}[how]
    assert said
    assert all(error.startswith(code) for error in said)


@pytest.mark.parametrize(
    "fences", [7, [7], [{"log": "log", "compactor": "c", "run": None, "offset": 1}]]
)
async def test_fences_that_are_not_ours_are_passed_over(db, caplog, fences):
    stored = database.logs(db)
    await stored.insert_one({"_id": "topic/0", "fences": fences})
    assert not (await logs.load(stored, PLACE)).excludes("c", 1)
    (said,) = caplog.records
    assert (said.message, said.log) == ("stored fences cannot be read", "topic/0")


async def test_an_error_that_nobody_foresaw_is_not_repeated_for_ever(pipe, db):
    await database.windows(db).create_index([("sensors.pressure.mean", GEOSPHERE)])
    async with pipe.ingesting(db):
        await pipe.send(
            one([(1, 1.0)], sensor="pressure"),
            *(one([(n, 1.0)], window=n, number=n) for n in range(1, 41)),
        )
        await expect(db, [1] * 40)
        (letter,) = await pipe.dead_letters(1)
        await pipe.commits(41)
        await pipe.send(one([(41, 1.0)], window=1, number=41, sensor="pressure"))
        await pipe.commits(42)
    headers = dict(letter.headers)
    assert (headers["reason"], headers["offset"]) == (b"refused_by_database", b"0")
    assert headers["detail"].startswith(b"MongoDB: 16755: ")


async def test_an_error_of_this_program_with_one_partial_refuses_that_one(db, monkeypatch):
    store = Store(db)
    real = store._partials.insert_many

    async def insert_many(documents, **options):
        if any(document["facility_name"] == "facility_7" for document in documents):
            raise OverflowError("MongoDB can only handle up to 8-byte ints")
        return await real(documents, **options)

    monkeypatch.setattr(store._partials, "insert_many", insert_many)
    outcome = await store.write(
        batch_of(*(one([(1, 1.0)], facility=f"facility_{n}") for n in range(10))).partials
    )
    (refused,) = outcome.refused
    assert (refused.record.offset, refused.reason) == (7, "cannot_store")
    assert refused.detail == "OverflowError('MongoDB can only handle up to 8-byte ints')"
    assert outcome.inserted == 9
    assert await database.windows(db).count_documents({}) == 9
