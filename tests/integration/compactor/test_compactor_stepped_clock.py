"""The compactor's wall clock is stepped while it runs."""

import json
import re
from pathlib import Path

from support.compactor_process import Process, counts, ready, source
from support.services import running
from support.stepped_clock import SteppedClock

HOUR = 3600
UNDER_WAY = 20
"""Seconds that a reading may be under way on a busy machine."""


async def test_an_open_window_comes_out_where_the_clock_was_set_back_an_hour(
    tmp_path: Path, mosquitto, kafka
):
    name = "set_back"
    clock = SteppedClock(tmp_path / "clock")
    process = Process(tmp_path, name, mosquitto.port, kafka.port, clock.environ)
    async with source(mosquitto.port, name) as readings, ready(process):
        readings.publish(30)
        await process.reaches("received", 30)
        clock.step(-HOUR)
        await process.reaches("acknowledged", 30)  # once it was after 3,602 s
        await readings.drained()
    assert await counts(kafka, name) == readings.expected()


def said(process: Process, text: str) -> list[dict[str, object]]:
    """Return the log entries that have a text somewhere."""
    lines = [line for line in process.tail(200).splitlines() if text in line]
    return [json.loads(line) for line in lines]


async def test_a_clock_two_hours_ahead_is_named_where_kafka_refuses_the_timestamp(
    tmp_path: Path, mosquitto, kafka
):
    name = "set_ahead"
    clock = SteppedClock(tmp_path / "clock")
    process = Process(tmp_path, name, mosquitto.port, kafka.port, clock.environ)
    async with source(mosquitto.port, name) as readings, ready(process):
        clock.step(2 * HOUR)
        readings.publish(30)
        await process.reaches("kafka_retries", 3)
        (line,) = said(process, "Kafka did not take it")
        assert "refuses the record's timestamp: the clocks of this machine" in str(line["error"])
        found = re.search(r"this machine's clock is (\d+) s ahead of all", str(line["error"]))
        assert found
        assert 2 * HOUR <= int(found[1]) <= 2 * HOUR + UNDER_WAY
        clock.step(0)
        await process.reaches("acknowledged", 30)
    assert await counts(kafka, name) == readings.expected()


async def test_readings_are_held_while_the_clock_is_behind_all_sources(
    tmp_path: Path, mosquitto, kafka
):
    name = "behind"
    clock = SteppedClock(tmp_path / "clock", -HOUR)
    process = Process(tmp_path, name, mosquitto.port, kafka.port, clock.environ)
    async with (
        source(mosquitto.port, name) as readings,
        running(process),
    ):
        await process.is_ready()
        readings.publish(30)
        readings.publisher.publish(f"sensor_readings/{name}/t", readings.anonymous(1))
        await process.reaches("clock_behind_seconds", HOUR - UNDER_WAY)
        status, reason = await process.get("/readyz")
        found = re.fullmatch(r"this machine's clock is (\d+) s behind most sources\n", reason)
        assert status == 503
        assert found
        assert HOUR - UNDER_WAY <= int(found[1]) <= HOUR
        metrics = await process.metrics()
        assert (metrics["held_ahead"], metrics["acknowledged"]) == (31, 0)
        assert len(said(process, "clock is behind most sources")) == 1
        clock.step(0)
        await process.reaches("acknowledged", 31)
        assert (await process.get("/readyz"))[0] == 200
        metrics = await process.metrics()
        assert metrics["dead_letters_waiting"] == 0
        assert "dead_letters_total" not in str(metrics)  # once it was all of them
    assert await counts(kafka, name) == readings.expected()
