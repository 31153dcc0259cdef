"""The link with real brokers: sessions, redelivery, takeover, passwords, TLS."""

import asyncio
import logging
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt import link
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.link import Link
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_runtime.mqtt.subscriber import Subscriber
from support import services
from support.services import running
from support.waiting import eventually

PERSISTENT = f"{services.MOSQUITTO_TUNED}persistence true\npersistence_location {{folder}}/\n"


class Handler:
    """Keeps what comes, with its number."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.sessions: list[bool] = []

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        assert before == len(self.received)
        self.received += [message.payload for message in messages]

    def on_connected(self, *, session_present: bool) -> None:
        self.sessions.append(session_present)


@asynccontextmanager
async def live(one: Link) -> AsyncIterator[asyncio.Task[None]]:
    """Run a link until it is closed or the test ends."""
    task = asyncio.create_task(one.run())
    try:
        yield task
        await one.close()
        await asyncio.wait_for(task, 60)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect quickly."""
    monkeypatch.setattr(link, "Backoff", lambda: Backoff(0.05, 0.1))


@pytest.fixture(params=["mosquitto", "rumqttd"])
def broker(request: pytest.FixtureRequest) -> Endpoint:
    child: Child = request.getfixturevalue(request.param)
    assert child.port
    return Endpoint("127.0.0.1", child.port)


def endpoint(child: Child) -> Endpoint:
    assert child.port
    return Endpoint("127.0.0.1", child.port)


def reader(at: Endpoint, name: str, handler: Handler) -> Subscriber:
    return Subscriber(at, name, [f"{name}/#"], handler)


async def send(at: Endpoint, name: str, first: int, count: int) -> list[bytes]:
    """Publish numbered messages and wait until the broker has them."""
    payloads = [b"%d" % number for number in range(first, first + count)]
    publisher = Publisher(at, f"{name}-publisher", capacity=count)
    async with live(publisher):
        publisher.publish(f"{name}/x", payloads)
        await asyncio.wait_for(publisher.drained(), 120)
    assert publisher.acknowledged == count
    assert publisher.refused == publisher.unacknowledged == 0
    return payloads


async def test_messages_come_in_order_and_are_acknowledged(broker: Endpoint):
    handler = Handler()
    subscriber = reader(broker, "ordered", handler)
    async with live(subscriber):
        await eventually(lambda: subscriber.ready)
        expected = await send(broker, "ordered", 0, 5_000)
        while len(handler.received) < 5_000:
            subscriber.acknowledge(len(handler.received))
            await asyncio.sleep(0.01)
        subscriber.acknowledge(5_000)
    assert handler.received == expected
    assert subscriber.inbox.acknowledged == 5_000


async def test_after_a_reconnect_exactly_the_unacknowledged_come_again(broker: Endpoint):
    first = Handler()
    subscriber = reader(broker, "again", first)
    async with live(subscriber):
        await eventually(lambda: subscriber.ready)
        expected = await send(broker, "again", 0, 50)
        await eventually(lambda: len(first.received) == 50)
        subscriber.acknowledge(20)
    assert first.received == expected
    second = Handler()
    subscriber = reader(broker, "again", second)
    async with live(subscriber):
        expected += await send(broker, "again", 50, 10)
        await eventually(lambda: len(second.received) == 40)
        subscriber.acknowledge(40)
    assert second.received == expected[20:]
    assert second.sessions == [True]
    third = Handler()
    subscriber = reader(broker, "again", third)
    async with live(subscriber):
        expected += await send(broker, "again", 60, 1)
        await eventually(lambda: len(third.received) == 1)
    assert third.received == expected[60:]


async def test_within_one_run_a_lost_connection_brings_them_again_under_new_numbers(
    broker: Endpoint,
):
    handler = Handler()
    subscriber = reader(broker, "lost", handler)
    async with live(subscriber):
        await eventually(lambda: subscriber.ready)
        expected = await send(broker, "lost", 0, 30)
        await eventually(lambda: len(handler.received) == 30)
        subscriber.acknowledge(10)
        assert subscriber._connection
        # the PUBACKs are on their way to the kernel already; nothing else is lost
        subscriber._connection.abort()
        await eventually(lambda: subscriber.connections == 2 and len(handler.received) >= 50)
        subscriber.acknowledge(30)  # of the old connection: does nothing
        assert subscriber.inbox.unacknowledged == len(handler.received) - 30
        subscriber.acknowledge(len(handler.received))
    again = handler.received[30:]
    assert again == expected[30 - len(again) :]
    assert handler.sessions[1] is True


