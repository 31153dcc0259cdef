"""The store: nothing lost, nothing twice, whatever fails and whoever else writes."""

import asyncio

import pytest
from pymongo.errors import AutoReconnect, PyMongoError
from sensorpipe_server import database
from sensorpipe_server.store import Store
from server_parts import batch_of, fresh_database, one


@pytest.fixture
async def db(mongod):
    async with fresh_database(mongod) as fresh:
        yield fresh


async def counts(db):
    """Return the readings of each stored window, and every seq interval."""
    found = await database.windows(db).find().sort("_id").to_list()
    return [d["sensors"]["temperature"]["count"] for d in found]


async def test_new_windows_are_inserted_whole(db):
    outcome = await Store(db).write(
        batch_of(*(one([(1, 1.0)], window=n) for n in range(3))).windows
    )
    assert (outcome.inserted, outcome.merged, outcome.redelivered) == (3, 0, 0)
    assert await counts(db) == [1, 1, 1]
    assert await database.facilities(db).find().to_list() == [
        {"_id": "facility_1", "sensors": ["temperature"]}
    ]


async def test_a_stored_document_has_the_form_of_the_contract(db):
    await Store(db).write(batch_of(one([(1, 1.0), (2, 3.0)])).windows)
    (found,) = await database.windows(db).find().to_list()
    held = found["sensors"]["temperature"]
    assert found["_id"] == "facility_1/001731600000000/10000"
    assert found["window"]["start_time"].isoformat() == "2024-11-14T16:00:00+00:00"
    assert (held["count"], held["mean"], held["m2"], held["min"], held["max"]) == (2, 2, 2, 1, 3)
    assert held["sources"] == [{"src": "run", "seq": [1, 2]}]
    assert found["compactors"] == [{"compactor": "c", "epoch": 1, "number": 1}]


async def test_partials_of_a_window_merge_within_a_batch_and_across_batches(db):
    store = Store(db)
    outcome = await store.write(
        batch_of(one([(1, 1.0)], number=1), one([(2, 1.0)], number=2)).windows
    )
    assert outcome.inserted == 2
    outcome = await store.write(
        batch_of(one([(3, 1.0)], number=3), one([(4, 1.0)], number=4)).windows
    )
    assert outcome.merged == 2
    assert await counts(db) == [4]


async def test_a_redelivery_inside_a_newer_batch_counts_once(db):
    store = Store(db)
    first, second, third = (one([(n, 1.0)], number=n) for n in (1, 2, 3))
    await store.write(batch_of(first, second).windows)
    outcome = await store.write(batch_of(second, third).windows)
    assert (outcome.merged, outcome.redelivered) == (1, 1)
    assert await counts(db) == [3]


async def test_a_batch_written_again_changes_nothing(db):
    batch = batch_of(*(one([(1, 1.0)], window=n) for n in range(600)))
    store = Store(db)
    await store.write(batch.windows)
    before = await database.windows(db).find().sort("_id").to_list()
    for _ in range(3):
        outcome = await store.write(batch.windows)
        assert outcome.redelivered == 600
    assert await database.windows(db).find().sort("_id").to_list() == before


async def test_new_and_known_windows_mix(db):
    store = Store(db)
    for upto in (4, 8, 9, 10):
        messages = [one([(upto * 100 + n, 1.0)], window=n, number=upto) for n in range(upto)]
        await store.write(batch_of(*messages).windows)
    assert await counts(db) == [4, 4, 4, 4, 3, 3, 3, 3, 2, 1]


