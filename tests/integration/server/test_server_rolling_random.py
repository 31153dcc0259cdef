"""Any partials, in any order, any of them twice, by workers killed anywhere: the same windows."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from sensorpipe_schema.compacted_reading_pb2 import Rollup
from sensorpipe_schema.partial import Origin, Partial, encode, read
from sensorpipe_server.storage.documents import WindowKey, document, read_id
from sensorpipe_server.storage.fold import Window, folded
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.folding import MIN_PARTIALS
from sensorpipe_server.storage.rollups.levels import DAY, LEVELS, read_rollup
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.rollups.totals import Total
from sensorpipe_server.storage.store import Store
from support.interrupted import Interrupted
from support.server_parts import NOW, batch_of, summary

pytest_plugins = ["support.server_fixtures"]

# PyMongo leaves a socket to the garbage collector where it is killed while it connects
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms
WINDOWS = [0, 10_000, 20_000, 300_000, 3_600_000, 3_900_000]
"""Starts after START; a day later comes one that makes all of them old."""

SILENT = 7200
"""Seconds after which nothing more is waited for."""


def message(at_ms: int, seqs: Iterable[int], number: int, *, itemized: bool) -> bytes:
    """Return a partial; the value of a reading follows from its seq."""
    readings = [(seq, float(seq)) for seq in seqs]
    found = summary(readings)
    if itemized:
        found.sources = {"run": [(seq, seq) for seq, _ in readings]}
        found.values = {"run": [value for _, value in readings]}
    origin = Origin("c", 1 + number % 2, number)
    start = START + at_ms
    return encode(Partial("hall_1", start, start + 10_000, origin, {"t": found}, itemized))


def partials(rng: random.Random) -> list[bytes]:
    """Return partials of several windows, each reading certain in one of them at most."""
    made: list[bytes] = []
    seq = 0
    for at_ms in WINDOWS:
        for _ in range(rng.randint(1, 8)):
            count = rng.randint(1, 3)
            seqs = range(seq + 1, seq + 1 + count)
            seq += count
            made.append(message(at_ms, seqs, len(made) + 1, itemized=rng.random() < 0.2))
            if rng.random() < 0.3:  # and nobody was sure of what came a while ago
                again = rng.sample(range(max(1, seq - 5), seq + 1), min(3, seq))
                made.append(message(at_ms, again, len(made) + 1, itemized=True))
    made.append(message(DAY.length_ms, [seq + 1], len(made) + 1, itemized=False))
    rng.shuffle(made)
    return made


def worker(db: database.Database) -> Rolling:
    now = NOW.timestamp() + SILENT
    return Rolling(db, lambda: True, clock=lambda: now, pace=Pace(1.0))


async def put(db: database.Database, messages: list[bytes]) -> None:
    await Store(db, Past(db)).write(batch_of(*messages).partials)


def told(windows: Iterable[Window]) -> dict[str, Rollup]:
    """Return what each bucket of each level holds, in the form that rounding does not change."""
    totals: dict[str, Total] = {}
    for window in windows:
        for level in LEVELS:
            name = f"hall_1/{level.name}/{level.start(window.key.start_ms):015d}"
            totals.setdefault(name, Total()).add_window(window)
        totals[str(window.key)] = total = Total()
        total.add_window(window)
    return {name: exact(total.rollup()) for name, total in totals.items()}


def exact(rollup: Rollup) -> Rollup:
    """Return a rollup with means and m2 that rounding does not tell apart."""
    for each in rollup.sensors:
        each.summary.mean = float(f"{each.summary.mean:.9g}")
        each.summary.m2 = float(f"{each.summary.m2:.9g}")
    return rollup


async def happen(db: database.Database, rng: random.Random, waiting: list[bytes]) -> None:
    """Let some time pass: partials come, again or late, while workers work or die."""
    count = rng.randint(1, 8)
    batch, waiting[:count] = waiting[:count], []
    again = rng.sample(batch, rng.randint(0, len(batch)))
    work: list[Any] = [put(db, [*batch, *again])]
    waits = [rng.randint(1, 250) for _ in range(rng.randint(0, 2))]
    work += [_ended(Interrupted(worker(db).round(), at)) for at in waits]
    await asyncio.gather(*work)
    waiting += rng.sample(batch, rng.randint(0, len(batch)) // 2)


async def _ended(work: Interrupted) -> None:
    await work


SEEDS = [seed if seed < 3 else pytest.param(seed, marks=pytest.mark.promise) for seed in range(30)]


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_history_leads_to_the_same_windows_and_rollups(db, seed):
    rng = random.Random(seed)
    messages = partials(rng)
    plain = sorted(
        (document(read(data), data, NOW) for data in messages), key=lambda each: str(each["_id"])
    )
    waiting = list(messages)
    while waiting:
        await happen(db, rng, waiting)
    await worker(db).round()
    stored = await database.windows(db).find().sort("_id").to_list()
    assert max(certain_parts(stored).values()) < MIN_PARTIALS
    expected = told(folded(plain))
    assert told(folded(stored)) == expected
    found = await database.rollups(db).find().to_list()
    rollups = {each["_id"]: read_rollup(each) for each in found}
    done_ms = (await RollupState(db).of("hall_1")).done_ms
    assert {name: exact(rollup) for name, rollup in rollups.items() if rollup} == {
        name: rollup
        for name, rollup in expected.items()
        for level in LEVELS
        if f"/{level.name}/" in name and int(name.rpartition("/")[2]) + level.length_ms <= done_ms
    }
    assert await RollupState(db).next_markers(None, 10) == []


def certain_parts(documents: list[dict[str, Any]]) -> Counter[WindowKey]:
    """Return how many certain partials each window has that are documents of their own."""
    keys = [(read_id(each["_id"]), each) for each in documents]
    return Counter(
        key.window for key, each in keys if not key.is_folded and not each.get("itemized")
    )
