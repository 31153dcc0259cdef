"""Several compactors with topics of their own: killed, and topics moved from one to another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom

from support import services
from support.commands import run
from support.compactor_parts import kafka_settings, written
from support.pipeline import Pipeline
from support.pipeline_parts import check, publishing, settled
from support.services import running
from support.shards import Load, Shard, kill, running_with, topics

NORTH, EAST, WEST = (
    [f"{part}_{number}" for number in range(3)] for part in ("north", "east", "west")
)
TAKES_OVER = {"SENSORPIPE_TAKING_OVER": "true"}
TOOK_OVER = {"SENSORPIPE_TAKING_OVER": "false"}


@asynccontextmanager
async def loaded(*names: str) -> AsyncIterator[Load]:
    """Return a load that is the same for the same seed but for its times."""
    seed = SystemRandom().randrange(2**32)
    print(f"random seed {seed}")
    yield Load(names, seed)


async def facilities_of(parts: Pipeline, name: str) -> set[str]:
    """Return the facilities of which the compactor of a name has written readings."""
    found = await written(kafka_settings(parts.kafka), name)
    return {partial.facility for _, partial in found if partial.sensors}


async def judge(parts: Pipeline, load: Load, *shards: Shard) -> None:
    """Each reading that was sent is counted once: by the audit, by `verify` and by each window."""
    for shard in shards:
        await shard.drained()
    await settled(parts)
    totals = (await parts.stored(load.count))["totals"]
    assert (totals["lost"], totals["duplicates"], totals["count"]) == (0, 0, load.count)
    status, said, problem = await run(f"http://127.0.0.1:{parts.server.port}", "verify", "--wait")
    assert status == 0, said + problem
    for facility in load.facilities.values():
        await check(parts, facility.name, facility.sent)


async def test_two_of_three_compactors_are_killed_and_topics_move(tmp_path: Path) -> None:
    parts = Pipeline(
        tmp_path, services.mosquitto(tmp_path / "mosquitto"), services.kafka(tmp_path / "kafka")
    )
    north, east, west = (
        Shard(parts, name, topics(*facilities), parts.mqtt)
        for name, facilities in (("north", NORTH), ("east", EAST), ("west", WEST))
    )
    moved = NORTH[0]
    async with running_with(parts, north, east, west), loaded(*NORTH, *EAST, *WEST) as load:
        async with publishing(parts.mqtt, "load") as publisher:
            for name in load.facilities:
                load.send_to(name, publisher)
            async with load:
                for shard in (north, east, west):
                    await shard.is_certain()
                await kill(parts, north, east)
                await load.grows(100)
                await east.is_certain()
                await east.change(TAKES_OVER | {"SENSORPIPE_MQTT_TOPIC": topics(*EAST, moved)})
                await load.grows(300)
                await kill(parts, north, east)
                await load.grows(60)
                await north.change({"SENSORPIPE_MQTT_TOPIC": topics(*NORTH[1:])})
                await load.grows(60)
                await east.change(TOOK_OVER)
                await load.grows(60)
                await kill(parts, east, west)
                await east.is_certain()
                await load.end()
        await judge(parts, load, north, east, west)
        # what is shown would be worth nothing if only one of them had written
        assert moved in await facilities_of(parts, "north")
        assert await facilities_of(parts, "east") == {*EAST, moved}


async def test_a_publisher_moves_to_another_broker_with_a_compactor_of_its_own(
    tmp_path: Path,
) -> None:
    parts = Pipeline(
        tmp_path, services.mosquitto(tmp_path / "mosquitto"), services.kafka(tmp_path / "kafka")
    )
    second = services.mosquitto(tmp_path / "second")
    every = "sensor_readings/#"
    home, far = Shard(parts, "home", every, parts.mqtt), Shard(parts, "far", every, second)
    async with (
        running(second),
        running_with(parts, home, far),
        publishing(parts.mqtt, "at-home") as at_home,
        publishing(second, "far-off") as far_off,
        loaded("stays", "is_far", "moves") as load,
    ):
        load.send_to("stays", at_home)
        load.send_to("is_far", far_off)
        load.send_to("moves", at_home)
        async with load:
            await home.is_certain()
            await far.is_certain()
            await far.change(TAKES_OVER)
            load.send_to("moves", at_home, far_off)  # which of them has a reading it cannot know
            await load.grows(300)
            await kill(parts, home, far)
            await load.grows(60)
            load.send_to("moves", far_off)
            await load.grows(60)
            await far.change(TOOK_OVER)
            await load.grows(60)
            await kill(parts, far)
            await load.end()
        await judge(parts, load, home, far)
        assert await facilities_of(parts, "home") == {"stays", "moves"}
        assert await facilities_of(parts, "far") == {"is_far", "moves"}
