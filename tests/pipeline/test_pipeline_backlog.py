"""A backlog is drained exactly once, however often the compactor is killed in its midst."""

import asyncio
import random
import time
from pathlib import Path

from support.pipeline import pipeline
from support.pipeline_parts import metrics, publishing
from support.waiting import eventually, in_thread

READINGS = 500_000
BATCH = 1_000
KILLS = 6


async def test_a_backlog_is_counted_once_whenever_the_compactor_is_killed(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"random seed {seed}")
    chance = random.Random(seed)
    now = time.time_ns() // 1_000_000
    async with pipeline(tmp_path) as parts:
        await parts.compactor.stop()
        async with publishing(parts.mqtt, "backlog") as publisher:
            for first in range(1, READINGS + 1, BATCH):
                await eventually(in_thread(lambda: publisher.room >= BATCH))
                publisher.publish(
                    "sensor_readings/backlog/level",
                    [
                        b'{"ts":%d,"val":1.5,"src":"run","seq":%d}' % (now + seq // 20, seq)
                        for seq in range(first, first + BATCH)
                    ],
                )
            await publisher.drained()
        await parts.compactor.start()
        compactor = parts.compactor
        kills = 0
        while kills < KILLS:
            await eventually(in_thread(lambda: metrics(compactor).get("received", 0) > 0))
            await asyncio.sleep(chance.uniform(0, 0.1))  # a random moment of the drain
            if metrics(compactor).get("held", 0) == 0:
                break  # drained before the last kill
            await parts.kill(compactor)
            kills += 1
        assert kills
        totals = (await parts.stored(READINGS))["totals"]
        assert (totals["lost"], totals["duplicates"], totals["count"]) == (0, 0, READINGS)
