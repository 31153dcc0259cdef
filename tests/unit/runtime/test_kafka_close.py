"""Clients of Kafka are closed whatever state they are in, and nobody else is cancelled."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError
from sensorpipe_runtime.kafka.closing import close_client


class Connections:
    """The connections of a client."""

    def __init__(self):
        self.closed = False

    async def close(self):
        self.closed = True


def client_of(error, attribute):
    async def stop():
        raise error

    connections = Connections()
    return SimpleNamespace(stop=stop, **{attribute: connections}), connections


@pytest.mark.parametrize("attribute", ["_client", "client"])
async def test_a_stop_that_was_cancelled_from_inside_leaves_no_connection(attribute):
    client, connections = client_of(asyncio.CancelledError(), attribute)
    await close_client(client)
    assert connections.closed


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError(), OSError("gone")])
async def test_a_client_that_cannot_say_good_bye_is_closed_all_the_same(error, caplog):
    caplog.set_level("INFO")
    client, _ = client_of(error, "client")
    await close_client(client)
    assert caplog.messages == ["Kafka client closed with an error"]


async def test_one_that_is_kept_waiting_goes_on_closing_by_itself():
    answered, stopped = asyncio.Event(), asyncio.Event()

    async def stop():
        await answered.wait()
        stopped.set()

    await close_client(SimpleNamespace(stop=stop), seconds=0.0)
    assert not stopped.is_set()
    answered.set()
    async with asyncio.timeout(10):
        await stopped.wait()
