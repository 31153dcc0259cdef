"""The compacted topic is deleted and created again under a running compactor."""

import asyncio
import json
from pathlib import Path

import pytest
from sensorpipe_compactor.epoch.tail import ShorterLogError, Tail
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.topic_producer import LogReplacedError
from sensorpipe_runtime.kafka.client import ensure_topics
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin
from support import services
from support.compactor_parts import kafka_settings, record, remake
from support.compactor_process import Process, eventually_counts, ready, source
from support.services import running
from support.waiting import eventually


async def test_an_append_to_a_log_made_anew_says_so_and_a_start_learns_of_it(tmp_path: Path):
    async with running(services.kafka(tmp_path)) as kafka:
        settings = kafka_settings(kafka)
        journal = Journal(settings, "anew")
        await asyncio.wait_for(journal.open(), 60)
        await journal.append([record(Origin("anew", journal.run, 1), [1, 2])])
        await remake(settings)
        again = record(Origin("anew", journal.run, 2, journal.horizon.newest_ms), [3])
        with pytest.raises(LogReplacedError, match="goes on at 0, before the offset 2 it had"):
            await asyncio.wait_for(journal.append([again]), 60)
        await journal.close()
        second = Journal(settings, "anew")
        await asyncio.wait_for(second.open(), 60)
        await second.close()
        assert second.former_partials == 1
        assert second.horizon.newest_ms >= journal.horizon.newest_ms


async def test_a_tail_that_read_nothing_cancels_nobody(kafka):
    settings = kafka_settings(kafka)
    await ensure_topics(settings, COMPACTED)
    for _ in range(5):
        async with Tail(settings, COMPACTED) as tail:
            await tail.read(0, 7, 7, print)


async def test_reading_beyond_the_end_of_a_log_ends_with_an_error(
    kafka, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sensorpipe_compactor.epoch.tail._STALL_SECONDS", 0.1)
    settings = kafka_settings(kafka)
    await ensure_topics(settings, COMPACTED)
    async with Tail(settings, COMPACTED) as tail:
        end = (await tail.ends([0]))[0]
        with pytest.raises(ShorterLogError, match=f"ends at {end}, before {end + 9}"):
            await tail.read(0, end, end + 9, print)


async def test_the_process_ends_with_an_error_and_its_next_start_loses_nothing(
    tmp_path: Path, mosquitto
):
    name = "remade"
    async with (
        running(services.kafka(tmp_path / "kafka")) as kafka,
        source(mosquitto.port, name) as readings,
    ):
        async with ready(Process(tmp_path, name, mosquitto.port, kafka.port)) as process:
            readings.publish(200)
            await process.reaches("acknowledged", 200)
            await remake(kafka_settings(kafka))
            lost, before = 200, readings.expected()
            readings.publish(300)
            assert await asyncio.wait_for(process.wait(), 60) == 1
            said = [json.loads(line) for line in process.tail(20).splitlines()]
            (error,) = [line for line in said if "replaced" in line["message"]]
            assert error["message"] == "Kafka's log was replaced; ending"
            assert "was deleted and created again" in error["error"]
        async with ready(Process(tmp_path, name, mosquitto.port, kafka.port)) as process:
            await readings.drained()
            readings.publish(1)
            await eventually(lambda: readings.publisher.unacknowledged == 0)
            expected = {key: 1 for key in readings.expected() if key not in before}
            await eventually_counts(kafka, name, expected)
            assert len(expected) == readings.sent - lost
            assert await process.stop(30) == 0
