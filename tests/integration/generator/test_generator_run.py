"""The generator as a process, with real brokers: restarts, outages, SIGTERM."""

import asyncio
import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.signal import Series
from sensorpipe_schema.reading import Reading, decode_fast
from sensorpipe_schema.sensor import API_VERSION, Sensor
from support import services
from support.services import running
from support.signal_values import value_of_seq
from support.waiting import eventually

PERSISTENT = f"{services.MOSQUITTO_TUNED}persistence true\npersistence_location {{folder}}/\n"


def sensor(facility: str, count: int, interval: str) -> Sensor:
    signals: dict[str, Any] = {
        "temperature": {"normal": {"mean": 20, "stdev": 2}},
        "level": {"randomWalk": {"start": 5, "step": 0.1}},
        "load": {"sum": [{"sine": {"amplitude": 9, "period": "3s"}}, {"constant": {"value": 1}}]},
    }
    measurements = [{"name": name, "signal": signals[name]} for name in signals]
    spec = {
        "facility": facility,
        "count": count,
        "interval": interval,
        "seed": 3,
        "measurements": measurements,
    }
    metadata = {"name": facility}
    return Sensor.parse(
        {"apiVersion": API_VERSION, "kind": "Sensor", "metadata": metadata, "spec": spec}
    )


