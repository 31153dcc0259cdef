"""The benchmark harness itself, on a few readings: figures are for `make bench`."""

import asyncio
import json
import socket
import time
from itertools import chain

import bench_devices
import bench_drain
import bench_feeds
import bench_history
import bench_telegraf
import bench_wire
import pytest
from aiokafka import AIOKafkaConsumer
from bench_history import History
from bench_machine import machine
from bench_paced import Pace, Sent, publishing
from bench_partials import WINDOW_MS
from bench_result import Aim, Figure, Part
from bench_tcp import flows
from bench_together import STEADY, WARM_UP, is_held
from bench_workload import TOPICS, payloads
from sensorpipe_compactor.feeds.folder import FeedFolder
from sensorpipe_schema.feed.decoder import FeedDecoder
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import read
from sensorpipe_schema.reading import decode
from sensorpipe_server.storage.documents import document as stored_document
from sensorpipe_server.storage.documents import unix_ms
from support.partials import decode as decode_partial
from support.received_readings import receiving
from support.waiting import eventually

NOW = 1_800_000_000_000


def test_the_kernel_counts_the_bytes_of_a_connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"a" * 3000)
                server.sendall(b"b" * 2000)
                assert len(client.recv(2000, socket.MSG_WAITALL)) == 2000
                assert len(server.recv(3000, socket.MSG_WAITALL)) == 3000
                [flow] = flows(port)
    assert (flow.sent, flow.received) == (2000, 3000)


def test_the_workload_numbers_its_readings_without_gaps():
    seqs: dict[tuple[int, str | None], list[int]] = {}
    for topic, payload in payloads(1000, NOW):
        reading = decode(payload, NOW)
        seqs.setdefault((topic, reading.src), []).append(reading.seq)
    assert len(seqs) == len(TOPICS)
    assert all(held == list(range(1, len(held) + 1)) for held in seqs.values())


def test_messages_of_devices_have_the_size_they_are_measured_with():
    sizes = [
        {len(payload) for _, payload in kind.messages(2000, NOW)}
        for kind in (bench_devices.ZIGBEE, bench_devices.LORA)
    ]
    assert sizes == [{136}, {509}]


@pytest.mark.parametrize("name", bench_feeds.MAPPED)
def test_each_message_of_a_device_gives_its_feed_readings_that_are_new(name: str):
    kind = bench_feeds.MAPPED[name]
    decode = FeedDecoder(kind.feed).decode
    found = [decode(kind.topics[at], payload, NOW) for at, payload in kind.messages(1000, NOW)]
    assert {len(one) for one in found} == {1}
    assert {len(one[0].values) for one in found} == {bench_feeds.READINGS_IN[name]}
    seqs = [(one[0].src, one[0].seq) for one in found]
    assert seqs == [(None, 0)] * 1000 or len(set(seqs)) == 1000


def test_the_shipped_feeds_are_in_use_beside_each_other(tmp_path):
    folder = FeedFolder(bench_devices.write_shipped(tmp_path / "feeds"))
    used = folder.read()
    assert used is not None
    assert len(used.feeds) == 14
    assert not folder.problems


def test_a_table_shows_medians_ratios_and_aims():
    part = Part("a. Something", "How.", limit="limit")
    for rate in (90, 100, 80):
        part.row("ours").add(rate, 2.0)
        part.row("limit").add(100, 1.0)
    part.aims = [
        Aim("share of the limit", part.ratio("ours"), 0.8),
        Aim("CPU µs", part.row("ours").cpu, 1.5, at_most=True),
    ]
    text = part.text()
    assert "ours           90   0.90    2.00  90, 100, 80" in text
    assert "aim: share of the limit ≥ 0.8: 0.9, met" in text
    assert "aim: CPU µs ≤ 1.5: 2, MISSED" in text
    assert part.json()["rows"][0] == {
        "name": "ours",
        "per_second": [90, 100, 80],
        "cpu_us": [2.0, 2.0, 2.0],
        "beside_us": [],
        "mb": None,
    }


def test_a_table_shows_the_highest_memory_of_those_that_were_watched():
    part = Part("b. Something", "How.", limit="limit")
    part.row("ours").add(90, 2.0, 79.6)
    part.row("ours").add(90, 2.0, 71.0)
    part.row("limit").add(100, 1.0)
    assert "  ours           90   0.90    2.00     80  90, 90" in part.text()
    assert "  limit         100   1.00    1.00         100" in part.text()


def test_a_table_shows_what_the_service_beside_takes():
    part = Part("a. Something", "How.")
    part.row("ours").add(90, 2.0, beside_us=3.5)
    part.row("other").add(45, 4.0)
    assert "  ours           90   1.00    2.00    3.50  90" in part.text()
    assert "  other          45   1.00    4.00          45" in part.text()


def test_a_table_shows_several_figures_of_each_row():
    part = Part("k. Something", "How.")
    part.table = {"ten": {"CPU µs": 1.25, "lost": 0}, "peer": {"CPU µs": 17.25, "MB": 1030}}
    assert part.text().splitlines()[3:] == [
        "        CPU µs  lost     MB",
        "  ten     1.25     0       ",
        "  peer   17.25        1,030",
    ]


def test_runs_are_told_apart_by_what_the_broker_took():
    assert bench_drain.regimes([5.4, 3.6, 3.7, 5.5]) == [[1, 2], [0, 3]]
    assert bench_drain.regimes([3.6, 3.7, 3.5]) == [[2, 0, 1]]
    assert bench_drain.regimes([3.6]) == [[0]]


