"""Nothing is lost or counted twice at 9,000 readings a second, whatever is killed."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest
from support.pipeline import Pipeline, expected_windows, pipeline, sensor

DEVICES = int(os.environ.get("SENSORPIPE_TEST_DEVICES", "1000"))
SECONDS = int(os.environ.get("SENSORPIPE_TEST_SECONDS", "60"))
NAMES = ("boiler", "cooler", "mixer")


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[Pipeline]:
    """A pipeline under load: 3 Sensors with 1,000 devices each, 3 measurements, every second."""
    async with pipeline(tmp_path) as parts:
        for seed, name in enumerate(NAMES):
            await parts.generate(sensor(name, f"{name}_hall", DEVICES, seed))
        yield parts


async def judge(parts: Pipeline) -> None:
    """Stop the generators; every window must be what the seeds say, and the audit clean."""
    await parts.finish_generators()
    totals = {
        name: parts.said(child, "Generator stopped") for name, child in parts.generators.items()
    }
    assert all(total["given_up"] == 0 for total in totals.values())
    published = sum(total["published"] for total in totals.values())
    audit = (await parts.stored(published))["totals"]
    assert (audit["lost"], audit["duplicates"], audit["count"]) == (0, 0, published)
    for name, one in parts.sensors.items():
        start = parts.said(parts.generators[name], "Generator started")["first_reading_ms"]
        expected = expected_windows(one, start, totals[name]["published"])
        windows = await asyncio.to_thread(parts.windows, one.spec.facility)
        assert len(windows) == len(expected)
        for window in windows:
            began = datetime.fromisoformat(window["window"]["start_time"])
            for measurement, wanted in expected[round(began.timestamp() * 1000)].items():
                for key, value in wanted.items():
                    found = window[f"{key}_{measurement}"]
                    assert found == pytest.approx(value, rel=1e-9, abs=1e-9), (window, key)


async def test_every_window_is_what_the_seeds_say(loaded: Pipeline) -> None:
    await asyncio.sleep(SECONDS)  # the load's length, not a synchronization
    await judge(loaded)


async def test_nothing_changes_whatever_is_killed(loaded: Pipeline) -> None:
    seed = random.randrange(2**32)
    print(f"random seed {seed}")
    chance = random.Random(seed)
    compactor, server = loaded.compactor, loaded.server

    async def paused(child: str) -> None:
        one = getattr(loaded, child)
        one.send(signal.SIGSTOP)
        await asyncio.sleep(20)
        one.send(signal.SIGCONT)

    blows: list[Callable[[], Awaitable[None]]] = [
        *[lambda: loaded.kill(compactor)] * 5,
        *[lambda: loaded.kill(server)] * 5,
        lambda: paused("compactor"),
        lambda: paused("server"),
        lambda: loaded.restart(loaded.kafka),
        lambda: loaded.restart(loaded.mongodb),
    ]
    chance.shuffle(blows)
    for blow in blows:
        await asyncio.sleep(chance.uniform(0.2, 4))  # a random moment of the load
        await blow()
    await judge(loaded)
