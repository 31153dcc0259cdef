"""Readings of publishers that are none of ours, and what only looks like readings."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple

import mqtt5
import pytest
import pytest_asyncio
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_schema.reading import MAX_PAYLOAD
from support.pipeline import Pipeline, pipeline
from support.pipeline_parts import (
    DeadLetter,
    Value,
    check,
    counted,
    dead_letters,
    metrics,
    mosquitto_pub,
    settled,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = time.time_ns() // 1_000_000
DAY = 24 * 3600 * 1000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pipeline]:
    async with pipeline(tmp_path_factory.mktemp("foreign")) as running:
        yield running


def bare(value: Value) -> bytes:
    return f'{{"ts": {value.ts}, "val": {value.val!r}}}'.encode()


async def send(broker: Child, facility: str, values: Iterable[Value]) -> None:
    """Publish as lines, one call of `mosquitto_pub` for each sensor."""
    held = list(values)
    for sensor in sorted({value.sensor for value in held}):
        lines = b"\n".join(bare(value) for value in held if value.sensor == sensor)
        topic = f"sensor_readings/{facility}/{sensor}"
        await mosquitto_pub(broker, topic, lines + b"\n", "-l", "-q", "1")


async def test_bare_lines_of_mosquitto_pub_have_the_right_statistics(parts: Pipeline) -> None:
    chance = random.Random(2)
    values = [
        Value(sensor, NOW - chance.randrange(45_000), chance.gauss(mean, stdev))
        for sensor, mean, stdev in [("temperature", -3.0, 8.0), ("pressure", 1013.25, 4.0)]
        for _ in range(150)
    ]
    values += [Value("door", NOW, 1.0), Value("far-off_2", NOW - 6 * DAY, 1e300)]
    values += [Value("leak", NOW - 20_000 * i, 5e-324) for i in range(2)]
    await send(parts.mqtt, "plant_7", values)
    await counted(parts, "plant_7", len(values))
    await settled(parts)
    totals = await counted(parts, "plant_7", 0)
    assert (totals["unidentified"], totals["count"]) == (len(values), 0)
    await check(parts, "plant_7", values)


UNUSUAL: list[tuple[bytes, tuple[str, ...]]] = [
    (b'{"val": 1e2, "ts": %d, "unit": "kW", "tags": [{"a": null}]}', ()),
    (b'\r\n\t {"ts":%d,"val":-0.0}\r\n', ()),
    (b'{"ts": %d, "val": 1234567890123456789, "src": null}', ()),
    (b'{"ts": %d, "val": 3, "seq": 9}', ()),
    (b'{"ts": %d, "val": 4, "src": "meter"}', ()),
    (b'{"ts": %d, "val": 1, "val": 5}', ()),
    (b'{"ts": %d, "val": 6}', ("-q", "0")),
    (b'{"ts": %d, "val": 7}', ("-q", "2")),
    (b'{"ts": %d, "val": 8}', ("-q", "1", "-r")),
    (b'{"ts": %d, "val": 9}', ("-V", "5", "-D", "publish", "content-type", "text/plain")),
    (b'{"ts": %d, "val": 10}'.ljust(MAX_PAYLOAD - 11), ()),
]


async def test_unusual_forms_of_a_reading_count_as_well(parts: Pipeline) -> None:
    for payload, options in UNUSUAL:
        await mosquitto_pub(parts.mqtt, "sensor_readings/a/0", payload % NOW, *options)
    await counted(parts, "a", len(UNUSUAL))
    await settled(parts)
    values = [100, -0.0, 1234567890123456789, 3, 4, 5, 6, 7, 8, 9, 10]
    await check(parts, "a", [Value("0", NOW, float(value)) for value in values])


class Malformed(NamedTuple):
    """A message that is no reading."""

    reason: str
    payload: bytes
    topic: str = "sensor_readings/yard/wind"
    options: tuple[str, ...] = ()

    @property
    def letter(self) -> DeadLetter:
        return DeadLetter(self.topic, self.reason, self.payload[:MAX_PAYLOAD])


GOOD = f'{{"ts": {NOW}, "val": 4.5}}'.encode()


def with_ts(ts: object) -> bytes:
    return f'{{"ts": {ts}, "val": 4.5}}'.encode()


def with_val(val: str) -> bytes:
    return f'{{"ts": {NOW}, "val": {val}}}'.encode()


def with_more(more: str) -> bytes:
    return f'{{"ts": {NOW}, "val": 4.5, {more}}}'.encode()


NOT_JSON = [
    b"",
    b" ",
    b"wind 4.5",
    b"ts=1,val=2",
    b"{",
    GOOD[:-1],
    GOOD + b"}",
    GOOD + GOOD,
    b"\xef\xbb\xbf" + GOOD,
    GOOD.decode().encode("utf-16"),
    GOOD.replace(b'"', b"'"),
    GOOD.replace(b'"', b""),
    GOOD.replace(b"}", b",}"),
    GOOD.replace(b",", b";"),
    b"\xff\xfe\xfd",
    b"\0" * 40,
    bytes(range(256)),
    b"[" * 4000,
    b"[" * 4000 + b"]" * 4000,
    with_val("NaN"),
    with_val("-Infinity"),
    with_val("4,5"),
    with_val("0x10"),
    with_val("+4.5"),
    with_val(""),
    with_more('"src": "a\n", "seq": 1'),
    with_more('"src": "').replace(b"}", b'\xff", "seq": 1}'),
    with_more('"x": ' + '{"x":' * 1300 + "1" + "}" * 1300),
]

BY_REASON: dict[str, list[bytes]] = {
    "not_json": NOT_JSON,
    "not_an_object": [b"4.5", b"null", b"true", b'"wind"', b"[]", b"[" + GOOD + b"]"],
    "no_ts": [b"{}", b'{"val": 4.5}', GOOD.replace(b"ts", b"TS")],
    "no_val": [with_ts(NOW).replace(b"val", b"value"), f'{{"ts": {NOW}}}'.encode()],
    "bad_ts": [
        *map(with_ts, [f"{NOW}.5", f"{NOW}.0", f'"{NOW}"', "1e400", "null", "true", "[]"]),
        with_ts('"2026-01-02T03:04:05Z"'),
    ],
    "too_old": [*map(with_ts, [0, -NOW, NOW // 1000, NOW - 7 * DAY - 1000])],
    "ahead_of_time": [*map(with_ts, [NOW + DAY, NOW * 1000, "9" * 40])],
    "bad_val": [*map(with_val, ['"4.5"', "null", "true", "[4.5]", '{"mean": 4.5}'])],
    "val_not_finite": [*map(with_val, ["1e999", "-1e999", "9" * 400])],
    "bad_src": [
        with_more('"src": 7, "seq": 1'),
        with_more('"src": "", "seq": 1'),
        with_more(f'"src": "{"s" * 129}", "seq": 1'),
    ],
    "bad_seq": [
        with_more('"src": "s", "seq": -1'),
        with_more('"src": "s", "seq": 1.5'),
        with_more('"src": "s", "seq": "1"'),
        with_more(f'"src": "s", "seq": {2**63}'),
    ],
    "too_large": [
        GOOD.ljust(MAX_PAYLOAD + 1),
        b"w" * 300_000,
        GOOD.ljust(1_000_000),
    ],
}

TOPICS: dict[str, list[str]] = {
    "bad_topic": ["", "/yard", "/yard/wind/north", "/yard/wind/"],
    "bad_facility_name": ["//wind", "/Yard/wind", "/y rd/wind", "/höfe/wind", f"/{'y' * 64}/wind"],
    "bad_sensor_name": ["/yard/", "/yard/Wind", "/yard/-wind", "/yard/wind.x", "/yard/風"],
}

MALFORMED = [
    *[Malformed(reason, payload) for reason, found in BY_REASON.items() for payload in found],
    *[
        Malformed(reason, GOOD, f"sensor_readings{rest}")
        for reason, found in TOPICS.items()
        for rest in found
    ],
    Malformed("not_json", b"kept", options=("-q", "1", "-r")),
    Malformed("not_json", b"at most once", options=("-q", "0")),
    Malformed("not_json", b"exactly once", options=("-q", "2")),
    Malformed(
        "not_json", b"of MQTT 5", options=("-V", "5", "-D", "publish", "user-property", "a", "b")
    ),
]


async def test_what_is_no_reading_becomes_a_dead_letter_and_disturbs_nothing(
    parts: Pipeline,
) -> None:
    assert len(MALFORMED) >= 50
    # most sources agree with the compactor's clock, so that the one that is ahead of it is wrong
    for facility in ("meadow", "hill"):
        agreeing = Value("rain", time.time_ns() // 1_000_000, 1.0)
        await mosquitto_pub(parts.mqtt, f"sensor_readings/{facility}/rain", bare(agreeing))
        await counted(parts, facility, 1)
    before = await asyncio.to_thread(metrics, parts.compactor)
    good = []
    for number, case in enumerate(MALFORMED):
        await mosquitto_pub(parts.mqtt, case.topic, case.payload, *case.options)
        good.append(Value("wind", NOW - number, number / 7))
        await mosquitto_pub(parts.mqtt, "sensor_readings/yard/wind", bare(good[-1]))
    letters = await dead_letters(parts.kafka, len(MALFORMED))
    assert Counter(letters) == Counter(case.letter for case in MALFORMED)
    await counted(parts, "yard", len(good))
    await settled(parts)
    await check(parts, "yard", good)
    after = await asyncio.to_thread(metrics, parts.compactor)
    for reason, count in Counter(case.reason for case in MALFORMED).items():
        assert after[f'dead_letters{{reason="{reason}"}}'] == count
    assert after["received"] - before["received"] == 2 * len(MALFORMED)
    assert after["mqtt_connections"] == before["mqtt_connections"] == 1

    await parts.kill(parts.compactor)
    await parts.ready(parts.compactor)
    good.append(Value("wind", NOW, 0.5))
    await mosquitto_pub(parts.mqtt, "sensor_readings/yard/wind", bare(good[-1]))
    await counted(parts, "yard", len(good))
    await settled(parts)
    after = await asyncio.to_thread(metrics, parts.compactor)
    assert after["received"] == 1  # the broker had nothing left to send again
    await check(parts, "yard", good)


def raw_publish(topic: bytes) -> bytes:
    """Return a PUBLISH of QoS 1 as no codec would make it."""
    body = len(topic).to_bytes(2, "big") + topic + b"\0\7" + b"\0" + GOOD
    assert len(body) < 128
    return bytes([0x32, len(body)]) + body


async def send_raw(broker: Child, packet: bytes) -> bytes:
    """Send a packet over a connection of its own; return the answer, or b"" for an end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    async with asyncio.timeout(10):
        writer.write(mqtt5.ConnectPacket("raw", keep_alive=30).write())
        assert await reader.read(1024)
        writer.write(packet)
        answer = await reader.read(1024)
    writer.close()
    await writer.wait_closed()
    return answer


