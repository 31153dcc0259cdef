"""Devices as they are, through broker, Kafka and MongoDB to the API."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from support.feeds import SHIPPED, captures, manifest
from support.pipeline import Pipeline, ask, pipeline
from support.pipeline_parts import counted, dead_headers, metrics, mosquitto_pub, settled
from support.waiting import eventually, in_thread

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREFIXED = ("esphome", "shelly")
"""Feeds whose topics begin with any level: beside others their devices need a prefix."""

KILLS = 10


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All shipped Feeds in one folder."""
    folder = tmp_path_factory.mktemp("feeds")
    for file in SHIPPED.iterdir():
        text = file.read_text(encoding="utf-8")
        if file.stem in PREFIXED:
            text = re.sub(r'topic: "?(\{device\}[^"\n]*)"?', rf"topic: {file.stem}/\1", text)
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory, feeds: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(tmp_path_factory.mktemp("pipeline"), feeds=feeds) as running:
        yield running


def recent(message: dict[str, Any]) -> str:
    """Return a captured payload with the present as its time, in the same form."""
    payload: str = message["payload"]
    then = message.get("time")
    if then is None:
        return payload
    now = time.time()
    if re.fullmatch(r"\d{10}", then):
        text = str(int(now))
    elif re.fullmatch(r"\d{10}\.\d+", then):
        text = f"{now:.2f}"
    elif re.fullmatch(r"\d{19}", then):
        text = str(int(now * 1e9))
    else:
        zone = re.search(r"(Z|[+-]\d\d:\d\d)?$", then)
        text = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        text += zone[0] if zone else ""
    assert then in payload
    return payload.replace(then, text)


def averages(parts: Pipeline, facility: str, sensors: Any) -> dict[str, float]:
    """Return averages over all windows of a facility."""
    path = f"/api/stats?facility={facility}&sensors={','.join(sensors)}"
    found: dict[str, Any] = next(iter(ask(f"http://127.0.0.1:{parts.server.port}{path}")), {})
    return {name: item["avg"] for name, item in found.items() if name != "_id"}


def stored(parts: Pipeline, facility: str, sensor: str) -> int:
    """Return how many readings of a sensor the API counts."""
    path = f"/api/stats?facility={facility}&sensors={sensor}"
    found: dict[str, Any] = next(iter(ask(f"http://127.0.0.1:{parts.server.port}{path}")), {})
    return int(found.get(sensor, {}).get("count", 0))


def integrity(parts: Pipeline, facility: str) -> dict[str, Any]:
    """Return what the API says of the identities of a facility's readings."""
    path = f"/api/integrity?facility={facility}"
    found: dict[str, Any] = ask(f"http://127.0.0.1:{parts.server.port}{path}")
    return found


async def put(parts: Pipeline, feeds: Path, made: dict[str, Any]) -> None:
    """Write a Feed into the folder, and wait until the compactor takes its messages."""
    name = made["metadata"]["name"]
    (feeds / f"{name}.yaml").write_text(yaml.safe_dump(made), encoding="utf-8")

    def is_used() -> bool:
        many = len(list(feeds.iterdir()))
        found = metrics(parts.compactor)
        known = f'feed_messages{{feed="{name}"}}' in found
        return known and found["feed_filters_subscribed"] == many

    await eventually(in_thread(is_used), state=lambda: metrics(parts.compactor))


async def test_every_format_comes_out_with_its_values(parts: Pipeline) -> None:
    expected: dict[str, dict[str, float]] = {}
    for message in captures():
        topic = message["topic"]
        if message["feed"] in PREFIXED:
            topic = f"{message['feed']}/{topic}"
        await mosquitto_pub(parts.mqtt, topic, recent(message).encode())
        if message["values"]:
            expected.setdefault(message["facility"], {}).update(message["values"])
    for facility, values in expected.items():
        await counted(parts, facility, len(values))
        found = await asyncio.to_thread(averages, parts, facility, values)
        assert found == pytest.approx(values), facility
    everything = await asyncio.to_thread(
        ask, f"http://127.0.0.1:{parts.server.port}/api/facilities"
    )
    named = {unit for each in everything["data"] for unit in each["units"].values()}
    assert {"°C", "%", "W"} <= named
    assert metrics(parts.compactor)["feed_files_wrong"] == 0


