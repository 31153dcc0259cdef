"""What the compactor tells Prometheus, the broker's dropped messages above all."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import mqtt5
import pytest
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_compactor import broker_drops
from sensorpipe_compactor.broker_drops import TOPIC, BrokerDrops
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from support import services
from support.fake_broker import CONNACK, Client, wait_for_the_end
from support.fake_broker import broker as fake_broker
from support.services import running
from support.waiting import eventually

SPARING = "max_queued_messages 10\nmax_inflight_messages 20\nsys_interval 1\n"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(broker_drops, "Backoff", lambda *_: Backoff(0.05, 0.1))


@asynccontextmanager
async def watching(endpoint: Endpoint) -> AsyncIterator[BrokerDrops]:
    made = BrokerDrops(endpoint, "c")
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def endpoint(child: Child) -> Endpoint:
    assert child.port
    return Endpoint("127.0.0.1", child.port)


async def run(*argv):
    process = await asyncio.create_subprocess_exec(*argv)
    assert await process.wait() == 0


async def overflow(child: Child, messages: int = 100) -> None:
    """Leave a session behind and send it more than its queue holds."""
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("no mosquitto_sub here; `apt-get install mosquitto-clients` brings it")
    at = ("-p", str(child.port), "-q", "1", "-t", "sensor_readings/f/s")
    await run("mosquitto_sub", *at, "-c", "-i", "absent", "-E")
    lines = "\n".join(str(number) for number in range(messages)).encode()
    sender = await asyncio.create_subprocess_exec(
        "mosquitto_pub", *at, "-l", stdin=asyncio.subprocess.PIPE
    )
    await sender.communicate(lines)
    assert sender.returncode == 0


async def test_the_broker_counts_what_it_dropped_and_we_hear_of_it(tmp_path):
    async with running(services.mosquitto(tmp_path, SPARING)) as broker:
        async with watching(endpoint(broker)) as made:
            await eventually(lambda: made.messages == 0)
            await overflow(broker)
            await eventually(lambda: made.messages == 100 - 10)
        async with watching(endpoint(broker)) as later:
            await eventually(lambda: later.messages == 90)


async def test_the_count_begins_anew_when_the_broker_does(tmp_path):
    broker = services.mosquitto(tmp_path, SPARING)
    async with running(broker), watching(endpoint(broker)) as made:
        await overflow(broker)
        await eventually(lambda: made.messages == 90)
        await broker.stop()
        assert made.messages == 90
        await broker.start()
        await eventually(lambda: made.messages == 0)


async def test_a_broker_without_such_a_topic_leaves_the_number_unknown(rumqttd):
    async with watching(endpoint(rumqttd)) as made:
        await asyncio.sleep(0.3)  # nothing tells that nothing comes
        assert made.messages is None


@pytest.mark.parametrize(("acl", "heard"), [(services.MOSQUITTO_ACL, True), ("", False)])
async def test_the_compactors_user_may_read_just_this_topic(tmp_path, acl, heard):
    acl = acl or "user compactor\ntopic read sensor_readings/#\n"
    broker = services.secured_mosquitto(tmp_path, {"compactor": "secret"}, f"{acl}\n")
    async with running(broker):
        at = Endpoint("127.0.0.1", broker.port or 0, username="compactor", password="secret")
        async with watching(at) as made:
            if heard:
                await eventually(lambda: made.messages == 0)
            else:
                await asyncio.sleep(1)  # nothing tells that nothing comes
                assert made.messages is None


async def test_a_refused_subscription_or_connection_is_borne(caplog):
    denied = mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]).write()
    calls = 0

    async def refuse(client: Client) -> None:
        nonlocal calls
        calls += 1
        connect = await client.next(mqtt5.ConnectPacket)
        assert isinstance(connect, mqtt5.ConnectPacket)
        assert (connect.clean_start, connect.session_expiry_interval) == (False, 24 * 3600)
        assert connect.client_id == "c-watch"
        await client.send(CONNACK)
        await client.next(mqtt5.SubscribePacket)
        await client.send(denied)
        await wait_for_the_end(client)

    caplog.set_level("INFO")
    async with fake_broker(refuse) as at, watching(at) as made:
        await eventually(lambda: calls >= 3)
        assert made.messages is None
    told = [line for line in caplog.messages if "not watched" in line]
    assert len(told) == 1


async def test_what_is_no_number_is_passed_over():
    async def nonsense(client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(CONNACK)
        await client.next(mqtt5.SubscribePacket)
        granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE
        said = b"".join(
            mqtt5.PublishPacket(topic, payload).write()
            for topic, payload in ((TOPIC, b"7"), (TOPIC, b"many"), (TOPIC, b""), ("else", b"9"))
        )
        await client.send(mqtt5.SubAckPacket(1, [granted]).write() + said)
        await wait_for_the_end(client)

    async with fake_broker(nonsense) as at, watching(at) as made:
        await eventually(lambda: made.messages is not None)
        assert made.messages == 7


async def test_the_program_reports_drops_and_dead_letters_and_acknowledges_undisturbed(
    tmp_path, tansu
):
    async with running(services.mosquitto(tmp_path, SPARING)) as broker:
        port = free_port()
        environ = {
            **os.environ,
            "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{broker.port}",
            "SENSORPIPE_MQTT_CLIENT_ID": "metrics-test",
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{tansu.port}",
            "SENSORPIPE_HTTP": f"127.0.0.1:{port}",
        }
        argv = [sys.executable, "-m", "sensorpipe_compactor"]
        program = Child("compactor", argv, tmp_path / "compactor.log", environ=environ, port=port)
        async with running(program), httpx2.AsyncClient() as client:

            async def value(name: str) -> float | None:
                text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
                found = re.search(
                    rf"^sensorpipe_compactor_{re.escape(name)} (\S+)$", text, re.MULTILINE
                )
                return float(found[1]) if found else None

            async def reaches(name: str, least: float) -> None:
                seen: list[float] = []

                async def reached() -> bool:
                    seen.append(await value(name) or -1)
                    return seen[-1] >= least

                await eventually(reached, state=lambda: f"{name} was {seen[-3:]}")

            await reaches("connected", 1)
            await overflow(broker)
            await reaches("broker_dropped_total", 90)
            await reaches('dead_letters_total{reason="not_an_object"}', 100)
            await reaches("acknowledged_total", 100)
            assert await value("held") == 0
            assert await value("mqtt_connections_total") == 1
