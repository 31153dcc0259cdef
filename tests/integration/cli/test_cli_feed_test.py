"""`sensorpipe feed test` and `sensorpipe check`: Feeds tried before anything is stored."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sensorpipe_cli.runner.child import Child
from support import services
from support.feeds import SHIPPED
from support.pipeline_parts import mosquitto_pub


def sensorpipe(*arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sensorpipe_cli", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)


def feed_test(feed: str, topic: str, message: str) -> tuple[int, list[str]]:
    done = sensorpipe("feed", "test", SHIPPED / f"{feed}.yaml", "-t", topic, "-m", message)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_readings_of_a_message_are_printed() -> None:
    code, (first, second) = feed_test("zigbee2mqtt", "zigbee2mqtt/Hall 2", '{"temperature": 2}')
    assert code == 0
    assert first == "zigbee2mqtt/Hall 2: readings"
    assert second.startswith("  hall_2/temperature = 2 at 20")


def test_what_would_be_refused_says_why() -> None:
    topic = "application/a/device/0a/event/up"
    code, (_, reading, why) = feed_test(
        "chirpstack",
        topic,
        '{"time": "2024-07-23T03:15:37.161Z", "deviceInfo": {"devEui": "0a"}, "devAddr": "7", '
        '"fCnt": 12, "object": {"battery": 3.98}}',
    )
    assert code == 1
    assert reading == "  0a/battery = 3.98 at 2024-07-23T03:15:37.161+00:00, seq 13 of 0a/7"
    assert why.startswith("    refused when it is received now, too_old: ")
    code, (told,) = feed_test("chirpstack", topic, "{")
    assert code == 1
    assert told.startswith(f"{topic}: refused, not_json: Feed chirpstack: ")


def test_a_topic_that_no_feed_takes_and_a_message_without_values() -> None:
    topic = "application/a/device/0a/event/"
    code, (told,) = feed_test("chirpstack", f"{topic}join", "{}")
    assert code == 1
    assert told.endswith(f"takes the topic {topic}join")
    code, (told,) = feed_test("chirpstack", f"{topic}up", "{}")
    assert (code, told) == (0, f"{topic}up: none of the named values")


def test_check_lists_feeds_and_refuses_overlapping_ones(tmp_path: Path) -> None:
    done = sensorpipe("check", SHIPPED / "homie.yaml")
    assert done.stdout == (
        "homie: homie/{device}/{node}/{property} to facility {device}, {node}_{property}\n"
    )
    text = (SHIPPED / "homie.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(text.replace("name: homie", "name: other"))
    done = sensorpipe("check", tmp_path)
    assert done.returncode == 2
    assert "b.yaml: spec.topic: must not overlap another Feed" in done.stderr
    assert "of 'homie' in" in done.stderr


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Child]:
    child = services.mosquitto(tmp_path / "mosquitto")
    await child.start()
    await child.listening()
    yield child
    await child.stop()


async def test_it_listens_to_a_live_broker(broker: Child) -> None:
    argv = [sys.executable, "-u", "-m", "sensorpipe_cli", "feed", "test"]
    argv += [str(SHIPPED / "zigbee2mqtt.yaml"), "--listen", "60s"]
    argv += ["--mqtt", f"mqtt://127.0.0.1:{broker.port}"]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        first = await process.stdout.readline()
        assert first == b"listening for 60 s to zigbee2mqtt/+\n"
        await mosquitto_pub(broker, "zigbee2mqtt/hall", b'{"humidity": 44}')
        await mosquitto_pub(broker, "zigbee2mqtt/hall", b'{"humidity": "wet"}')
        lines = [(await process.stdout.readline()).decode() for _ in range(3)]
    finally:
        process.kill()
        await process.wait()
    assert lines[0] == "zigbee2mqtt/hall: readings\n"
    assert lines[1].startswith("  hall/humidity = 44 at 20")
    assert "refused, not_a_number: Feed zigbee2mqtt: /humidity: 'wet'" in lines[2]