def test_a_table_shows_figures_without_a_bound():
    part = Part("s. Something", "How.", figures=[Figure("a window on disk", 1234.5, "bytes")])
    assert "  a window on disk: 1,234.5 bytes" in part.text()
    assert part.json()["figures"] == [
        {"text": "a window on disk", "value": 1234.5, "unit": "bytes"}
    ]


def test_the_machine_is_described():
    assert {"cores", "processor", "kernel", "python", "mosquitto"} <= machine().keys()


def test_what_is_stored_beforehand_is_what_the_server_stores():
    history = History(2000, NOW)
    windows = list(history.past())
    made = bench_history.document(windows[0], 1)
    checked = read(made["partial"])
    assert made == stored_document(checked, made["partial"], made["received_at"])
    assert len(windows) == history.windows == len(set(windows))
    shares = (history.past(part, 3) for part in range(3))
    assert sorted(windows) == sorted(chain.from_iterable(shares))
    assert windows[-1].start_ms + WINDOW_MS == NOW
    assert next(history.onward()).start_ms == NOW
    assert next(history.onward(3)).start_ms == NOW + 3 * WINDOW_MS


def test_a_history_was_stored_as_it_came_until_now():
    history = History(2000, NOW, NOW + 3_600_000)
    *_, last = history.past()
    made = bench_history.document(last, 1, history.delay_ms)
    assert unix_ms(made["received_at"]) == NOW + 3_600_000


def test_the_raw_client_publishes_within_the_brokers_window(mosquitto):
    client = bench_wire.RawClient(mosquitto.port, "bench-test", clean=True)
    chunks = bench_wire.packets(TOPICS, payloads(5000, NOW), client.window)
    assert client.publish(chunks) == 5000
    client.close()


async def test_the_paced_publisher_numbers_the_readings_of_each_source(mosquitto):
    pace = Pace(facilities=4, sensors=3, rate=2000, step_ms=5)
    begun_ms = time.time_ns() // 1_000_000
    async with receiving(mosquitto.port, "bench-paced-test") as received:
        async with publishing(mosquitto.port, 0.6, pace) as publisher:
            sent = await publisher
        held = received.readings.values()
        await eventually(lambda: sum(len(one) for of in held for one in of.values()) == 1200)
    ended_ms = time.time_ns() // 1_000_000
    assert sent.acknowledged == 1200
    assert len(held) == 12
    for readings in chain.from_iterable(of.values() for of in held):
        assert [reading.seq for reading in readings] == list(range(1, 101))
        assert all(begun_ms <= reading.ts <= ended_ms for reading in readings)


def test_a_rate_is_held_while_nothing_queues_up():
    in_time = Sent(acknowledged=1000, seconds=WARM_UP + STEADY + 0.1, late_ms=9.0, cpu=0.1)
    assert is_held(in_time, 0.1, waiting=250, a_second=100)
    assert not is_held(in_time._replace(seconds=WARM_UP + STEADY + 2), 0.1, 0, 100)
    assert not is_held(in_time, 0.9, 0, 100)
    assert not is_held(in_time, 0.1, 450, 100)


async def drained(name, mosquitto, kafka, folder):
    """Return what a contender takes for 2,000 readings, in seconds."""
    command = bench_drain.CONTENDERS[name].command()
    return (await bench_drain.drain(command, 2000, mosquitto, kafka, folder)).seconds


@pytest.mark.parametrize("name", [bench_drain.LIMIT, bench_drain.NAMED_FIRST])
async def test_a_contender_drains_what_was_queued(name, mosquitto, kafka, tmp_path):
    assert await drained(name, mosquitto, kafka, tmp_path) > 0


def readings_of_probes(value: bytes) -> int:
    partial = decode_partial(value)
    if not partial.facility.startswith("0000"):
        return 0  # another test's, or a fence
    return sum(summary.moments.count for summary in partial.sensors.values())


async def test_the_compactor_drains_messages_of_devices(mosquitto, kafka, tmp_path):
    kind = bench_devices.LORA_COUNTED
    feeds = bench_devices.write_feed(tmp_path / "feeds", kind.feed)
    load = bench_feeds.load(kind, 1000, {"SENSORPIPE_FEEDS": str(feeds)})
    command = bench_drain.CONTENDERS[bench_drain.COMPACTOR].command()
    taken = await bench_drain.drain(command, 1000, mosquitto, kafka, tmp_path, load=load)
    assert taken.seconds > 0
    assert taken.cpu >= 0
    async with AIOKafkaConsumer(
        COMPACTED, bootstrap_servers=f"127.0.0.1:{kafka.port}", auto_offset_reset="earliest"
    ) as consumer:
        count = 0
        async with asyncio.timeout(30):
            while count < 6000:  # three each, those behind included
                record = await consumer.getone()
                count += readings_of_probes(record.value)
    assert count == 6000


async def test_telegraf_counts_every_reading_that_was_queued(mosquitto, kafka, tmp_path):
    assert await drained(bench_drain.TELEGRAF, mosquitto, kafka, tmp_path) > 0
    # stopped, it has written the summaries of the window that was open
    async with AIOKafkaConsumer(
        bench_telegraf.TOPIC,
        bootstrap_servers=f"127.0.0.1:{kafka.port}",
        auto_offset_reset="earliest",
    ) as consumer:
        count = 0
        async with asyncio.timeout(30):
            while count < 2003:  # those that close the windows of others are readings, too
                record = await consumer.getone()
                count += json.loads(record.value)["fields"]["val_count"]
    assert count == 2003
