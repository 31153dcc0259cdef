"""Certificates and passwords of devices that change while readings flow, with a real Mosquitto."""

import asyncio
import itertools
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from support.chart.device_site import Site
from support.chart.prepared_broker import need_mosquitto
from support.device_clients import MqttClient
from support.services import running
from support.strimzi import certificates
from support.waiting import eventually

TOPIC = "sensor_readings/meter-1/power"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A broker that is not prepared yet."""
    need_mosquitto()
    return Site(tmp_path)


@asynccontextmanager
async def live(site: Site) -> AsyncIterator[None]:
    """Prepare the broker and run it."""
    site.broker.prepare()
    async with running(site.broker.child()):
        yield


@asynccontextmanager
async def publishing(device: MqttClient) -> AsyncIterator[dict[int, bytes]]:
    """Publish about 200 messages a second; at the end wait until all are acknowledged."""
    published: dict[int, bytes] = {}

    async def publish() -> None:
        for number in itertools.count(1):
            published[device.publish(TOPIC, str(number))] = b"%d" % number
            await asyncio.sleep(0.005)

    task = asyncio.create_task(publish())
    yield published
    task.cancel()
    await eventually(lambda: device.acknowledged == published.keys())


async def shows(site: Site, certificate: str) -> bool:
    """Whether the broker shows this certificate; it shows none while it restarts."""
    address = ("localhost", site.broker.tls_port)
    try:
        shown = await asyncio.to_thread(ssl.get_server_certificate, address, timeout=10)
    except OSError:
        return False
    return shown.strip() == certificate.strip()


async def acknowledged(device: MqttClient, more: int) -> None:
    """Wait until the broker has acknowledged so many more messages."""
    enough = len(device.acknowledged) + more
    await eventually(lambda: len(device.acknowledged) >= enough)


async def test_a_new_certificate_is_shown_and_nothing_is_lost(site: Site):
    device, compactor = site.device("meter-1"), site.compactor()
    async with live(site), compactor.connected(site.broker.port, "sensor_readings/#"):
        async with device.connected(site.broker.tls_port), publishing(device) as published:
            await acknowledged(device, 100)
            await eventually(partial(shows, site, site.certify()))
            await eventually(lambda: device.connections == 2)
            await acknowledged(device, 100)
        await eventually(lambda: set(compactor.received) == set(published.values()))
        assert compactor.connections == 2


async def test_what_waits_for_the_compactor_outlives_each_certificate(site: Site):
    device = site.device("meter-1")
    async with live(site):
        async with site.compactor().connected(site.broker.port, "sensor_readings/#"):
            pass
        async with device.connected(site.broker.tls_port), publishing(device) as published:
            for _ in range(2):  # the second time, the session is one that was loaded from disk
                await acknowledged(device, 50)
                await eventually(partial(shows, site, site.certify()))
            await acknowledged(device, 50)
        async with site.compactor().connected(site.broker.port) as compactor:
            await eventually(lambda: set(compactor.received) == set(published.values()))


async def test_with_a_wrong_certificate_the_broker_goes_on_as_it_is(site: Site):
    first = site.certify()
    other, key = certificates.signed(*certificates.authority("other"), ["localhost"])
    device = site.device("meter-1")
    async with live(site), device.connected(site.broker.tls_port):
        site.broker.mount("tls", {"tls.crt": other, "tls.key": certificates.authority("x")[1]})
        await eventually(lambda: "continues with the certificate" in site.broker.log)
        assert "tls.crt and tls.key cannot be used: " in site.broker.log
        assert await shows(site, first)
        site.broker.mount("tls", {"tls.crt": other, "tls.key": key})
        await eventually(lambda: shows(site, other))
        assert device.connections == 1  # it does not trust the other authority


async def test_users_come_and_go_with_the_password_file(site: Site):
    topic = "sensor_readings/{}/rain"
    async with live(site):
        assert await site.publish("yard-1", topic.format("yard-1"), password="plain") == ""
        site.file("yard-3:new\n")
        await eventually(lambda: "restarting the broker" in site.broker.log)

        async def comes_in() -> bool:
            return await site.publish("yard-3", topic.format("yard-3"), password="new") == ""

        await eventually(comes_in)
        assert await site.publish("yard-1", topic.format("yard-1"), password="plain") != ""
        assert await site.publish("meter-1", topic.format("meter-1")) == ""


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("yard 1:plain\n", "line 1 of the password file: a user has 1 to 63"),
        ("\nYard:plain\n", "line 2 of the password file: a user has 1 to 63"),
        ("+:plain\n", "line 1 of the password file: a user has 1 to 63"),
        ("a/b:plain\n", "line 1 of the password file: a user has 1 to 63"),
        ("%u:plain\n", "line 1 of the password file: a user has 1 to 63"),
        (f"{'a' * 64}:plain\n", "line 1 of the password file: a user has 1 to 63"),
        ("compactor:plain\n", "line 1 of the password file: the user compactor exists already"),
        ("generator:plain\n", "line 1 of the password file: the user generator exists already"),
        ("meter-1:plain\n", "line 1 of the password file: the user meter-1 exists already"),
        ("a:b\na:c\n", "line 2 of the password file: the user a exists already"),
        ("sensorpipe-compactor:b\n", "line 1 of the password file: the user sensorpipe-compactor"),
        ("yard-1:a:b\n", "line 1 of the password file: not USER:PASSWORD"),
        ("yard-1\n", "line 1 of the password file: not USER:PASSWORD"),
        ("yard-1:\n", "line 1 of the password file: the password is empty"),
        ("yard-1:a b\n", "line 1 of the password file: the password is empty or has white space"),
    ],
)
def test_a_password_file_that_is_wrong_is_refused(site: Site, file: str, said: str):
    site.file(file)
    with pytest.raises(subprocess.CalledProcessError) as error:
        site.broker.prepare()
    assert error.value.stderr.startswith(said)


@pytest.mark.parametrize("password", ["", "a:b", "a b", "\t"])
def test_a_password_that_cannot_be_used_is_refused(site: Site, password: str):
    site.broker.mount("users", {"meter-1": password})
    with pytest.raises(subprocess.CalledProcessError) as error:
        site.broker.prepare()
    assert error.value.stderr == "the password of meter-1 is empty, or has a colon or white space\n"


def test_no_password_is_kept_in_clear(site: Site, tmp_path: Path):
    site.broker.prepare()
    written = [file.read_text() for file in (tmp_path / "run").iterdir() if file.is_file()]
    assert len(written) == 6
    for password in ("one", "two", "bridge", "plain", "secret"):
        assert not [text for text in written if f":{password}\n" in text]