async def test_a_refused_message_is_a_dead_letter_that_names_its_feed(parts: Pipeline) -> None:
    await mosquitto_pub(parts.mqtt, "zigbee2mqtt/hall", b'{"temperature": "warm"}')
    headers = {"feed": b"zigbee2mqtt", "reason": b"not_a_number"}
    found: list[dict[str, bytes]] = []

    async def is_there() -> bool:
        found[:] = await dead_headers(parts.kafka)
        return any(headers.items() <= each.items() for each in found)

    await eventually(is_there, state=lambda: found)
    assert metrics(parts.compactor)['feed_refused{feed="zigbee2mqtt"}'] == 1
    assert parts.said(parts.compactor, "A message is no reading")["feed"] == "zigbee2mqtt"


@pytest.mark.parametrize(
    ("facility", "identity"),
    [("by-time", "time"), ("by-counter", {"src": ["/eui"], "seq": "/n"})],
)
async def test_what_is_sent_twice_counts_once_through_kills(
    parts: Pipeline, feeds: Path, facility: str, identity: Any
) -> None:
    made = manifest(
        topic=f"{facility}/{{device}}",
        facility=facility,
        time={"at": "/at", "format": "ms"},
        readings=[{"sensor": "t", "at": "/t"}],
        identity=identity,
    )
    await put(parts, feeds, {**made, "metadata": {"name": facility}})
    ledger: list[int] = []
    before: list[bytes] = []
    for kill in range(KILLS + 1):
        now, numbers = time.time_ns() // 1_000_000, range(kill * 30, kill * 30 + 30)
        ledger += numbers
        form = b'{"at": %d, "t": %d, "eui": "0a", "n": %d}'
        lines = [form % (now + n % 30, n, n) for n in numbers]
        for some in (lines, before, lines):  # each twice, and again what was before the last kill
            if some:
                text = b"\n".join(some) + b"\n"
                await mosquitto_pub(parts.mqtt, f"{facility}/pump", text, "-l", "-q", "1")
        before = lines
        if kill < KILLS:
            await parts.kill(parts.compactor)
    await parts.ready(parts.compactor)
    await counted(parts, facility, len(ledger))
    await settled(parts)
    assert await asyncio.to_thread(stored, parts, facility, "t") == len(ledger)
    found = await asyncio.to_thread(averages, parts, facility, ["t"])
    assert found["t"] == pytest.approx(sum(ledger) / len(ledger))
    checked = await asyncio.to_thread(integrity, parts, facility)
    (line,) = checked["data"]
    assert (line["count"], line["lost"], line["duplicates"]) == (len(ledger), None, 0)
    assert (checked["totals"]["unidentified"], checked["totals"]["sources"]) == (0, 1)


async def test_a_feed_that_is_gone_is_unsubscribed_and_a_bad_one_stops_no_other(
    parts: Pipeline, feeds: Path
) -> None:
    readings = [{"sensor": "t", "at": "/t"}]
    made = manifest(topic="gone/{device}", facility="{device}", readings=readings)
    await put(parts, feeds, {**made, "metadata": {"name": "gone"}})
    await mosquitto_pub(parts.mqtt, "gone/a", b'{"t": 1}')
    await counted(parts, "a", 1)
    before = metrics(parts.compactor)["feed_filters_subscribed"]
    (feeds / "gone.yaml").unlink()
    (feeds / "zigbee2mqtt.yaml").write_text("kind: Feed", encoding="utf-8")
    await eventually(
        in_thread(lambda: metrics(parts.compactor).get("feed_filters_subscribed") == before - 1)
    )
    assert metrics(parts.compactor)["feed_files_wrong"] == 1
    assert parts.said(parts.compactor, "A Feed file is wrong")["file"] == "zigbee2mqtt.yaml"
    received = metrics(parts.compactor)["received"]
    await mosquitto_pub(parts.mqtt, "gone/a", b'{"t": 2}')
    await mosquitto_pub(parts.mqtt, "zigbee2mqtt/still", b'{"temperature": 3}')
    await counted(parts, "still", 1)
    assert metrics(parts.compactor)["received"] == received + 1
    assert metrics(parts.compactor)["feed_unclaimed"] == 0
