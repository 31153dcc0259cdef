"""Brokers that let only few messages be in flight: the pipeline keeps up with 1,000 a second."""

import asyncio
import shutil
from pathlib import Path

import pytest
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from support import services
from support.pipeline import Pipeline, pipeline, sensor
from support.pipeline_parts import counted, metrics, settled
from support.waiting import eventually, in_thread

READINGS = 20_000
DROPPED = "$SYS/broker/publish/messages/dropped"
REPORTING = "sys_interval 1\n"
"""How often Mosquitto tells its own figures; all else stays at its default."""


async def load(parts: Pipeline) -> Child:
    """Generate 20,000 readings at 1,000 a second; return the generator, which has drained."""
    manifest = sensor("mill", "mill_hall", 250, 1)
    load = {"name": "load", "signal": {"linear": {"start": 0, "perHour": 3600}}}
    manifest["spec"]["measurements"].append(load)
    generator = await parts.generate(manifest)
    await eventually(
        in_thread(lambda: metrics(generator).get("published", 0) >= READINGS), state=generator.tail
    )
    await parts.finish_generators()
    return generator


async def judge(parts: Pipeline, generator: Child) -> None:
    """Everything the broker took is counted, once."""
    end = parts.said(generator, "Generator stopped")
    assert end["acknowledged"] == end["published"] >= READINGS
    assert end["refused"] == end["given_up"] == 0
    await counted(parts, "mill_hall", end["published"])
    await settled(parts)
    totals = await counted(parts, "mill_hall", 0)
    assert totals == {
        "count": end["published"],
        "lost": 0,
        "pending": 0,
        "duplicates": 0,
        "unidentified": 0,
        "unreadable": 0,
        "removed": 0,
        "sources": 4,
    }
    compactor = metrics(parts.compactor)
    assert compactor["received"] == end["published"]
    assert compactor["mqtt_connections"] == 1
    assert compactor["early_flushes"] > 0  # the broker did let only a few be in flight


async def dropped(broker: Child) -> int:
    """Return how many messages Mosquitto has dropped, as it says from now on."""
    program = shutil.which("mosquitto_sub")
    if program is None:
        pytest.skip("no mosquitto_sub here; `apt-get install mosquitto-clients` brings it")
    argv = ["-h", "127.0.0.1", "-p", str(broker.port), "-F", "%r %t %p"]
    argv += ["-t", DROPPED, "-t", "$SYS/broker/uptime"]
    process = await asyncio.create_subprocess_exec(program, *argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    count, reports = None, 0
    async with asyncio.timeout(30):
        while count is None or reports < 2:
            retained, topic, value = (await process.stdout.readline()).decode().split(maxsplit=2)
            if topic == DROPPED:
                count = int(value)
            elif retained == "0":
                reports += 1  # the figures of one report come together, this one perhaps first
    process.terminate()
    await process.communicate()
    return count


async def test_mosquitto_on_its_defaults_drops_nothing(tmp_path: Path) -> None:
    async with pipeline(tmp_path, services.mosquitto(tmp_path / "mqtt", REPORTING)) as parts:
        await judge(parts, await load(parts))
        assert await dropped(parts.mqtt) == 0


async def test_rumqttd_which_grants_100_loses_nothing(tmp_path: Path) -> None:
    broker = embedded.mqtt_broker(free_port(), tmp_path / "mqtt")
    kafka = embedded.kafka_broker(free_port(), tmp_path / "kafka")
    async with pipeline(tmp_path, broker, kafka) as parts:
        await judge(parts, await load(parts))
