"""A history and its rollups in MongoDB, made by several processes.

`bench_past.py URI WINDOWS END_MS NOW_MS PART PARTS` is one of them: it stores the windows of its
share of the facilities, and computes their rollups as the server does, without its rests.
"""

import asyncio
import os
import sys
from itertools import islice

import bench_history
import uvloop
from bench_history import History
from sensorpipe_runtime.service import tune_garbage_collection
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES
from sensorpipe_server.storage.rollups.rolling import MARGIN_MS
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.rollups.writer import RollupWriter

_AT_ONCE = 4


async def make(uri: str, history: History) -> None:
    """Store a history and its rollups; raise RuntimeError where a process fails."""
    parts = os.cpu_count() or 1
    await bench_history.store(uri, iter(()), history.listed())
    now_ms = history.end_ms + history.delay_ms
    argv = [__file__, uri, *map(str, (history.asked, history.end_ms, now_ms))]
    made = [
        await asyncio.create_subprocess_exec(sys.executable, *argv, str(part), str(parts))
        for part in range(parts)
    ]
    try:
        if any(await asyncio.gather(*(process.wait() for process in made))):
            raise RuntimeError("the history could not be stored; its process says why above")
    finally:
        for process in made:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _part(uri: str, history: History, part: int, parts: int) -> None:
    numbered = enumerate(history.past(part, parts), 1)
    documents = (
        bench_history.document(window, number, history.delay_ms) for number, window in numbered
    )
    await bench_history.store(uri, documents, [])
    async with database.connect(uri) as client:
        db = database.database(client)
        state, writer = RollupState(db), RollupWriter(db, Pace(1.0))
        to_ms = FIVE_MINUTES.start(history.end_ms - MARGIN_MS)
        moments = dict.fromkeys(islice(history.counts, part, None, parts), to_ms)
        await state.announce(moments)
        names = iter(moments)

        async def add_up() -> None:
            for name in names:
                await writer.add_up(name, 0, to_ms)

        async with asyncio.TaskGroup() as group:  # one computes while another waits for the disk
            for _ in range(_AT_ONCE):
                group.create_task(add_up())
        await state.finish(moments)


def main(uri: str, *numbers: str) -> None:
    """Store one share."""
    tune_garbage_collection()
    windows, end_ms, now_ms, part, parts = map(int, numbers)
    uvloop.run(_part(uri, History(windows, end_ms, now_ms), part, parts))


if __name__ == "__main__":
    main(*sys.argv[1:])
