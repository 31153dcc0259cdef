"""The broker as the chart sets it up: its script, files and passwords, with a real Mosquitto."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sensorpipe_compactor.broker_drops import BrokerDrops
from support import services
from support.chart.passwords import made
from support.chart.prepared_broker import NAME, SESSION, TOPIC, Broker, need_mosquitto
from support.chart.render import one, render
from support.services import running
from support.waiting import eventually, in_thread


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    """A broker that is prepared and not started."""
    need_mosquitto()
    made = Broker(render(), tmp_path)
    made.prepare()
    return made


@pytest.fixture
async def live(broker: Broker) -> AsyncIterator[Broker]:
    """A broker that runs, with the compactor's session."""
    async with running(broker.child()):
        await broker.subscribe("compactor", *SESSION, "-E")
        yield broker


def test_what_it_reads_is_its_own_and_has_no_password_in_clear(broker: Broker, tmp_path: Path):
    for file in (tmp_path / "run").iterdir():
        assert not file.is_symlink()
        assert file.stat().st_mode & 0o777 == 0o600
        for role in ("generator", "compactor"):
            assert broker.password(role) not in file.read_text()


def test_an_empty_password_is_none(tmp_path: Path):
    made = Broker(render(), tmp_path)
    (tmp_path / "source/passwords/generator-password").write_text("\n")
    with pytest.raises(subprocess.CalledProcessError) as error:
        made.prepare()
    assert error.value.stderr == "the Secret's generator-password is empty\n"


@pytest.mark.parametrize("login", [(), ("-u", "generator", "-P", "guess"), ("-u", "compactor")])
async def test_nobody_comes_in_without_a_password(live: Broker, login: tuple[str, ...]):
    _, error = await live.client("mosquitto_pub", *login, "-t", TOPIC, "-m", "x")
    assert "not authorised" in error.lower()


async def test_each_role_may_do_its_part_only(live: Broker):
    assert await live.publish("generator", "1") == ""
    assert "Not authorized" in await live.publish("compactor", "2")
    assert "Not authorized" in await live.publish("generator", "3", "-t", "other/topic")

    assert await live.subscribe("generator", "-t", "#", "-W", "1") == []
    assert await live.subscribe("compactor", *SESSION, "-C", "1") == ["1"]


async def test_the_compactor_is_told_at_once_how_many_messages_were_dropped(tmp_path: Path):
    made = Broker(render("mosquitto.queueBytes=600"), tmp_path)
    made.prepare()
    async with running(made.child()):
        watched = BrokerDrops(made.endpoint("compactor"), "watcher")
        task = asyncio.create_task(watched.run())
        await made.subscribe("compactor", *SESSION, "-E")

        def told(number: int) -> bool:
            return watched.messages is not None and watched.messages >= number

        async def told_of_another() -> bool:  # the watcher may come after the first of these
            await made.publish("generator", "reading")
            return told(1)

        await eventually(told_of_another)
        before = watched.messages or 0
        await made.publish("generator", "reading")
        await eventually(lambda: told(before + 1))
        task.cancel()


async def test_a_message_that_is_to_be_retained_or_is_too_large_is_not_taken(live: Broker):
    assert await live.publish("generator", "kept", "-r", "-V", "311") != ""
    await live.publish("generator", "x" * 17_000)
    assert await live.publish("generator", "x" * 16_000) == ""
    assert await live.subscribe("compactor", *SESSION, "-C", "1") == ["x" * 16_000]


async def test_no_more_connect_than_may(tmp_path: Path):
    made = Broker(render("mosquitto.maxConnections=10"), tmp_path)
    made.prepare()
    async with running(made.child()), AsyncExitStack() as open_ones:
        opened = []
        for _ in range(12):
            reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
            open_ones.callback(writer.close)
            opened.append((asyncio.create_task(reader.read(1)), writer))
        # any of the last: the broker may still count the one that found it listening, or not
        first = next(asyncio.as_completed([end for end, _ in opened], timeout=30))
        with suppress(ConnectionResetError):  # another way to be refused
            assert await first == b""
        for end, writer in opened:
            end.cancel()
            writer.close()

        async def again() -> bool:
            return await made.publish("generator", "reading") == ""

        await eventually(again)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_waits_survives_the_broker(broker: Broker, end: str):
    async with running(broker.child()) as child:
        await broker.subscribe("compactor", *SESSION, "-E")
        await broker.publish("generator", "reading-1")
        if end == "kill":
            await eventually(in_thread(lambda: broker.holds("reading-1")))
            await child.kill()
    async with running(broker.child()):
        assert await broker.subscribe("compactor", *SESSION, "-C", "1") == ["reading-1"]


def test_addresses_have_the_passwords_in_them():
    secrets = made(render("sensors.namespaces={plant}"))
    own = secrets.values("sensors", NAME)
    leads = [secrets.values(where, "demo-sensorpipe-broker") for where in ("sensors", "plant")]

    assert leads[0] == leads[1]
    assert set(leads[0]) == {"url"}
    for role, url in (("compactor", own["compactor-url"]), ("generator", leads[0]["url"])):
        parts = urlsplit(url)
        assert (parts.username, parts.password) == (role, own[f"{role}-password"])
        assert (parts.hostname, parts.port) == (f"{NAME}.sensors.svc", 1883)


def test_what_waits_is_limited_to_the_memory_there_is():
    limits = one(render("mosquitto.queueBytes=60000"), "ConfigMap", NAME)["data"]["mosquitto.conf"]
    assert "\nmax_queued_bytes 60000\n" in limits
    assert "\nmax_queued_messages 100\n" in limits
    without = one(render("mosquitto.queueBytes=0"), "ConfigMap", NAME)["data"]["mosquitto.conf"]
    assert "\nmax_queued_messages 0\n" in without
    assert "e+" not in one(render(), "ConfigMap", NAME)["data"]["mosquitto.conf"]


def test_other_tests_have_the_same_rules():
    assert one(render(), "ConfigMap", NAME)["data"]["acl"] == services.MOSQUITTO_ACL
