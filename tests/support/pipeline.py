"""The whole pipeline on loopback, of real parts, with everything a test may do to it."""

import json
import os
import signal
import statistics
import sys
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.signal import Series
from sensorpipe_schema.sensor import Sensor
from support import services
from support.waiting import eventually, in_thread

WINDOW_MS = 10_000


class Pipeline:
    """Broker, Kafka, MongoDB, compactor and server as children; generators on demand."""

    def __init__(self, folder: Path, mqtt: Child, kafka: Child, feeds: Path | None = None) -> None:
        self.folder = folder
        self.mqtt = mqtt
        self.kafka = kafka
        self.mongodb = embedded.mongod(free_port(), folder)
        more = {} if feeds is None else {"SENSORPIPE_FEEDS": str(feeds)}
        self.compactor = self._program("compactor", free_port(), **more)
        self.server = self._program("server", free_port(), **own_monitoring())
        self.sensors: dict[str, Sensor] = {}
        self.generators: dict[str, Child] = {}

    def _program(self, name: str, port: int, log: str | None = None, **extra: str) -> Child:
        where = addresses(self.mqtt.port, self.kafka.port, self.mongodb.port, port)
        environ = os.environ | where | extra
        argv = [sys.executable, "-m", f"sensorpipe_{name}"]
        path = self.folder / f"{log or name}.log"
        return Child(log or name, argv, path, environ=environ, port=port)

    async def start(self) -> None:
        """Start everything but generators, and wait until it is ready."""
        for child in (self.mqtt, self.kafka, self.mongodb):
            await child.start()
        for child in (self.mqtt, self.kafka, self.mongodb):
            await child.listening()
        for child in (self.server, self.compactor):
            await child.start()
        for child in (self.server, self.compactor):
            await self.ready(child)

    async def stop(self) -> None:
        """Stop everything that still runs."""
        for child in self._all():
            child.send(signal.SIGCONT)
            await child.stop()

    def _all(self) -> Iterable[Child]:
        programs = [*self.generators.values(), self.compactor, self.server]
        return [*programs, self.mqtt, self.kafka, self.mongodb]

    async def ready(self, child: Child) -> None:
        """Wait until a program says that it is ready."""
        await until_ready(child)

    async def restart(self, child: Child) -> None:
        """End a child with SIGTERM and start it again."""
        await child.stop(60)
        await child.start()

    async def kill(self, child: Child) -> None:
        """End a child with SIGKILL and start it again."""
        child.send(signal.SIGKILL)
        await child.wait()
        await child.start()

    async def generate(self, manifest: dict[str, Any]) -> Child:
        """Run a generator for a Sensor."""
        name = manifest["metadata"]["name"]
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(manifest))
        child = self._program(
            "generator", free_port(), f"generator-{name}", SENSORPIPE_SENSOR=str(path)
        )
        self.sensors[name] = Sensor.parse(manifest)
        self.generators[name] = child
        await child.start()
        return child

    async def finish_generators(self) -> None:
        """Stop all generators; each has drained and exited with 0."""
        for child in self.generators.values():
            child.send(signal.SIGTERM)
        for child in self.generators.values():
            assert await child.wait() == 0, child.exit_report()

    def said(self, child: Child, message: str) -> dict[str, Any]:
        """Return the log line of a child that carries this message."""
        for line in child.log.read_text().splitlines():
            if message in line:
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError(f"{child.name} never said {message!r}:\n{child.tail()}")

    def api(self, path: str) -> Any:
        """Return the server's answer."""
        return ask(f"http://127.0.0.1:{self.server.port}{path}")

    def integrity(self) -> dict[str, Any]:
        """Return the server's own audit."""
        found: dict[str, Any] = self.api("/api/integrity")
        return found

    def windows(self, facility: str) -> list[dict[str, Any]]:
        """Return all of a facility's windows from the API, by cursor."""
        return windows(f"http://127.0.0.1:{self.server.port}", facility)

    async def stored(self, count: int) -> dict[str, Any]:
        """Wait until the server has stored at least so many readings; return its audit."""
        audit: dict[str, Any] = {}

        def enough() -> bool:
            if not is_ready(self.server):
                return False
            audit.update(self.integrity())
            return bool(audit["totals"]["count"] >= count)

        await eventually(in_thread(enough), state=lambda: str(audit.get("totals")), seconds=240)
        return audit


