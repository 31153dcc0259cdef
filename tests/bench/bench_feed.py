"""Partials into Kafka at a rate: the windows that follow a history, until it is ended.

`bench_feed.py KAFKA WINDOWS END_MS RATE STEPS`; where it was late, it catches up. It leaves out
the first windows of each facility, as many as STEPS.
"""

import asyncio
import sys
import time
from itertools import islice

import uvloop
from aiokafka import AIOKafkaProducer
from bench_history import History, value
from sensorpipe_runtime.service import tune_garbage_collection
from sensorpipe_schema.names import COMPACTED

_TICK = 0.05


async def main(kafka: str, windows: str, end_ms: str, rate: str, steps: str) -> None:
    """Send without end."""
    history = History(int(windows), int(end_ms))
    number = history.windows + int(steps) * len(history.counts)
    onward, sent = history.onward(int(steps)), 0
    producer = AIOKafkaProducer(
        bootstrap_servers=f"127.0.0.1:{kafka}", acks="all", max_batch_size=1 << 18, linger_ms=10
    )
    # made before the clock starts, since the first ones take long
    made = [value(window, number) for window in islice(history.onward(), 200)]
    async with producer:
        tune_garbage_collection()
        began = time.monotonic()
        while made:
            due = int((time.monotonic() - began) * float(rate))
            for window in islice(onward, max(0, min(due - sent, 1000))):
                number += 1
                sent += 1
                message = value(window, number)
                await producer.send(COMPACTED, message, window.facility.encode())
            await asyncio.sleep(_TICK)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
