"""The audit of every source, over a real database."""

from datetime import UTC, datetime, timedelta

from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_server.storage.mongodb import database
from support.server_parts import NOW, T0, one, store

pytest_plugins = ["support.server_fixtures"]


async def test_one_lost_and_one_duplicate_reading_are_two_faults(db, client):
    await store(
        db,
        one([(1, 1.0), (2, 1.0)], window=0),
        one([(4, 1.0), (5, 1.0)], window=1),  # 3 is lost
        one([(5, 1.0), (6, 1.0)], window=2),  # 5 came twice
        one([(1, 1.0)], facility="other", src=None),
    )
    answer = (await client.get("/api/integrity")).json()
    assert answer == {
        "data": [
            {
                "facility": "facility_1", "sensor": "temperature", "src": "run",
                "first": 1, "last": 6, "count": 6, "lost": 1, "pending": 0, "duplicates": 1,
                "removed": 0,
            }
        ],
        "totals": {
            "count": 6, "lost": 1, "pending": 0, "duplicates": 1,
            "unidentified": 1, "sources": 1, "unreadable": 0, "removed": 0,
        },
        "set_aside": {"dead_letters": None, "refused": None, "fenced": 0},
        "removed_before": {},
    }  # fmt: skip
    narrowed = (await client.get("/api/integrity?facility=other")).json()
    assert narrowed["totals"] == {
        "count": 0, "lost": 0, "pending": 0, "duplicates": 0, "unidentified": 1, "sources": 0,
        "unreadable": 0, "removed": 0,
    }  # fmt: skip


async def test_what_cannot_be_read_is_counted_and_hides_nothing(db, client):
    sound = one([(1, 1.0), (2, 1.0)])
    spoilt = CompactedReading.FromString(one([(3, 1.0)], number=2))
    spoilt.sensors[0].sketch.positive_counts[:] = [7]
    intervals = CompactedReading.FromString(one([(4, 1.0)], number=3))
    intervals.sensors[0].sources[0].bounds[:] = [5, 4]
    too_many = CompactedReading.FromString(one([(5, 1.0)], number=4))
    too_many.sensors[0].sources[0].bounds[:] = [5, 9]
    await store(db, sound, *(m.SerializeToString() for m in (spoilt, intervals, too_many)))
    windows = database.windows(db)
    await windows.insert_many([
        {"_id": f"facility_1/{T0:015d}/10000/{9:016x}/1", "partial": b"\xff", "received_at": NOW},
        {"_id": f"facility_1/{T0 + 1:015d}/10000/{9:016x}/1", "partial": b""},
        {"_id": "facility_1/x"},
    ])  # fmt: skip
    answer = (await client.get("/api/integrity")).json()
    (line,) = answer["data"]
    assert (line["last"], line["count"], line["lost"]) == (3, 3, 0)
    assert (answer["totals"]["unreadable"], answer["totals"]["unidentified"]) == (6, 2)
    (entry,) = (await client.get("/api/stats?sensors=temperature")).json()
    assert (entry["temperature"]["count"], entry["temperature"]["p50"]) == (5, 1.0)


async def test_integrity_sees_facilities_that_are_in_no_list(db, client):
    names = ["a", "a-1", "a0", "a_b", "ab", "b"]
    await store(db, *(one([(1, 1.0)], facility=name) for name in names))
    for taken in names:
        await database.facilities(db).delete_one({"_id": taken})
        found = (await client.get("/api/integrity")).json()["data"]
        assert sorted(line["facility"] for line in found) == names
        entry = {"_id": taken, "sensors": ["temperature"], "first_ms": T0, "last_ms": T0}
        await database.facilities(db).insert_one(entry)


async def test_integrity_counts_beyond_32_bits(db, client):
    far = 2**33
    await store(db, one([(far, 1.0), (far + 2, 2.0)]))
    answer = (await client.get("/api/integrity")).json()
    (line,) = answer["data"]
    assert (line["first"], line["last"], line["lost"]) == (far, far + 2, far)


async def test_what_is_missing_before_a_sources_first_reading_is_lost(db, client):
    await store(db, one([(4, 1.0), (5, 1.0), (7, 1.0)]))
    answer = (await client.get("/api/integrity")).json()
    (line,) = answer["data"]
    assert (line["first"], line["count"], line["lost"]) == (4, 3, 4)  # 1, 2, 3 and 6
    assert answer["totals"]["lost"] == 4


async def test_integrity_checks_sensors_beyond_those_that_are_listed(db, client, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.storage.facilities.MAX_LISTED_SENSORS", 2)
    for number, name in enumerate("abcd", start=1):
        await store(db, one([(1, 1.0), (3, 1.0)], sensor=name, number=number))
    (facility,) = (await client.get("/api/facilities")).json()["data"]
    assert facility["sensors"] == ["a", "b"]
    answer = (await client.get("/api/integrity")).json()
    assert [line["sensor"] for line in answer["data"]] == ["a", "b", "c", "d"]
    assert (answer["totals"]["count"], answer["totals"]["lost"]) == (8, 4)


async def test_integrity_follows_each_source_through_many_windows(db, client):
    messages = [
        one([(3 * n + k, 1.0) for k in (1, 2, 3)], src=src, window=n, compactor=src, run=run)
        for n in range(500)
        for run, src in enumerate("ab", 1)
    ]
    await store(db, *messages)
    answer = (await client.get("/api/integrity")).json()
    assert [(line["src"], line["first"], line["last"]) for line in answer["data"]] == [
        ("a", 1, 1500),
        ("b", 1, 1500),
    ]
    assert answer["totals"] == {
        "count": 3000, "lost": 0, "pending": 0, "duplicates": 0, "unidentified": 0, "sources": 2,
        "unreadable": 0, "removed": 0,
    }  # fmt: skip


async def test_a_gap_younger_than_window_and_lateness_is_pending_not_lost(db, client):
    just_now = datetime.now(UTC) + timedelta(minutes=2)  # young, however long the test takes
    await store(db, one([(1, 1.0)]), one([(3, 1.0)], window=1, number=2))  # 2 is lost
    await store(db, one([(6, 1.0)], window=3, number=3), received_at=just_now)  # 4 and 5 may come
    answer = (await client.get("/api/integrity")).json()
    (line,) = answer["data"]
    assert (line["lost"], line["pending"], line["count"]) == (1, 2, 3)
    assert (answer["totals"]["lost"], answer["totals"]["pending"]) == (1, 2)
    await store(db, one([(5, 1.0)], window=0, number=4), received_at=just_now)
    (line,) = (await client.get("/api/integrity")).json()["data"]
    assert (line["lost"], line["pending"]) == (1, 1)  # 2, and 4


async def test_a_gap_is_lost_once_it_is_old(db, client):
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    await store(db, one([(1, 1.0), (4, 1.0)]), received_at=an_hour_ago)
    (line,) = (await client.get("/api/integrity")).json()["data"]
    assert (line["lost"], line["pending"]) == (2, 0)