PASSED_ON = {
    "sensor_readings/yard\1/wind": "bad_facility_name",
    "sensor_readings/yard/wi\0nd": "bad_sensor_name",
    "sensor_readings/+/wind": "bad_facility_name",
    "sensor_readings/yard/#": "bad_sensor_name",
}

NOT_UTF_8 = [b"sensor_readings/\xff/wind", b"sensor_readings/yard/\xed\xa0\x80"]


async def test_topics_that_only_a_lenient_broker_takes_become_dead_letters(tmp_path: Path) -> None:
    """rumqttd passes on what Mosquitto refuses; only what is not UTF-8 it refuses, too."""
    broker = embedded.mqtt_broker(free_port(), tmp_path / "mqtt")
    kafka = embedded.kafka_broker(free_port(), tmp_path / "kafka")
    async with pipeline(tmp_path, broker, kafka) as parts:
        for topic in PASSED_ON:
            assert await send_raw(broker, raw_publish(topic.encode())) == b"\x40\2\0\7"
        for refused in NOT_UTF_8:
            assert await send_raw(broker, raw_publish(refused)) == b""
        await mosquitto_pub(broker, "sensor_readings/yard/wind", GOOD, "-V", "5")
        await counted(parts, "yard", 1)
        letters = await dead_letters(kafka, len(PASSED_ON))
        expected = [DeadLetter(topic, reason, GOOD) for topic, reason in PASSED_ON.items()]
        assert sorted(letters) == sorted(expected)
        await settled(parts)
        assert metrics(parts.compactor)["received"] == len(PASSED_ON) + 1
        await check(parts, "yard", [Value("wind", NOW, 4.5)])
