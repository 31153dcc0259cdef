"""The program answers as its settings say: origins, compression, tags, metrics of sensors."""

import time

import pytest
from aiokafka import AIOKafkaProducer
from sensorpipe_schema.names import COMPACTED
from support.server_parts import T0, one
from support.server_process import Server, answered
from support.services import running
from support.waiting import eventually

HERE = "https://dash.example.com"


@pytest.fixture
async def server(tmp_path):
    made = Server(tmp_path)
    async with running(made.kafka), running(made.mongod):
        yield made


async def test_a_running_server_is_read_by_pages_grafana_and_prometheus(server):
    recent = (int(time.time() * 1000) - T0) // 10_000 - 3
    async with (
        running(server.child(SENSORPIPE_CORS_ORIGINS=f"{HERE},http://localhost:3000")),
        server.client() as client,
    ):
        await server.ready()
        async with AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all") as producer:
            for number in range(1, 31):
                message = one([(number, 20.0)], window=recent - 30 + number, number=number)
                await producer.send_and_wait(COMPACTED, message, key=b"facility_1")
        await eventually(
            lambda: answered(
                client,
                "/metrics/sensors",
                lambda a: 'average{facility="facility_1",sensor="temperature"} 20.0' in a.text,
            )
        )
        path = "/api/sensors/facility_1?from=-1h&to=now"
        headers = {"Origin": HERE, "Accept-Encoding": "gzip"}
        page = await client.get(path, headers=headers)
        assert page.json()["pagination"]["total"] == 30
        assert page.json()["data"][0]["complete"] is True
        assert page.headers["content-encoding"] == "gzip"
        assert page.headers["access-control-allow-origin"] == HERE
        again = await client.get(path, headers=headers | {"If-None-Match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await client.head(path, headers=headers)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == page.headers["etag"]


async def test_a_wrong_origin_stops_it_at_once(tmp_path):
    program = Server(tmp_path).child(SENSORPIPE_CORS_ORIGINS="dash.example.com")
    await program.start()
    assert await program.wait() == 1
    assert "SENSORPIPE_CORS_ORIGINS: must be origins separated by commas" in program.tail()
