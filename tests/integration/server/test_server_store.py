"""The store: nothing lost, nothing twice, whatever fails and whoever else writes."""

import asyncio
from datetime import UTC, datetime

import pytest
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError
from sensorpipe_server.storage import facilities, metrics
from sensorpipe_server.storage.facilities import Facilities
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pending import RefusedRecord
from sensorpipe_server.storage.store import Store
from support.hand_clock import HandClock
from support.server_parts import NOW, T0, batch_of, counts, one

pytest_plugins = ["support.server_fixtures"]


async def test_each_partial_is_a_document_of_its_own(db):
    store = Store(db)
    messages = [one([(n, 1.0)], window=n // 2, number=n) for n in range(2, 6)]
    outcome = await store.write(batch_of(*messages[:1]).partials)
    assert (outcome.inserted, outcome.redelivered) == (1, 0)
    outcome = await store.write(batch_of(*messages[1:]).partials)
    assert (outcome.inserted, outcome.redelivered) == (3, 0)
    assert await database.windows(db).count_documents({}) == 4
    assert await counts(db) == [2, 2]


async def test_a_stored_document_has_the_form_of_the_contract(db):
    message = one([(1, 1.0), (2, 3.0)], number=9)
    await Store(db).write(batch_of(message).partials)
    assert await database.windows(db).find().to_list() == [
        {
            "_id": "facility_1/001731600000000/10000/0000000000000001/9",
            "facility_name": "facility_1",
            "window": {
                "start_time": datetime(2024, 11, 14, 16, 0, tzinfo=UTC),
                "end_time": datetime(2024, 11, 14, 16, 0, 10, tzinfo=UTC),
            },
            "received_at": NOW,
            "sensors": {"temperature": {"count": 2, "mean": 2, "m2": 2, "min": 1, "max": 3}},
            "partial": message,
        }
    ]


async def test_what_comes_twice_in_a_batch_or_in_two_is_stored_once(db):
    store = Store(db)
    first, second, third = (one([(n, 1.0)], number=n) for n in (1, 2, 3))
    outcome = await store.write(batch_of(first, second, first).partials)
    assert (outcome.inserted, outcome.redelivered) == (2, 1)
    outcome = await store.write(batch_of(second, third).partials)
    assert (outcome.inserted, outcome.redelivered) == (1, 1)
    assert await counts(db) == [3]


async def test_partials_of_two_runs_and_two_compactors_are_told_apart(db):
    messages = [
        one([(n, 1.0)], run=run, compactor=compactor, number=1)
        for n, (run, compactor) in enumerate([(1, "a"), (2, "a"), (3, "b")], start=1)
    ]
    outcome = await Store(db).write(batch_of(*messages).partials)
    assert (outcome.inserted, await counts(db)) == (3, [3])


async def test_a_whole_batch_written_again_changes_nothing(db):
    batch = batch_of(*(one([(1, 1.0)], window=n) for n in range(2000)))
    store = Store(db)
    await store.write(batch.partials)
    before = await database.windows(db).find().sort("_id").to_list()
    outcome = await store.write(batch.partials)
    assert (outcome.inserted, outcome.redelivered, outcome.refused) == (0, 2000, [])
    assert await database.windows(db).find().sort("_id").to_list() == before


@pytest.mark.parametrize("after_the_write", [True, False])
async def test_a_write_whose_answer_is_lost_is_repeated_harmlessly(
    db, monkeypatch, after_the_write
):
    store = Store(db)
    await store.write(batch_of(*(one([(1, 1.0)], window=n) for n in range(5))).partials)
    real, errors = store._partials.insert_many, [AutoReconnect("connection closed")]

    async def insert_many(*args, **options):
        error = errors.pop() if errors else None
        if after_the_write or error is None:
            await real(*args, **options)
        if error is not None:
            raise error

    monkeypatch.setattr(store._partials, "insert_many", insert_many)
    batch = batch_of(*(one([(2, 1.0)], window=n, number=2) for n in range(10)))
    with pytest.raises(PyMongoError):
        await store.write(batch.partials)
    monkeypatch.undo()
    outcome = await store.write(batch.partials)
    assert outcome.redelivered == (10 if after_the_write else 0)
    assert await counts(db) == [2] * 5 + [1] * 5


async def test_racing_stores_lose_nothing_and_count_nothing_twice(db):
    messages = [one([(n + 1, 1.0)], window=n % 3, number=n + 1) for n in range(60)]

    async def write():
        store = Store(db)
        for at in range(0, 60, 6):
            await store.write(batch_of(*messages[at : at + 6]).partials)

    await asyncio.gather(*(write() for _ in range(4)))
    assert await counts(db) == [20, 20, 20]


async def test_what_the_database_refuses_for_good_is_handed_back(db):
    await db.create_collection(
        database.windows(db).name, validator={"sensors.temperature.max": {"$lt": 100}}
    )
    batch = batch_of(one([(1, 1.0)], window=0), one([(1, 100.0)], window=1))
    for redelivered in (0, 1):
        outcome = await Store(db).write(batch.partials)
        (refused,) = outcome.refused
        assert (refused.reason, refused.record.offset) == ("refused_by_database", 1)
        assert refused.detail.startswith("MongoDB: 121: ")
        assert (outcome.inserted, outcome.redelivered) == (1 - redelivered, redelivered)
    assert await counts(db) == [1]


async def test_a_document_too_large_for_mongodb_is_refused_alone(db):
    batch = batch_of(*(one([(n, 1.0)], number=n) for n in range(1, 8)))
    batch.partials[4].document["partial"] = bytes(17 * 1024 * 1024)
    outcome = await Store(db).write(batch.partials)
    (refused,) = outcome.refused
    assert (refused.reason, refused.record.offset) == ("cannot_store", 4)
    assert "BSONObj size: 17826069" in refused.detail
    assert (outcome.inserted, await counts(db)) == (6, [6])


async def test_a_facility_lists_a_bounded_number_of_sensors_and_stores_them_all(
    db, monkeypatch, caplog
):
    monkeypatch.setattr("sensorpipe_server.storage.facilities.MAX_LISTED_SENSORS", 3)
    store, before = Store(db), metrics.UNLISTED._value.get()
    for number, name in enumerate(["e", "d", "c", "b", "a", "d"], start=1):
        await store.write(batch_of(one([(number, 1.0)], sensor=name, number=number)).partials)
    (listing,) = await database.facilities(db).find().to_list()
    assert listing["sensors"] == ["e", "d", "c"]
    assert [await counts(db, name) for name in "abcde"] == [[1], [1], [1], [2], [1]]
    assert metrics.UNLISTED._value.get() - before == 2
    (said,) = caplog.records
    assert said.message.startswith("a facility has more sensors than are listed")
    assert (said.facility, said.listed) == ("facility_1", 3)


async def test_first_windows_are_recorded_at_once_and_last_ones_now_and_then(db):
    clock, listed = HandClock(), database.facilities(db)
    noting = Facilities(listed, clock)

    async def note(window):
        partials = batch_of(one([(1, 1.0)], window=window)).partials
        await noting.note(partials)
        await noting.note_times(partials)
        (found,) = await listed.find().to_list()
        return [(found[key] - T0) // 10_000 for key in ("first_ms", "last_ms")]

    assert await note(5) == [5, 5]
    assert await note(8) == [5, 5]
    assert await note(3) == [3, 5]  # nobody may take its range for empty
    clock.now = facilities.TIMES_SECONDS
    assert await note(6) == [3, 8]
    assert await note(9) == [3, 8]
    await noting.write_times()
    (found,) = await listed.find().to_list()
    assert found == {
        "_id": "facility_1",
        "sensors": ["temperature"],
        "first_ms": T0 + 30_000,
        "last_ms": T0 + 90_000,
        "last_end_ms": T0 + 100_000,
    }


async def test_times_that_cannot_be_recorded_hold_up_nothing_and_are_recorded_later(
    db, monkeypatch, caplog
):
    clock, listed = HandClock(), database.facilities(db)
    noting, partials = Facilities(listed, clock), batch_of(one([(1, 1.0)])).partials
    await noting.note(partials)

    async def refuse(*_, **__):
        raise OperationFailure("not now", 11600)

    with monkeypatch.context() as patched:
        patched.setattr(listed, "bulk_write", refuse)
        await noting.note_times(partials)
    assert await listed.count_documents({"last_ms": T0}) == 0
    await noting.write_times()
    assert await listed.count_documents({"last_ms": T0}) == 1
    assert caplog.messages == [
        "first and last windows of facilities are not noted; trying again",
    ]


class Past:
    """Refuses one window, and takes down what else comes; fails once where it is told to."""

    def __init__(self, *, fails=False):
        self.fails = fails
        self.marked: list[list[int]] = []

    async def refuse(self, partials):
        refused = [
            RefusedRecord(p.record, "window_removed", "") for p in partials if p.start_ms == T0
        ]
        return refused, []

    async def mark(self, partials):
        self.marked.append([(each.start_ms - T0) // 10_000 for each in partials])
        if self.fails:
            self.fails = False
            raise AutoReconnect("connection closed")


async def test_what_is_durable_is_marked_each_time_and_what_is_removed_is_refused(db):
    past = Past(fails=True)
    store, batch = Store(db, past), batch_of(*(one([(1, 1.0)], window=n) for n in range(3)))
    with pytest.raises(AutoReconnect):
        await store.write(batch.partials)
    assert await counts(db) == [1, 1]
    outcome = await store.write(batch.partials)
    assert past.marked == [[1, 2], [1, 2]]
    assert (outcome.inserted, outcome.redelivered) == (0, 2)
    assert [(r.reason, r.record.offset) for r in outcome.refused] == [("window_removed", 0)]


async def test_a_write_killed_at_any_await_and_repeated_by_another_store_is_whole(db):
    for steps in range(0, 60, 3):
        facility = f"f{steps}"
        messages = [one([(n, 1.0)], number=n, facility=facility, window=1) for n in range(1, 5)]
        batch = batch_of(*messages)
        past = Past()
        killed = asyncio.create_task(Store(db, past).write(batch.partials))
        for _ in range(steps):
            await asyncio.sleep(0)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        await asyncio.gather(*(Store(db, past).write(batch.partials) for _ in range(2)))
        assert await database.windows(db).count_documents({"facility_name": facility}) == 4
        assert past.marked[-2:] == [[1] * 4] * 2
    assert await counts(db) == [4] * 20
