"""The compactor as a process on brokers of a test's own, and a source that publishes to it."""

import asyncio
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_schema.reading import Reading, encode
from support.compactor_parts import counted, kafka_settings, written
from support.services import running
from support.waiting import eventually


class Process(Child):
    """`sensorpipe-compactor` under a name, with topics of its own."""

    def __init__(
        self,
        folder: Path,
        name: str,
        mqtt: int | None,
        kafka: int | None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.client_id = name
        environ = {
            "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{mqtt}",
            "SENSORPIPE_MQTT_CLIENT_ID": name,
            "SENSORPIPE_MQTT_TOPIC": f"sensor_readings/{name}/#",
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka}",
            "SENSORPIPE_HTTP": f"127.0.0.1:{(port := free_port())}",
            **(environ or {}),
        }
        argv = [sys.executable, "-m", "sensorpipe_compactor"]
        number = len(list(folder.glob("*.log")))
        log = folder / f"{name}-{number}.log"
        super().__init__("compactor", argv, log, environ=environ, port=port)

    async def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page."""

        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        return await asyncio.to_thread(ask)

    async def is_ready(self) -> None:
        async def answers() -> bool:
            assert self.returncode is None, self.exit_report()
            return (await self.get("/readyz"))[0] == 200

        await eventually(answers, state=self.tail)

    async def metrics(self) -> dict[str, float]:
        """Return the compactor's metrics by their short names."""
        _, text = await self.get("/metrics")
        prefix = "sensorpipe_compactor_"
        lines = [line.split() for line in text.splitlines() if line.startswith(prefix)]
        return {n.removeprefix(prefix).removesuffix("_total"): float(v) for n, v in lines}

    async def reaches(self, metric: str, value: float) -> None:
        found: dict[str, float] = {}

        async def reached() -> bool:
            found.update(await self.metrics())
            return found[metric] >= value

        await eventually(reached, state=lambda: f"{metric} is {found.get(metric)}")


@asynccontextmanager
async def started(process: Process) -> AsyncIterator[Process]:
    async with running(process):
        yield process


@asynccontextmanager
async def ready(process: Process) -> AsyncIterator[Process]:
    async with started(process):
        await process.is_ready()
        yield process


class Source:
    """Publishes numbered readings of one source, and remembers how many."""

    def __init__(self, port: int | None, name: str) -> None:
        assert port
        self.publisher = Publisher(
            Endpoint("127.0.0.1", port), f"source-of-{name}", capacity=100_000
        )
        self.name = name
        self.sent = 0

    def publish(self, count: int) -> None:
        """Queue readings of now, in three windows of the last half minute."""
        now = time.time_ns() // 1_000_000
        payloads = []
        for seq in range(self.sent + 1, self.sent + count + 1):
            ago = 10_000 * (seq % 3)
            payloads.append(encode(Reading(now - ago, float(seq), "a", seq)))
        self.publisher.publish(f"sensor_readings/{self.name}/s", payloads)
        self.sent += count

    def anonymous(self, count: int) -> list[bytes]:
        """Return readings of now without `src` and `seq`."""
        now = time.time_ns() // 1_000_000
        return [encode(Reading(now, 1.0)) for _ in range(count)]

    async def drained(self) -> None:
        await asyncio.wait_for(self.publisher.drained(), 120)

    def expected(self) -> dict[tuple[str, str, int], int]:
        return {("s", "a", seq): 1 for seq in range(1, self.sent + 1)}


@asynccontextmanager
async def source(port: int | None, name: str) -> AsyncIterator[Source]:
    one = Source(port, name)
    run = asyncio.create_task(one.publisher.run())
    try:
        yield one
    finally:
        await one.publisher.close()
        await run


async def counts(kafka: Child, name: str) -> dict[tuple[str, str, int], int]:
    return counted(await written(kafka_settings(kafka), name))


async def eventually_counts(
    kafka: Child, name: str, expected: dict[tuple[str, str, int], int]
) -> None:
    """Return once each reading counts as often as is expected."""
    found: dict[tuple[str, str, int], int] = {}

    async def are_expected() -> bool:
        nonlocal found
        found = await counts(kafka, name)
        return found == expected

    def differences() -> str:
        keys = sorted(found.keys() | expected.keys())
        wrong = [key for key in keys if found.get(key, 0) != expected.get(key, 0)]
        return f"{len(wrong)} of {len(keys)} readings count otherwise, first {wrong[:9]}"

    await eventually(are_expected, state=differences)
