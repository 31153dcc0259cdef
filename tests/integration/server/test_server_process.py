"""The program itself: started, asked, killed, stopped."""

import asyncio
import signal
from contextlib import AsyncExitStack
from functools import partial

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from pymongo.errors import AutoReconnect, OperationFailure
from sensorpipe_cli.runner.ports import free_port
from sensorpipe_runtime.settings import SettingsError
from sensorpipe_schema.names import COMPACTED
from sensorpipe_server.settings import Settings
from sensorpipe_server.storage.mongodb.watch import explain
from support.server_parts import one
from support.server_process import Server, answered
from support.services import running
from support.waiting import eventually


@pytest.fixture
async def server(tmp_path):
    made = Server(tmp_path)
    async with running(made.kafka), running(made.mongod):
        yield made


async def more_than(client, least):
    """Whether so many readings are stored."""
    return await answered(client, "/api/integrity", lambda a: a.json()["totals"]["count"] > least)


async def test_it_stores_answers_and_stops_cleanly(server):
    async with (
        running(server.child()) as program,
        server.client() as client,
        AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all") as producer,
    ):
        await server.ready()
        for number in range(1, 101):
            await producer.send_and_wait(COMPACTED, one([(number, 1.0)], number=number), key=b"f")
        path = "/api/stats?sensors=temperature"
        await eventually(
            lambda: answered(
                client, path, lambda a: [e["temperature"]["count"] for e in a.json()] == [100]
            )
        )
        exposed = (await client.get(f"{server.watched}/metrics")).text
        assert 'sensorpipe_server_partials_total{outcome="inserted"}' in exposed
        program.send(signal.SIGTERM)
        assert await asyncio.wait_for(program.wait(), 30) == 0
        assert await server.committed() == 100
        assert "stopped" in program.tail(1)


async def test_load_on_the_api_reaches_neither_probes_nor_metrics(server):
    async with (
        running(server.child(open_files=256)),
        httpx2.AsyncClient(base_url=server.watched) as watcher,
        AsyncExitStack() as held,
    ):
        await server.ready()
        for _ in range(300):  # each with a request that does not end
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            held.callback(writer.close)
            writer.write(b"GET / HTTP/1.1\r\n")
        for path in ("/healthz", "/readyz"):
            assert (await watcher.get(path)).text == "ok\n"
        refused = {
            'sensorpipe_server_http_refused_total{status="503"} 50.0',
            'sensorpipe_server_http_refused_total{status="none"} 122.0',
        }
        await eventually(
            lambda: answered(watcher, "/metrics", lambda a: refused <= {*a.text.splitlines()})
        )


async def test_killed_again_and_again_it_counts_everything_once(server):
    async with AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all") as producer:
        sent = 0
        for stored in range(3):  # each time it is killed in the midst of a backlog
            for _ in range(5000):
                sent += 1
                message = one([(sent, 1.0)], window=sent % 40, number=sent)
                await producer.send(COMPACTED, message, key=b"f")
            await producer.flush()
            async with running(server.child()) as program, server.client() as client:
                await eventually(partial(more_than, client, 5000 * stored))
                program.send(signal.SIGKILL)
                await program.wait()
    async with running(server.child()), server.client() as client:
        await eventually(partial(more_than, client, sent - 1))
        assert (await client.get("/api/integrity")).json()["totals"] == {
            "count": sent, "lost": 0, "pending": 0, "duplicates": 0,
            "unidentified": 0, "sources": 1, "unreadable": 0, "removed": 0,
        }  # fmt: skip


async def test_wrong_settings_stop_it_at_once_and_all_are_named(tmp_path):
    server = Server(tmp_path)
    program = server.child(
        SENSORPIPE_HTTP="nowhere", SENSORPIPE_MONITORING="9090", SENSORPIPE_PAGE_LIMIT="0"
    )
    await program.start()
    assert await program.wait() == 1
    assert "SENSORPIPE_HTTP: must be HOST:PORT" in program.tail()
    assert "SENSORPIPE_MONITORING: must be HOST:PORT" in program.tail()
    assert "SENSORPIPE_PAGE_LIMIT: must be a whole number from 1" in program.tail()


@pytest.mark.parametrize("setting", ["SENSORPIPE_HTTP", "SENSORPIPE_MONITORING"])
async def test_a_port_in_use_is_reported(tmp_path, setting):
    server, port = Server(tmp_path), free_port()
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    async with taken:
        program = server.child(None, **{setting: f"127.0.0.1:{port}"})
        await program.start()
        assert await program.wait() == 1
    assert f"{setting}: cannot listen" in program.tail()


def test_the_settings_have_the_defaults_of_the_contract():
    settings = Settings.read({})
    assert settings.mongodb_uri == "mongodb://127.0.0.1:27017/sensorpipe"
    assert settings.http == ("0.0.0.0", 8080)
    assert settings.monitoring == ("0.0.0.0", 9090)
    assert settings.page_limit == 20


@pytest.mark.parametrize("uri", ["", "http://x", "mongodb://", "mongodb://host:port/x"])
def test_a_wrong_mongodb_uri_is_named(uri):
    with pytest.raises(SettingsError, match="SENSORPIPE_MONGODB_URI: must be mongodb://"):
        Settings.read({"SENSORPIPE_MONGODB_URI": uri})


@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
@pytest.mark.parametrize("password", ["dont/tell", "dont:tell", "%dont-tell"])
def test_a_password_that_is_not_encoded_is_not_shown(scheme, password):
    with pytest.raises(SettingsError, match="percent-encoding in USER and PASSWORD") as caught:
        Settings.read({"SENSORPIPE_MONGODB_URI": f"{scheme}://user:{password}@host/x"})
    assert "dont" not in str(caught.value)
    assert "tell" not in str(caught.value)


@pytest.mark.parametrize("password", ["dont#tell", "dont[tell", "dont+tell"])
@pytest.mark.parametrize("error", [OperationFailure("no", 18), AutoReconnect("no")])
def test_why_mongodb_cannot_be_used_is_reported_without_the_password(password, error):
    uri = f"mongodb://us%2Fer:{password}@one:1,two:2/x?authSource=y"
    Settings.read({"SENSORPIPE_MONGODB_URI": uri})
    text = explain(uri, error)
    assert "MongoDB at one:1,two:2" in text
    assert "dont" not in text
    assert ("us/er" in text) == isinstance(error, OperationFailure)
