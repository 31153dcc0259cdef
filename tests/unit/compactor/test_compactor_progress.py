"""A compactor that holds readings and neither flushes nor tries is not alive."""

import asyncio

from sensorpipe_runtime.liveness import Progress
from support.compactor_bench import Bench


async def test_a_flush_that_never_ends_is_a_stall_and_an_attempt_is_none():
    bench = Bench()
    now = 0.0
    progress = Progress(
        lambda: bench.compactor.subscriber.inbox.unacknowledged > 0, clock=lambda: now
    )
    bench.compactor.progress = progress
    bench.kafka.on_attempt = progress.moved
    bench.kafka.there.clear()
    bench.give([])
    now = 100.0
    assert progress.is_made()  # nothing is held
    bench.deliver(1, 2)
    flushing = asyncio.create_task(bench.flush(everything=True))
    await asyncio.sleep(0)
    assert progress.is_made()
    now += 60
    assert not progress.is_made()
    bench.kafka.on_attempt()
    assert progress.is_made()
    bench.kafka.there.set()
    await flushing
    now += 1_000
    assert progress.is_made()


async def test_attempts_at_kafka_count_as_progress():
    bench = Bench()
    assert bench.kafka.on_attempt == bench.compactor.progress.moved
