"""A session with Kafka: no task of it ends unnoticed."""

import asyncio
import logging
from unittest.mock import MagicMock

import pytest
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.service import TaskEndedError
from sensorpipe_runtime.settings import Environment
from sensorpipe_server.ingest.consume import Ingest, _closing


class CancelledInside:
    """A consumer in which something is cancelled that nobody asked for (aio-libs/aiokafka#647)."""

    def assignment(self):
        """Return nothing."""
        return set()

    async def getmany(self, **_):
        """End as an awaited task does that the library has cancelled itself."""
        raise asyncio.CancelledError

    async def stop(self):
        """End alike."""
        raise asyncio.CancelledError


@pytest.fixture
def ingest():
    return Ingest(KafkaSettings.read(Environment({})), MagicMock())


async def test_a_reader_cancelled_from_inside_ends_the_session_with_an_error(ingest):
    async with asyncio.timeout(10):
        with pytest.raises(TaskEndedError, match="the task 'read' was cancelled"):
            await ingest._session(CancelledInside(), "log", asyncio.Event())


async def test_after_such_an_end_another_session_begins_and_it_is_said(ingest, monkeypatch, caplog):
    stop, sessions = asyncio.Event(), 0

    async def connect(*_):
        nonlocal sessions
        sessions += 1
        if sessions == 2:
            stop.set()
            return None
        return "log"

    monkeypatch.setattr(ingest, "_connect", connect)
    monkeypatch.setattr(ingest, "_consumer", CancelledInside)
    with caplog.at_level(logging.ERROR):
        async with asyncio.timeout(10):
            await ingest.run(stop)
    assert sessions == 2
    (said,) = caplog.records
    assert said.message == "consuming ended unexpectedly; starting again with new clients"
    assert said.error.startswith("the task 'read' was cancelled")


async def test_a_client_cancelled_from_inside_while_it_closes_cancels_nobody():
    async with asyncio.timeout(10):
        async with _closing(CancelledInside()):
            pass
