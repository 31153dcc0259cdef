"""Rollups of what is stored, computed in a process that does nothing else.

`roll_up.py URI` prints JSON: CPU seconds for all windows at once, as after an outage; CPU
seconds for the windows of an hour, 5 minutes at a time, as from day to day; and how many
windows were in each. What it has computed is dropped. In 5 minutes the server looks at all
facilities twice, so every other round finds nothing new.
"""

import json
import sys
import time

import uvloop
from sensorpipe_runtime.service import tune_garbage_collection
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES
from sensorpipe_server.storage.rollups.rolling import Rolling

STEPS = 12


async def main(uri: str) -> None:
    """Compute all rollups of a database twice, and drop them."""
    async with database.connect(uri) as client:
        db = database.database(client)
        tune_garbage_collection()
        used, windows = await _caught_up(db)
        await _drop(db)
        used_daily, windows_daily = await _day_by_day(db)
        await _drop(db)
    print(json.dumps([used, windows, used_daily, windows_daily]))


async def _caught_up(db: Database) -> tuple[float, int]:
    began = time.process_time()
    await _rolling(db, 0).round()
    return time.process_time() - began, await _windows(db)


async def _day_by_day(db: Database) -> tuple[float, int]:
    """Let the last hour come to an end step by step: the lateness says how far each one goes."""
    await _rolling(db, STEPS).round()
    before, began = await _windows(db), time.process_time()
    for step in reversed(range(STEPS)):
        rolling = _rolling(db, step)
        for _ in range(2):
            await rolling.round()
    return time.process_time() - began, await _windows(db) - before


def _rolling(db: Database, left_out: int) -> Rolling:
    lateness_ms = 2000 + left_out * FIVE_MINUTES.length_ms
    return Rolling(db, lambda: True, lateness_ms, pace=Pace(share=1.0))


async def _windows(db: Database) -> int:
    found = await database.rollups(db).find({"level": "5m"}, {"windows": 1}).to_list()
    return sum(each["windows"] for each in found)


async def _drop(db: Database) -> None:
    for collection in (database.rollups(db), database.rollup_state(db), database.rollup_dirty(db)):
        await collection.drop()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
