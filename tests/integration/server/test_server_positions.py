"""Positions and fences belong to one log: no other one loses a partial by them."""

from contextlib import suppress

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.errors import KafkaError
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.ports import free_port
from sensorpipe_runtime.kafka.client import ensure_topics
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.mongodb import database
from support import services
from support.server_parts import counts, fence_message, fresh_database, one
from support.server_pipe import Pipe, expect
from support.services import running
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]


async def admin(pipe, work):
    client = AIOKafkaAdminClient(**pipe.settings.client_options())
    await client.start()
    try:
        return await work(client)
    finally:
        await client.close()


async def remake(pipe):
    """Delete the topic and create it again, empty."""
    await admin(pipe, lambda client: client.delete_topics([pipe.route.topic]))

    async def made():
        with suppress(KafkaError):
            await ensure_topics(pipe.settings, pipe.route.topic)
            return True
        return False

    await eventually(made)


def partials(count, **origin):
    return [one([(n, 1.0)], number=n, **origin) for n in range(1, count + 1)]


async def log_of(db, pipe):
    """Return the stored log of partition 0, and its fences."""
    entry = await database.logs(db).find_one({"_id": f"{pipe.route.topic}/0"}) or {}
    return entry.get("log"), [fence["run"] for fence in entry.get("fences", [])]


@pytest.mark.parametrize("again", [9, 10, 30])
async def test_a_topic_remade_while_no_server_runs_is_read_from_its_beginning(kafka, db, again):
    """However many records it has got by then: fewer, as many or more than are committed."""
    pipe = Pipe(kafka.port)
    async with pipe.ingesting(db):
        await pipe.send(fence_message(1), *partials(9))
        await expect(db, [9])
    before = await log_of(db, pipe)
    await remake(pipe)
    await pipe.send(fence_message(2), *partials(again - 1, run=2, window=1))
    async with pipe.ingesting(db):
        await expect(db, [9, again - 1])
    assert (await pipe.committed())[0] == again
    log, fences = await log_of(db, pipe)
    assert (before[0] not in (log, None), before[1], fences) == (True, [1], [2])


async def test_a_topic_remade_under_a_running_server_is_read_from_its_beginning(
    kafka, db, monkeypatch, caplog
):
    monkeypatch.setattr("sensorpipe_server.ingest.consume.LOG_SECONDS", 0.2)
    pipe = Pipe(kafka.port)
    async with pipe.ingesting(db):
        await pipe.send(*partials(5), fence_message(7), *partials(5, run=7, window=1))
        await expect(db, [5, 5])
        await remake(pipe)
        await pipe.send(*partials(40, run=3, window=2))
        await expect(db, [5, 5, 40])
        await eventually(lambda: "the topic was created again" in caplog.text)
    assert (await pipe.committed())[0] == 40
    assert await logs.fenced_total(database.logs(db)) == 0


@pytest.mark.parametrize("kind", ["tansu", "kafka"])
async def test_a_kafka_begun_anew_beside_a_kept_database_loses_nothing(mongod, tmp_path, kind):
    """As after a clock that was far ahead: the old fence lies far above all new offsets."""
    async with fresh_database(mongod) as db:
        for number, run in enumerate((2**62, 5)):
            folder = tmp_path / str(number)
            folder.mkdir()
            broker = (
                services.kafka(folder)
                if kind == "kafka"
                else embedded.kafka_broker(free_port(), folder)
            )
            async with running(broker):
                pipe = Pipe(broker.port, "begun-anew")
                async with pipe.ingesting(db):
                    await pipe.send(fence_message(run), *partials(1800, run=run, window=number))
                    await expect(db, [1800] * (number + 1))
        assert await logs.fenced_total(database.logs(db)) == 0


async def test_partitions_raised_while_the_server_lags_lose_nothing(kafka, db):
    """A facility's later partials are read first, from the partition that it has moved to."""
    pipe = Pipe(kafka.port)
    await ensure_topics(pipe.settings, pipe.route.topic)
    messages = partials(3000)
    await pipe.send(fence_message(1), *messages[:2000], partition=0)
    more = {pipe.route.topic: NewPartitions(total_count=6)}
    await admin(pipe, lambda client: client.create_partitions(more))

    async def sent():
        with suppress(KafkaError, AssertionError):
            await pipe.send(fence_message(1), *messages[2000:], partition=5)
            return True
        return False

    await eventually(sent)
    async with pipe.ingesting(db):
        await expect(db, [3000])


async def test_a_position_whose_log_is_not_stored_changes_nothing(kafka, db):
    """A server that ended between the commit and the note of its log reads all that is left."""
    pipe = Pipe(kafka.port)
    async with pipe.ingesting(db):
        await pipe.send(*partials(5))
        await expect(db, [5])
    await database.logs(db).delete_many({})
    deleted = {TopicPartition(pipe.route.topic, 0): RecordsToDelete(before_offset=3)}
    await admin(pipe, lambda client: client.delete_records(deleted))
    await pipe.send(one([(6, 1.0)], number=6))
    async with pipe.ingesting(db):
        await expect(db, [6])
    assert (await pipe.committed())[0] == 6
    assert (await log_of(db, pipe))[0] is not None


async def test_what_is_fenced_is_said_and_counted(kafka, db, caplog):
    pipe = Pipe(kafka.port)
    async with pipe.ingesting(db):
        await pipe.send(fence_message(2), *partials(3), *partials(4, run=2))
        await expect(db, [4])
        await eventually(lambda: "partials are not counted" in caplog.text)
    (said,) = [r for r in caplog.records if r.message.startswith("partials are not counted")]
    assert (said.partition, said.partials, said.first_offset, said.last_offset) == (0, 3, 1, 3)
    assert await logs.fenced_total(database.logs(db)) == 3
    assert await counts(db) == [4]