async def test_a_restart_of_the_broker_loses_nothing(tmp_path: Path):
    extra = PERSISTENT.format(folder=tmp_path)
    handler = Handler()
    async with running(services.mosquitto(tmp_path, extra)) as child:
        subscriber = reader(endpoint(child), "kept", handler)
        async with live(subscriber):
            await eventually(lambda: subscriber.ready)
            await send(endpoint(child), "kept", 0, 100)
            await eventually(lambda: len(handler.received) == 100)
            await child.stop()
            await eventually(lambda: not subscriber.connected)
            await child.start()
            await eventually(lambda: subscriber.ready)
            await send(endpoint(child), "kept", 100, 100)
            await eventually(lambda: len(set(handler.received)) == 200)
            subscriber.acknowledge(len(handler.received))
    assert handler.received[-200:] == [b"%d" % number for number in range(200)]
    assert handler.sessions[-1] is True


async def test_cancelling_leaves_no_task_and_no_socket(broker: Endpoint):
    before = asyncio.all_tasks()
    subscriber = reader(broker, "cancelled", Handler())
    run = asyncio.create_task(subscriber.run())
    await eventually(lambda: subscriber.ready)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert not subscriber.connected
    assert asyncio.all_tasks() == before


# Passwords and certificates.


@pytest.fixture
def passwords(tmp_path: Path) -> str:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("no mosquitto_passwd here; `apt-get install mosquitto` brings it")
    path = tmp_path / "passwords"
    subprocess.run([program, "-c", "-b", str(path), "us@er", "p/w#"], check=True)
    path.chmod(0o644)
    return f"password_file {path}\n"


async def test_a_wrong_password_is_reported_and_tried_again(
    tmp_path: Path, passwords: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    child = services.mosquitto(tmp_path / "broker", passwords)
    config = tmp_path / "broker/mosquitto.conf"
    config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    async with running(child):
        wrong = Endpoint.parse(f"mqtt://us%40er:wrong@127.0.0.1:{child.port}")
        subscriber = reader(wrong, "secret", Handler())
        async with live(subscriber):
            # said once; that it is tried again is for those who look closely
            await eventually(lambda: sum("refused" in error for error in errors(caplog)) >= 2)
            assert subscriber.connections == 0
        assert any("NOT_AUTHORIZED" in e or "BAD_USER_NAME" in e for e in errors(caplog))
        right = Endpoint.parse(f"mqtt://us%40er:p%2Fw%23@127.0.0.1:{child.port}")
        subscriber = reader(right, "secret", Handler())
        async with live(subscriber):
            await eventually(lambda: subscriber.ready)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [getattr(record, "error", "") for record in caplog.records]


def openssl(folder: Path, *arguments: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl here; `apt-get install openssl` brings it")
    subprocess.run([program, *arguments], check=True, capture_output=True, cwd=folder)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """An authority of our own, and a certificate for 127.0.0.1."""
    folder = tmp_path / "tls"
    folder.mkdir()
    key = ("-newkey", "rsa:2048", "-nodes")
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    openssl(folder, "req", *key, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=broker")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    openssl(folder, "x509", "-req", "-in", "request.pem", *sign, "-out", "broker.pem")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def tls(certificates: Path) -> str:
    files = f"certfile {certificates}/broker.pem\nkeyfile {certificates}/key.pem\n"
    return services.MOSQUITTO_TUNED + files


async def test_tls_with_an_authority_of_one_s_own(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    async with running(services.mosquitto(tmp_path / "broker", tls(certificates))) as child:
        url = f"mqtts://127.0.0.1:{child.port}"
        stranger = reader(Endpoint.parse(url), "stranger", Handler())
        async with live(stranger):
            await eventually(lambda: sum("verify failed" in e for e in errors(caplog)) >= 2)
            assert stranger.connections == 0
        assert any(f"cannot connect to {url}" in error for error in errors(caplog))
        trusted = Endpoint.parse(url, str(certificates / "ca.pem"))
        handler = Handler()
        subscriber = reader(trusted, "friend", handler)
        async with live(subscriber):
            await eventually(lambda: subscriber.ready)
            expected = await send(trusted, "friend", 0, 2_000)
            await eventually(lambda: len(handler.received) == 2_000)
            subscriber.acknowledge(2_000)
        assert handler.received == expected
        assert subscriber.connections == 1


async def test_a_name_that_the_certificate_does_not_have_is_refused(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
):
    async with running(services.mosquitto(tmp_path / "broker", tls(certificates))) as child:
        wrong = Endpoint.parse(f"mqtts://localhost:{child.port}", str(certificates / "ca.pem"))
        async with live(reader(wrong, "misled", Handler())):
            await eventually(lambda: any("verify failed" in error for error in errors(caplog)))


async def test_nobody_there_is_reported_and_tried_again(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    port = free_port()
    async with live(reader(Endpoint("127.0.0.1", port), "alone", Handler())):
        await eventually(lambda: len(errors(caplog)) >= 2)
    assert f"cannot connect to mqtt://127.0.0.1:{port}" in errors(caplog)[0]