def own_monitoring() -> dict[str, str]:
    """Return the setting of the server, whose metrics and health have a port of their own."""
    return {"SENSORPIPE_MONITORING": f"127.0.0.1:{free_port()}"}


def monitoring_url(child: Child) -> str:
    """Return the address of a program's metrics and health, without a slash at the end."""
    of_their_own = (child._environ or {})["SENSORPIPE_MONITORING"].rpartition(":")[2]
    return f"http://127.0.0.1:{child.port if of_their_own == '0' else of_their_own}"


async def until_ready(child: Child) -> None:
    """Wait until a program says that it is ready; raise AssertionError if it ends before."""
    await eventually(in_thread(lambda: is_ready(child)), state=child.tail)


def is_ready(child: Child) -> bool:
    """Return whether a program says that it is ready; raise AssertionError if it has ended."""
    if child.returncode is not None:
        raise AssertionError(child.exit_report())
    return ask_status(f"{monitoring_url(child)}/readyz") == 200


def addresses(
    mqtt: int | None, kafka: int | None, mongodb: int | None, http: int
) -> dict[str, str]:
    """Return the settings that lead a program to services on loopback, by their ports."""
    return {
        "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{mqtt}",
        "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka}",
        "SENSORPIPE_MONGODB_URI": f"mongodb://127.0.0.1:{mongodb}/sensorpipe",
        "SENSORPIPE_HTTP": f"127.0.0.1:{http}",
        "SENSORPIPE_MONITORING": "127.0.0.1:0",
    }


@asynccontextmanager
async def pipeline(
    folder: Path,
    mqtt: Child | None = None,
    kafka: Child | None = None,
    *,
    feeds: Path | None = None,
) -> AsyncIterator[Pipeline]:
    """Run a pipeline, by default on Mosquitto and Kafka 4.3.1; both may be of the caller's.

    `feeds` is a folder with Feed files.
    """
    parts = Pipeline(
        folder,
        mqtt or services.mosquitto(folder / "mosquitto"),
        kafka or services.kafka(folder / "kafka"),
        feeds,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(parts.stop)
        await parts.start()
        yield parts


def sensor(name: str, facility: str, count: int, seed: int) -> dict[str, Any]:
    """Return a Sensor of three measurements a second for each device."""
    signals = {
        "humidity": {"normal": {"mean": 50.0, "stdev": 2.5}},
        "pressure": {"randomWalk": {"start": 1013.0, "step": 0.5}},
        "temperature": {"sine": {"mean": 20.0, "amplitude": 5.0, "period": "60s"}},
    }
    return {
        "apiVersion": "sensorpipe.dev/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": name},
        "spec": {
            "facility": facility,
            "count": count,
            "interval": "1s",
            "seed": seed,
            "measurements": [{"name": key, "signal": value} for key, value in signals.items()],
        },
    }


def expected_windows(one: Sensor, start_ms: int, published: int) -> dict[int, dict[str, Any]]:
    """Return what each window of a Sensor's run must hold, from its seed alone.

    `published` counts all measurements; each has the same number of readings.
    """
    spec = one.spec
    schedule = Schedule(start_ms, spec.interval_ms, spec.count)
    slots = published // len(spec.measurements)
    windows: dict[int, dict[str, Any]] = defaultdict(dict)
    for measurement in spec.measurements:
        values: dict[int, list[float]] = defaultdict(list)
        series, tick, row = Series(one, measurement), -1, []
        for slot in range(slots):
            if slot // spec.count != tick:
                tick = slot // spec.count
                row = series.at(tick).tolist()
            ts = schedule.time_of(slot)
            values[ts - ts % WINDOW_MS].append(row[slot % spec.count])
        for start, held in values.items():
            windows[start][measurement.name] = summary(held)
    return dict(windows)


def summary(values: list[float]) -> dict[str, float]:
    """Reduce values the plain way."""
    return {
        "count": len(values),
        "avg": statistics.fmean(values),
        "min": min(values),
        "max": max(values),
        "stdev": statistics.stdev(values) if len(values) > 1 else 0.0,
    }


def windows(server: str, facility: str) -> list[dict[str, Any]]:
    """Return all windows of a facility that the server at an address has, by cursor."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = ask(f"{server}/api/sensors/{facility}?limit=20&cursor={cursor}")
        found += page["data"]
        cursor = page["pagination"].get("next")
    return found


def ask(url: str) -> Any:
    """Return the JSON at a URL."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def ask_status(url: str) -> int:
    """Return a URL's status; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0
