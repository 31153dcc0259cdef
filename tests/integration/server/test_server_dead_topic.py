"""The topic of dead letters is deleted under a running server, on a real Kafka."""

import asyncio
import logging

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from prometheus_client import REGISTRY
from sensorpipe_runtime.kafka.client import MissingTopicsError, ensure_topics
from sensorpipe_server.ingest import consume
from support.server_parts import one
from support.server_pipe import Pipe, expect
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]

WAIT = "dead letters cannot be written; partials are stored, their offsets not committed"
AGAIN = "dead letters are written again"


@pytest.fixture
def pipe(kafka):
    return Pipe(kafka.port)


@pytest.fixture
def allowed(pipe, monkeypatch):
    """An event to set once the topic of dead letters alone may be created."""
    event = asyncio.Event()

    async def ensure(settings, *names):
        if pipe.route.topic not in names and not event.is_set():
            raise MissingTopicsError(f"Kafka has no topic {', '.join(names)}")
        await ensure_topics(settings, *names)

    monkeypatch.setattr(consume, "ensure_topics", ensure)
    return event


def lag():
    """Return the lag of partition 0 as somebody scrapes it."""
    return REGISTRY.get_sample_value("sensorpipe_server_consumer_lag_records", {"partition": "0"})


async def delete(pipe, topic):
    admin = AIOKafkaAdminClient(bootstrap_servers=pipe.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()


async def test_partials_are_stored_without_the_topic_and_its_letter_comes_later(
    pipe, db, allowed, caplog
):
    caplog.set_level(logging.INFO, "sensorpipe_server")
    async with pipe.ingesting(db):
        await delete(pipe, pipe.route.dead_letters)
        await pipe.send(b"\xff\xff", *(one([(n, 1.0)], number=n) for n in range(1, 41)))
        await expect(db, [40])
        await eventually(lambda: lag() == 41)

        def said():
            return {(r.topic, r.error) for r in caplog.records if r.message == WAIT}

        why = (pipe.route.dead_letters, f"Kafka has no topic {pipe.route.dead_letters}")
        await eventually(lambda: why in said())
        assert {topic for topic, _ in said()} == {pipe.route.dead_letters}
        assert (await pipe.committed())[0] == 0
        allowed.set()
        (letter,) = await pipe.dead_letters(1)
        await eventually(lambda: lag() == 0)
        await pipe.commits(41)
    assert (letter.value, dict(letter.headers)["offset"]) == (b"\xff\xff", b"0")
    assert AGAIN in caplog.messages


async def test_a_stop_without_the_topic_commits_nothing_and_the_next_start_sends_the_letter(
    pipe, db, allowed, monkeypatch
):
    monkeypatch.setattr(consume, "STOP_SECONDS", 1.0)
    async with pipe.ingesting(db):
        await delete(pipe, pipe.route.dead_letters)
        await pipe.send(b"\xff\xff", *(one([(n, 1.0)], number=n) for n in range(1, 41)))
        await expect(db, [40])
    assert (await pipe.committed())[0] == 0
    allowed.set()
    async with pipe.ingesting(db):
        (letter,) = await pipe.dead_letters(1)
        await eventually(lambda: lag() == 0)
    assert dict(letter.headers)["offset"] == b"0"
    await expect(db, [40])
    assert (await pipe.committed())[0] == 41
