"""What is stored and none of ours: rollups count it, and it holds up nothing."""

from typing import Any

import pytest
from bson import ObjectId
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.queries import facility_names
from sensorpipe_server.storage.rollups.levels import DAY, FIVE_MINUTES, HOUR
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from support.server_parts import NOW, client_of, one, store

pytest_plugins = ["support.server_fixtures"]

START = 1_731_600_000_000 - 1_731_600_000_000 % DAY.length_ms
DAYS = 12


def stored(day: int, seq: int, facility: str = "facility_1") -> bytes:
    """Return a partial with one reading of the first window of a day."""
    window = (START - 1_731_600_000_000 + day * DAY.length_ms) // 10_000
    return one([(seq, 1.0)], window=window, number=seq, facility=facility)


def rolling(db, days: int | None = None) -> Rolling:
    """Return what removes windows that are older than so many days."""
    kept = {"windows": days and days * DAY.length_ms}
    return Rolling(db, lambda: True, clock=NOW.timestamp, pace=Pace(1.0), keep=kept.get)


def name(start_ms: int, run: int = 9) -> str:
    return f"facility_1/{start_ms:015d}/10000/{run:016x}/1"


UNREADABLE: list[dict[str, Any]] = [
    {"_id": name(START + 10_000), "partial": b"\xff", "received_at": NOW},
    {"_id": name(START + 20_000)},
    {"_id": name(START + 30_000), "partial": "text", "received_at": NOW},
    {"_id": name(START), "partial": 1, "received_at": NOW},  # beside one that is right
    # in the midst of a window, of a bucket, and of a day without windows
    {"_id": f"facility_1/{START:015d}/10000/1"},
    {"_id": f"facility_1/{START + 40_000:015d}", "partial": b""},
    {"_id": f"facility_1/{START + 40_000:015d}/x"},
    {"_id": f"facility_1/{START + 2 * HOUR.length_ms:015d}:"},
    {"_id": f"facility_1/{START + 3 * DAY.length_ms:015d}/10000/run/1", "partial": b""},
    # with a partial that is right, of a window that its `_id` does not name
    {
        "_id": f"facility_1/{START + DAY.length_ms + 10_000:015d}/10000/run/1",
        "partial": stored(1, 90),
        "received_at": NOW,
    },
    {
        "_id": f"facility_1/{START + DAY.length_ms + 20_000:015d}/010000/{9:016x}/1",
        "partial": stored(1, 91),
        "received_at": NOW,
    },
]  # fmt: skip


async def totals(db) -> dict[str, int]:
    async with client_of(db) as client:
        found: dict[str, int] = (await client.get("/api/integrity")).json()["totals"]
    return found


async def test_rollups_count_what_their_windows_had_that_cannot_be_read(db):
    await store(db, *(stored(day, day + 1) for day in (0, 1, DAYS)))
    await database.windows(db).insert_many(UNREADABLE)
    before = await totals(db)
    assert (before["count"], before["unreadable"]) == (3, len(UNREADABLE))
    await rolling(db).round()
    assert await totals(db) == before
    await rolling(db, days=10).round()
    assert await database.windows(db).count_documents({}) < len(UNREADABLE)
    assert await totals(db) == before


@pytest.mark.parametrize(
    "last",
    [
        f"facility_1/{START + DAYS * DAY.length_ms + 1:015d}",
        "facility_1/x",
        f"facility_1/17/10000/{9:016x}/1",
        f"facility_1/{10**15 - 1}/10000/{9:016x}/1",
        f"facility_1/{10**20 - 1}/10000/{9:016x}/1",
        "facility_1",
        "facility_9",
        ObjectId(),
        7,
    ],
)
async def test_the_last_document_of_a_facility_holds_up_no_rollups(db, last):
    names = ["a", "facility_1", "facility_2"]
    await store(db, *(stored(day, day + 1, facility) for facility in names for day in (0, DAYS)))
    await database.windows(db).insert_many(
        [{"_id": last, "received_at": NOW}, {"_id": name(START - 1)[:-20]}]
    )
    await rolling(db).round()
    done_ms = FIVE_MINUTES.start(START + DAYS * DAY.length_ms - 122_000)
    for each in names:
        assert (await RollupState(db).of(each)).done_ms == done_ms
    assert [each async for each in facility_names(database.windows(db))] == names
