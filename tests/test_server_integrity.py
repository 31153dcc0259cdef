"""The audit of every source, over a real database."""

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.intervals import IntervalSet
from sensorpipe_server.api.integrity import Integrity, in_both
from server_parts import one, store

pytest_plugins = ["server_fixtures"]


async def test_one_lost_and_one_doubled_reading_are_two_faults(db, client):
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
                "first": 1, "last": 6, "count": 6, "lost": 1, "duplicates": 1,
            }
        ],
        "totals": {"count": 6, "lost": 1, "duplicates": 1, "unidentified": 1, "sources": 1},
    }  # fmt: skip
    narrowed = (await client.get("/api/integrity?facility=other")).json()
    assert narrowed["totals"] == {
        "count": 0, "lost": 0, "duplicates": 0, "unidentified": 1, "sources": 0
    }  # fmt: skip


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
    monkeypatch.setattr("sensorpipe_server.facilities.LISTED", 2)
    for number, name in enumerate("abcd", start=1):
        await store(db, one([(1, 1.0), (3, 1.0)], sensor=name, number=number))
    (facility,) = (await client.get("/api/facilities")).json()["data"]
    assert facility["sensors"] == ["a", "b"]
    answer = (await client.get("/api/integrity")).json()
    assert [line["sensor"] for line in answer["data"]] == ["a", "b", "c", "d"]
    assert (answer["totals"]["count"], answer["totals"]["lost"]) == (8, 4)


async def test_integrity_follows_each_source_through_many_windows(db, client):
    messages = [
        one([(3 * n + k, 1.0) for k in (1, 2, 3)], src=src, window=n, compactor=src)
        for n in range(500)
        for src in ("a", "b")
    ]
    await store(db, *messages)
    answer = (await client.get("/api/integrity")).json()
    assert [(line["src"], line["first"], line["last"]) for line in answer["data"]] == [
        ("a", 1, 1500),
        ("b", 1, 1500),
    ]
    assert answer["totals"] == {
        "count": 3000, "lost": 0, "duplicates": 0, "unidentified": 0, "sources": 2
    }  # fmt: skip


async def test_a_gap_that_is_being_filled_is_not_a_loss(db, client, monkeypatch):
    await store(db, one([(1, 1.0)], window=0), one([(3, 1.0), (5, 1.0)], window=2))

    scan, scans = Integrity._scan, []

    async def scan_and_store(*args):
        scans.append(await scan(*args))
        if len(scans) == 1:
            arriving = one([(2, 1.0)], window=1, number=2), one([(9, 1.0)], window=3, number=3)
            await store(db, *arriving)
        return scans[-1]

    monkeypatch.setattr(Integrity, "_scan", scan_and_store)
    answer = (await client.get("/api/integrity")).json()
    assert answer["totals"] | {"unidentified": 0} == {
        "count": 5, "lost": 1, "duplicates": 0, "unidentified": 0, "sources": 1
    }  # fmt: skip


gaps = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), max_size=8).map(
    lambda found: list(IntervalSet((low, low + more) for low, more in found))
)


@given(gaps, gaps)
def test_what_two_looks_miss_is_counted_by_number(some, others):
    def members(intervals):
        return {n for first, last in intervals for n in range(first, last + 1)}

    assert in_both(some, others) == len(members(some) & members(others))