@pytest.mark.parametrize("known", [0, 5, 10])
@pytest.mark.parametrize("after_the_write", [True, False])
async def test_a_write_whose_answer_is_lost_is_repeated_harmlessly(
    db, monkeypatch, known, after_the_write
):
    store = Store(db)
    if known:
        await store.write(batch_of(*(one([(1, 1.0)], window=n) for n in range(known))).windows)
    fail_next = ["insert_many", "bulk_write"]

    def flaky(name):
        real = getattr(store._windows, name)

        async def write(*args, **options):
            failing = name in fail_next
            if failing:
                fail_next.remove(name)
            if after_the_write or not failing:
                result = await real(*args, **options)
            if failing:
                raise AutoReconnect("connection closed")
            return result

        return write

    for name in tuple(fail_next):
        monkeypatch.setattr(store._windows, name, flaky(name))
    batch = batch_of(*(one([(2, 1.0)], window=n, number=2) for n in range(10)))
    while True:
        try:
            await store.write(batch.windows)
        except PyMongoError:
            continue
        break
    assert await counts(db) == [2] * known + [1] * (10 - known)


async def test_a_write_that_failed_half_way_is_completed(db):
    messages = [one([(n, 1.0)], window=n) for n in range(1, 11)]
    await Store(db).write(batch_of(*messages[:4]).windows)  # what got through
    outcome = await Store(db).write(batch_of(*messages).windows)
    assert (outcome.inserted, outcome.redelivered) == (6, 4)
    assert await counts(db) == [1] * 10


async def test_racing_stores_lose_nothing(db):
    async def write(compactor):
        store = Store(db)
        for number in range(1, 21):
            message = one([(number, 1.0)], src=compactor, compactor=compactor, number=number)
            await store.write(batch_of(message).windows)

    await asyncio.gather(*(write(name) for name in "abcde"))
    (found,) = await database.windows(db).find().to_list()
    held = found["sensors"]["temperature"]
    assert held["count"] == 100
    assert sorted((s["src"], *s["seq"]) for s in held["sources"]) == [
        (name, 1, 20) for name in "abcde"
    ]


async def test_racing_stores_with_the_same_partials_count_them_once(db):
    messages = [one([(n + 1, 1.0)], window=n % 3, number=n + 1) for n in range(60)]

    async def write():
        store = Store(db)
        for at in range(0, 60, 6):
            await store.write(batch_of(*messages[at : at + 6]).windows)

    await asyncio.gather(*(write() for _ in range(4)))
    assert await counts(db) == [20, 20, 20]


async def test_what_the_database_refuses_for_good_is_handed_back(db):
    await db.create_collection(
        database.windows(db).name, validator={"sensors.temperature.max": {"$lt": 100}}
    )
    store = Store(db)
    batch = batch_of(one([(1, 1.0)], window=0), one([(1, 100.0)], window=1))
    outcome = await store.write(batch.windows)
    assert [(r.reason, r.record.offset) for r in outcome.refused] == [("refused_by_database", 1)]
    await store.write(batch_of(one([(2, 2.0)], window=0, number=2)).windows)  # looks first now
    outcome = await store.write(batch_of(one([(3, 200.0)], window=0, number=3)).windows)
    assert [r.reason for r in outcome.refused] == ["refused_by_database"]
    assert (outcome.merged, await counts(db)) == (0, [2])


async def test_a_window_deleted_meanwhile_is_inserted_again(db):
    store = Store(db)
    await store.write(batch_of(one([(1, 1.0)])).windows)
    await store.write(batch_of(one([(2, 1.0)], number=2)).windows)  # from now on it looks first
    await database.windows(db).delete_many({})
    outcome = await store.write(batch_of(one([(3, 1.0)], number=3)).windows)
    assert (outcome.inserted, await counts(db)) == (1, [1])


async def test_a_facility_lists_a_bounded_number_of_sensors_and_stores_them_all(db, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.facilities.LISTED", 3)
    store = Store(db)
    for number, name in enumerate(["e", "d", "c", "b", "a", "d"], start=1):
        await store.write(batch_of(one([(number, 1.0)], sensor=name, number=number)).windows)
    assert await database.facilities(db).find().to_list() == [
        {"_id": "facility_1", "sensors": ["e", "d", "c"]}
    ]
    (found,) = await database.windows(db).find().to_list()
    assert {name: held["count"] for name, held in found["sensors"].items()} == {
        "e": 1,
        "d": 2,
        "c": 1,
        "b": 1,
        "a": 1,
    }