class Generator(Child):
    """`sensorpipe-generator` for one Sensor."""

    def __init__(self, made: Sensor, folder: Path, broker: int, **settings: str) -> None:
        self.sensor = made
        path = folder / f"{made.name}.json"
        path.write_text(json.dumps(made.to_manifest()))
        self.http = free_port()
        environ = {
            "SENSORPIPE_SENSOR": str(path),
            "SENSORPIPE_MQTT_URL": f"mqtt://user:secret@127.0.0.1:{broker}",
            "SENSORPIPE_HTTP": f"127.0.0.1:{self.http}",
            **{f"SENSORPIPE_{name}": value for name, value in settings.items()},
        }
        argv = [sys.executable, "-m", "sensorpipe_generator"]
        super().__init__("generator", argv, folder / f"{made.name}.log", environ=environ)
        self.port = self.http

    def said(self, message: str) -> dict[str, Any]:
        """Return the log line with this message."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return next(line for line in lines if line["message"] == message)

    async def metrics(self) -> dict[str, float]:
        """Return the generator's metrics by their short names."""
        _, text = await self.get("/metrics")
        lines = [line.split() for line in text.splitlines() if line[0] != "#"]
        prefix = "sensorpipe_generator_"
        return {
            name.removeprefix(prefix).removesuffix("_total"): float(value)
            for name, value in lines
            if name.startswith(prefix)
        }

    async def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page."""

        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}") as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, ""

        return await asyncio.to_thread(ask)

    async def counts(self, name: str, at_least: int) -> dict[str, float]:
        """Return the metrics once this one has come so far."""
        metrics: dict[str, float] = {}

        async def reached() -> bool:
            metrics.update(await self.metrics())
            return metrics[name] >= at_least

        await eventually(reached, state=lambda: metrics)
        return metrics


class Watcher:
    """A subscriber that is none of ours; its session outlives a restart of the broker."""

    def __init__(self, port: int, facility: str) -> None:
        self.readings: dict[str, list[Reading]] = defaultdict(list)
        self.subscribed = threading.Event()
        self._topics = f"sensor_readings/{facility}/#"
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            f"watch-{facility}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self.client.on_connect = self._connected
        self.client.on_message = self._message
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        keep = Properties(PacketTypes.CONNECT)
        keep.SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", port, clean_start=False, properties=keep)

    @property
    def count(self) -> int:
        """Readings so far, repeated ones included."""
        return sum(map(len, list(self.readings.values())))

    def distinct(self, topic: str) -> list[Reading]:
        """Return the readings of a topic without those that came again."""
        return list({(r.src, r.seq): r for r in reversed(self.readings[topic])}.values())[::-1]

    def _connected(self, *_: object) -> None:
        if not self.subscribed.is_set():
            self.client.subscribe(self._topics, options=SubscribeOptions(qos=1))

    def _message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.readings[message.topic].append(decode_fast(message.payload))


@contextmanager
def watching(port: int, facility: str) -> Iterator[Watcher]:
    watcher = Watcher(port, facility)
    watcher.client.loop_start()
    try:
        assert watcher.subscribed.wait(60)
        yield watcher
    finally:
        watcher.client.disconnect()
        watcher.client.loop_stop()


def check(generator: Generator, watcher: Watcher) -> None:
    """All that was published arrived, in order, numbered without gaps, as the seed says."""
    made, start = generator.sensor, generator.said("Generator started")
    spec = made.spec
    schedule = Schedule(start["first_reading_ms"], spec.interval_ms, spec.count)
    for measurement in spec.measurements:
        series = Series(made, measurement)
        found = watcher.distinct(f"sensor_readings/{spec.facility}/{measurement.name}")
        assert found == [
            Reading(schedule.time_of(slot), value_of_seq(series, slot + 1), start["src"], slot + 1)
            for slot in range(len(found))
        ]
    end = generator.said("Generator stopped")
    assert end["published"] == end["acknowledged"]
    assert end["given_up"] == end["refused"] == 0
    topics = list(watcher.readings)
    assert end["published"] == sum(len(watcher.distinct(topic)) for topic in topics)


@pytest.fixture(params=["rumqttd", "mosquitto"])
def port(request: pytest.FixtureRequest) -> int:
    broker: Child = request.getfixturevalue(request.param)
    assert broker.port
    return broker.port


async def test_every_reading_is_what_the_seed_says(tmp_path: Path, port: int) -> None:
    generator = Generator(sensor("seeded", count=50, interval="100ms"), tmp_path, port)
    with watching(port, "seeded") as watcher:
        async with running(generator):
            await eventually(lambda: watcher.count >= 1500)
            assert (await generator.get("/readyz"))[0] == 200
            assert (await generator.get("/healthz"))[0] == 200
            assert await generator.stop() == 0
        end = generator.said("Generator stopped")
        await eventually(lambda: watcher.count >= end["published"])
        check(generator, watcher)
    assert "secret" not in generator.log.read_text()


async def test_sigterm_waits_for_the_last_acknowledgement(tmp_path: Path) -> None:
    async with running(embedded.mqtt_broker(free_port(), tmp_path)) as broker:
        assert broker.port
        generator = Generator(sensor("drained", 20, "20ms"), tmp_path, broker.port)
        with watching(broker.port, "drained") as watcher:
            async with running(generator):
                await eventually(lambda: watcher.count >= 100)
                broker.send(signal.SIGSTOP)
                await generator.counts("unacknowledged", 200)
                generator.send(signal.SIGTERM)
                broker.send(signal.SIGCONT)
                assert await generator.wait() == 0
            end = generator.said("Generator stopped")
            await eventually(lambda: watcher.count >= end["published"])
            check(generator, watcher)


async def test_a_restart_of_the_broker_loses_nothing(tmp_path: Path) -> None:
    extra = PERSISTENT.format(folder=tmp_path)
    async with running(services.mosquitto(tmp_path, extra)) as broker:
        assert broker.port
        generator = Generator(sensor("restarted", 20, "20ms"), tmp_path, broker.port)
        with watching(broker.port, "restarted") as watcher:
            async with running(generator):
                await eventually(lambda: watcher.count >= 500)
                await broker.stop()
                await generator.counts("unacknowledged", 1000)
                assert (await generator.get("/readyz"))[0] == 503
                await broker.start()
                before = watcher.count
                await eventually(lambda: watcher.count >= before + 3000)
                assert await generator.stop() == 0
            end = generator.said("Generator stopped")
            topics = list(watcher.readings)
            await eventually(
                lambda: sum(len(watcher.distinct(t)) for t in topics) >= end["published"]
            )
            check(generator, watcher)


async def test_with_a_full_buffer_readings_are_given_up_but_no_number(tmp_path: Path) -> None:
    made = sensor("full", count=1, interval="10ms")
    async with running(embedded.mqtt_broker(free_port(), tmp_path)) as broker:
        assert broker.port
        generator = Generator(made, tmp_path, broker.port, BUFFER="120", GIVE_UP_AFTER="200ms")
        with watching(broker.port, "full") as watcher:
            broker.send(signal.SIGSTOP)
            async with running(generator):
                counted = await generator.counts("given_up", 100)
                assert counted["published"] == counted["unacknowledged"] == 120
                assert (await generator.get("/readyz"))[0] == 503
                broker.send(signal.SIGCONT)
                await eventually(lambda: watcher.count >= 600)
                assert await generator.stop() == 0
            end = generator.said("Generator stopped")
            await eventually(lambda: watcher.count >= end["published"])
    start = generator.said("Generator started")["first_reading_ms"]
    assert end["acknowledged"] == end["published"]
    for measurement in made.spec.measurements:
        series = Series(made, measurement)
        found = watcher.distinct(f"sensor_readings/full/{measurement.name}")
        ticks = [(reading.ts - start) // 10 for reading in found]
        assert [reading.seq for reading in found] == list(range(1, len(found) + 1))
        assert [reading.val for reading in found] == [series.at(tick)[0] for tick in ticks]
        assert ticks == sorted(set(ticks))
        assert 3 * (ticks[-1] + 1 - len(ticks)) <= end["given_up"]


async def test_what_the_broker_never_acknowledges_is_given_up_at_the_end(tmp_path: Path) -> None:
    made = sensor("alone", count=5, interval="50ms")
    generator = Generator(made, tmp_path, free_port(), DRAIN="50ms")
    async with running(generator):
        await generator.counts("published", 100)
        assert await generator.stop() == 0
    end = generator.said("Generator stopped")
    assert end["published"] == end["given_up"] >= 100
    assert end["acknowledged"] == 0


async def test_all_wrong_settings_are_named_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    manifest = sensor("wrong", 1, "1s").to_manifest()
    manifest["spec"]["interval"] = "1x"
    path.write_text(json.dumps(manifest))
    argv = [sys.executable, "-m", "sensorpipe_generator"]
    environ = {
        "SENSORPIPE_SENSOR": str(path),
        "SENSORPIPE_MQTT_URL": "http://127.0.0.1",
        "SENSORPIPE_BUFFER": "many",
    }
    generator = Child("generator", argv, tmp_path / "wrong.log", environ=environ)
    await generator.start()
    assert await generator.wait() == 1
    said = generator.tail()
    assert "SENSORPIPE_SENSOR: " in said
    assert "spec.interval: must be between 10ms and 1h; got '1x'" in said
    assert "SENSORPIPE_MQTT_URL: must be mqtt://HOST:PORT" in said
    assert "SENSORPIPE_BUFFER: must be a whole number" in said
