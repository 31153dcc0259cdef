"""What devices with users of their own may do, at the chart's broker with a real Mosquitto."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.chart.device_site import USERS, Site
from support.chart.prepared_broker import SESSION, need_mosquitto
from support.services import running
from support.strimzi import certificates
from support.waiting import eventually


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A broker that is prepared and not started."""
    need_mosquitto()
    made = Site(tmp_path)
    made.broker.prepare()
    return made


@pytest.fixture
async def live(site: Site) -> AsyncIterator[Site]:
    """A broker that runs."""
    async with running(site.broker.child()):
        yield site


MAY = {
    ("meter-1", "sensor_readings/meter-1/power"): True,
    ("meter-1", "sensor_readings/meter-1/power/l1"): True,
    ("meter-1", "application/meter-1/up"): True,
    ("meter-1", "shared/hall/state"): True,
    ("meter-1", "shared/hall/state/x"): False,
    ("meter-1", "sensor_readings/meter-2/power"): False,
    ("meter-1", "sensor_readings/meter-10/power"): False,
    ("meter-1", "application/meter-2/up"): False,
    ("meter-1", "zigbee2mqtt/lamp"): False,
    ("meter-1", "$SYS/broker/uptime"): False,
    ("meter-1", "$CONTROL/dynamic-security/v1"): False,
    ("zigbee", "zigbee2mqtt/lamp"): True,
    ("zigbee", "sensor_readings/hall_1/battery"): True,
    ("zigbee", "sensor_readings/zigbee/power"): False,
    ("zigbee", "shared/hall/state"): False,
    ("yard-1", "sensor_readings/yard-1/rain"): True,
    ("yard-1", "application/yard-1/up"): True,
    ("yard-1", "sensor_readings/yard-2/rain"): False,
    ("yard-2", "sensor_readings/yard-2/rain"): True,
    ("yard-2", "sensor_readings/meter-1/rain"): False,
}
"""What each device may write."""


async def test_a_device_writes_its_own_topics_and_the_compactor_reads_them(live: Site):
    passwords = {**USERS, "yard-1": "plain", "yard-2": "secret"}
    taken = 0
    async with live.compactor().connected(live.broker.port, "#") as compactor:
        for (user, topic), may in MAY.items():
            error = await live.publish(user, topic, password=passwords[user])
            assert ("Not authorized" in error) is not may, (user, topic, error)
            assert may or error, (user, topic)
            taken += may
        await eventually(lambda: len(compactor.received) == taken)


async def test_a_device_reads_nothing(live: Site):
    await live.broker.subscribe("compactor", *SESSION, "-E")
    async with live.device("meter-1").connected(live.broker.tls_port, "#") as device:
        for topic in ("sensor_readings/meter-1/power", "shared/hall/state"):
            assert await live.publish("meter-2", topic.replace("meter-1", "meter-2")) == ""
        assert device.received == []
    listening = ("-u", "zigbee", "-P", "bridge", "-t", "#", "-t", "$SYS/#", "-W", "2")
    assert (await live.client("mosquitto_sub", *listening))[0] == ""


async def test_a_client_id_takes_over_no_session(live: Site):
    meter = live.device("meter-2")
    async with (
        live.compactor().connected(live.broker.port, "sensor_readings/#") as compactor,
        meter.connected(live.broker.tls_port),
    ):
        for client_id in ("session-id", "meter-2", "zigbee", ""):
            for options in ((), ("-c", "-x", "60")):
                if client_id or not options:
                    given = ("-i", client_id) if client_id else ()
                    topic = "sensor_readings/meter-1/power"
                    assert await live.publish("meter-1", topic, *given, *options) == ""
        await eventually(lambda: len(compactor.received) == 7)
        assert (compactor.connections, meter.connections) == (1, 1)


async def test_a_client_id_gets_no_queue_and_ends_none(live: Site):
    topic = "sensor_readings/meter-1/power"
    async with live.compactor().connected(live.broker.port, "sensor_readings/#"):
        pass
    assert await live.publish("meter-1", topic) == ""
    for clean in (False, True):
        thief = live.device("meter-2", client_id="session-id")
        async with thief.connected(live.broker.tls_port, "#", clean=clean):
            assert await live.publish("meter-1", topic) == ""
            assert thief.received == []
    async with live.compactor().connected(live.broker.port) as compactor:
        await eventually(lambda: len(compactor.received) == 3)


@pytest.mark.parametrize(
    ("topic", "comes"), [("meter-1/power", [b"will"]), ("meter-2/power", [])], ids=["own", "other"]
)
async def test_a_will_is_under_the_same_rules(live: Site, topic: str, comes: list[bytes]):
    device = live.device("meter-1")
    device.leave(f"sensor_readings/{topic}", "will")
    async with live.compactor().connected(live.broker.port, "sensor_readings/#") as compactor:
        async with device.connected(live.broker.tls_port):
            device.break_off()
            await eventually(lambda: "Client meter-1 closed its connection" in live.broker.log)
        assert await live.publish("meter-2", "sensor_readings/meter-2/last") == ""
        await eventually(lambda: b"1" in compactor.received)
        assert compactor.received == [*comes, b"1"]


async def test_nothing_is_retained(live: Site):
    topic = "sensor_readings/meter-1/power"
    assert await live.publish("meter-1", topic, "-r", "-V", "311") != ""
    async with live.compactor().connected(live.broker.port, "sensor_readings/#") as compactor:
        assert await live.publish("meter-1", topic) == ""
        await eventually(lambda: compactor.received)
        assert compactor.received == [b"1"]


@pytest.mark.parametrize(
    ("user", "password"),
    [("meter-1", "two"), ("generator", "one"), ("nobody", "one"), ("#", "one")],
)
async def test_nobody_comes_in_without_the_users_password(live: Site, user: str, password: str):
    said = await live.publish(user, "sensor_readings/meter-1/power", password=password)
    assert "not authori" in said.lower()


async def test_only_who_has_the_authority_and_tls_is_served(live: Site, tmp_path: Path):
    other = tmp_path / "other.crt"
    other.write_text(certificates.authority("others")[0])
    topic = "sensor_readings/meter-1/power"
    assert await live.publish("meter-1", topic) == ""
    assert "TLS" in await live.publish("meter-1", topic, "--cafile", str(other))
    login = ("-u", "meter-1", "-P", "one", "-t", topic, "-m", "1")
    assert await live.broker.client("mosquitto_pub", "-p", str(live.broker.tls_port), *login) != (
        "",
        "",
    )
