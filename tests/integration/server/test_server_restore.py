"""A restored backup: what Kafka still has is read again, and everything is as it was before."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sensorpipe_cli.runner.child import Child
from sensorpipe_schema.compacted_reading_pb2 import Rollup
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin, Partial, encode
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import read_rollup
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.store import Store
from support.server_parts import (
    PLACE,
    T0,
    batch_of,
    client_of,
    fence_message,
    fresh_database,
    one,
    summary,
)
from support.server_pipe import Pipe
from support.waiting import eventually

Copy = dict[str, list[dict[str, Any]]]
"""The documents of each collection."""


def window(number: int, seqs: Iterable[int], at: int, run: int = 1) -> bytes:
    """Return a partial of the `at`-th window after T0."""
    return one([(seq, float(seq)) for seq in seqs], number=number, window=at, run=run)


def itemized(number: int, seqs: Iterable[int], at: int) -> bytes:
    """Return an itemized partial of run 1."""
    readings = [(seq, float(seq)) for seq in seqs]
    found = summary(readings)
    found.sources = {"run": [(seq, seq) for seq, _ in readings]}
    found.values = {"run": [value for _, value in readings]}
    start, origin = T0 + at * 10_000, Origin("c", 1, number)
    sensors = {"temperature": found}
    return encode(Partial("facility_1", start, start + 10_000, origin, sensors, itemized=True))


BEFORE = [
    fence_message(1),
    *(window(n, [n], 0) for n in range(1, 6)),  # enough of them to be folded
    itemized(6, [6, 7], 1),
    window(7, [7], 1),
    window(8, [8, 9], 40),
    window(9, [10], 400),
    fence_message(2),
    window(10, [11], 800),  # fenced
    window(1, [11], 800, run=2),
]
AFTER = [
    window(2, [12], 2, run=2),  # late
    window(3, [13], 0, run=2),  # late, and of a folded window
    b"not a partial",
    fence_message(3),
    window(4, [14], 801, run=2),  # fenced
    window(1, [14, 15], 1200, run=3),
    window(2, [17], 1201, run=3),
    window(3, [17], 1202, run=3),  # a duplicate
]
ELSEWHERE = [
    fence_message(3),
    one([(n, 1.0) for n in (1, 2, 3)], facility="hall_2", sensor="h", window=1200, run=3, number=4),
]
"""What comes after the backup in another partition, of a facility that the backup does not have."""

EARLY = [("facility_1", 1, 11, 11, 0, 0)]
RIGHT = [("facility_1", 1, 17, 17, 1, 1), ("hall_2", 1, 3, 3, 0, 0)]
"""Facility, first, last, count, missing and duplicates."""


async def rows(db: database.Database) -> list[tuple[object, ...]]:
    """Return what `sensorpipe verify` shows; what is lost soon is missing already."""
    async with client_of(db) as client:
        found = (await client.get("/api/integrity")).json()["data"]
    return [
        (
            *(row[key] for key in ("facility", "first", "last", "count")),
            row["lost"] + row["pending"],
            row["duplicates"],
        )
        for row in found
    ]


async def answers(db: database.Database) -> list[Any]:
    """Return what the API answers, without times of reception.

    A facility's last window may be noted up to 5 s later.
    """
    async with client_of(db) as client:
        stats = await client.get("/api/stats?sensors=temperature,h")
        facilities = await client.get("/api/facilities")
        pages = [
            (await client.get(f"/api/sensors/{name}?limit=20")).json()
            for name in ("facility_1", "hall_2")
        ]
        fenced = (await client.get("/api/integrity")).json()["set_aside"]["fenced"]
    names = [(each["facility_name"], each["sensors"]) for each in facilities.json()["data"]]
    for page in pages:
        for item in page["data"]:
            del item["received_at"]
    return [stats.json(), names, pages, fenced]


async def kept(db: database.Database) -> list[Any]:
    """Return what is stored beside the partials, without times of reception and last windows."""
    entries = await database.logs(db).find().sort("_id").to_list()
    late = {"last_ms": 0, "last_end_ms": 0}
    facilities = await database.facilities(db).find({}, late).sort("_id").to_list()
    states = await RollupState(db).read()
    markers = await RollupState(db).next_markers(None, 100)
    rollups = await database.rollups(db).find().sort("_id").to_list()
    return [
        entries,
        facilities,
        states,
        markers,
        [(d["_id"], exact(read_rollup(d))) for d in rollups],
    ]


def exact(rollup: Rollup | None) -> Rollup | None:
    """Return a rollup without the time of reception, and without the last digits."""
    if rollup is not None:
        rollup.received_ms = 0
        for each in rollup.sensors:
            each.summary.mean = float(f"{each.summary.mean:.9g}")
            each.summary.m2 = float(f"{each.summary.m2:.9g}")
    return rollup


async def roll_up(db: database.Database) -> None:
    await Rolling(db, lambda: True, pace=Pace(1.0)).round()


async def copy_of(db: database.Database) -> Copy:
    names = await db.list_collection_names()
    return {name: await db[name].find().to_list() for name in names}


async def restore(db: database.Database, copy: Copy) -> None:
    await db.client.drop_database(db.name)
    for name, documents in copy.items():
        if documents:
            await db[name].insert_many(documents)


async def has_stored(pipe: Pipe, db: database.Database, ends: list[int], shown: list[Any]) -> None:
    """Return once so much of two partitions is committed, and `verify` shows this."""

    async def done() -> bool:
        committed: list[int] = await pipe.committed()
        return committed[:2] == ends and await rows(db) == shown

    await eventually(done)


async def nothing(_: Pipe, __: database.Database) -> None:
    """Leave it to the server to find out that the database is older than the offsets."""


async def reset_offsets(pipe: Pipe, _: database.Database) -> None:
    """Do what `kafka-consumer-groups --reset-offsets --to-earliest` does."""
    group = pipe.route.group
    async with AIOKafkaConsumer(
        **pipe.options(), group_id=group, enable_auto_commit=False
    ) as consumer:
        partitions = [TopicPartition(pipe.route.topic, number) for number in range(2)]
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 0))


async def forget_logs(_: Pipe, db: database.Database) -> None:
    await database.logs(db).update_many({}, {"$unset": {"log": ""}})


ENDS = [len(BEFORE) + len(AFTER), len(ELSEWHERE)]


async def fill(pipe: Pipe, db: database.Database) -> Copy:
    """Have a server store everything; return a copy from halfway."""
    async with pipe.ingesting(db):
        await pipe.send(*BEFORE)
        await has_stored(pipe, db, [len(BEFORE), 0], EARLY)
        await roll_up(db)
        early = await copy_of(db)
        await pipe.send(*AFTER)
        await pipe.send(*ELSEWHERE, partition=1)
        await has_stored(pipe, db, ENDS, RIGHT)
    await roll_up(db)
    return early


@pytest.fixture
def pipe(request: pytest.FixtureRequest) -> Pipe:
    """Topics of the test's own, on the embedded Kafka or on Apache's."""
    return Pipe(request.getfixturevalue(request.param).port)


@pytest.mark.parametrize(
    ("pipe", "read_again"),
    [
        ("tansu", nothing),
        ("kafka", nothing),
        ("kafka", reset_offsets),
        ("tansu", forget_logs),
    ],
    indirect=["pipe"],
)
async def test_a_restored_backup_is_completed_from_kafka(
    pipe: Pipe, mongod: Child, read_again: Callable[[Pipe, database.Database], Awaitable[None]]
) -> None:
    async with fresh_database(mongod) as db:
        early = await fill(pipe, db)
        before, stored = await answers(db), await kept(db)
        await restore(db, early)
        assert await rows(db) == EARLY
        await read_again(pipe, db)
        async with pipe.ingesting(db):
            await has_stored(pipe, db, ENDS, RIGHT)
        assert await answers(db) == before  # from the windows, where rollups are older
        await roll_up(db)
        assert await rows(db) == RIGHT
        assert await answers(db) == before
        assert await kept(db) == stored
    assert before[-1] == 2  # fenced, each once
    assert len(await pipe.dead_letters(2)) == 2  # "not a partial", as often as it was read


FIRST, SECOND = PLACE, PLACE._replace(partition=1)
HALF, ALL = {FIRST: BEFORE}, {FIRST: [*BEFORE, *AFTER], SECOND: ELSEWHERE}


async def read_from_the_beginning(
    db: database.Database, partitions: Mapping[logs.Place, Sequence[bytes]]
) -> None:
    """Store what a server stores that reads partitions from their beginning; roll it up."""
    for place, messages in partitions.items():
        batch = batch_of(*messages, log=await logs.load(database.logs(db), place))
        await Store(db, Past(db)).write(batch.partials)
        await logs.save(database.logs(db), batch.fences, batch.fenced_at)
    await roll_up(db)


@pytest.mark.parametrize(
    "differs", [COMPACTED, "facilities", "logs", "rollup_dirty", "rollup_state", "rollups"]
)
async def test_a_backup_whose_collections_differ_in_age_is_completed_too(
    mongod: Child, differs: str
) -> None:
    async with fresh_database(mongod) as db:
        await read_from_the_beginning(db, HALF)
        early = await copy_of(db)
        await read_from_the_beginning(db, ALL)
        before, stored, late = await answers(db), await kept(db), await copy_of(db)
        assert await rows(db) == RIGHT
        for most, other in ((early, late), (late, early)):
            await restore(db, most | {differs: other.get(differs, [])})
            await read_from_the_beginning(db, ALL)
            assert await rows(db) == RIGHT
            assert await answers(db) == before
            assert await kept(db) == stored


async def test_a_stored_position_never_falls(mongod: Child) -> None:
    async with fresh_database(mongod) as db:
        stored, other = database.logs(db), PLACE._replace(log="another")
        for place, offset, expected in (
            (PLACE, 7, 7),
            (PLACE, 5, 7),
            (PLACE, 9, 9),
            (other, 2, 2),  # created again, it begins at 0
        ):
            await logs.store_positions(stored, {place: offset, place._replace(partition=1): 3})
            assert (await logs.load(stored, place)).position == expected
        assert (await logs.load(stored, PLACE)).position is None


async def test_a_server_that_is_started_again_reads_nothing_again(
    tansu: Child, mongod: Child, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = Pipe(tansu.port)
    async with fresh_database(mongod) as db:
        await pipe.send(*BEFORE)
        async with pipe.ingesting(db):
            await has_stored(pipe, db, [len(BEFORE), 0], EARLY)
        caplog.clear()
        await pipe.send(*AFTER)
        async with pipe.ingesting(db):
            await has_stored(pipe, db, [ENDS[0], 0], RIGHT[:1])
    assert "from its beginning" not in caplog.text
