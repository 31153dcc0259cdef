"""Several compactors with topics of their own, and publishers that repeat themselves."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Self

from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_schema.names import reading_topic
from sensorpipe_schema.reading import Reading, encode
from support.compactor_parts import kafka_settings
from support.former_runs import write_former_runs
from support.pipeline import Pipeline, until_ready
from support.pipeline_parts import Value, metrics
from support.waiting import eventually, in_thread

SENSOR = "level"
_BEAT = 0.05
"""Seconds between two readings of a facility."""
_REPEATED = 0.3
"""Share of the beats at which a facility sends some of its earlier readings again."""


def topics(*facilities: str) -> str:
    """Return the setting for the topics of facilities."""
    return ",".join(f"sensor_readings/{each}/#" for each in facilities)


class Shard:
    """A compactor with a name, a session and topics of its own, which may change."""

    def __init__(self, parts: Pipeline, name: str, filters: str, broker: Child) -> None:
        self.name = name
        self.child: Child
        self._parts = parts
        self._own = {
            "SENSORPIPE_COMPACTOR_NAME": name,
            "SENSORPIPE_MQTT_CLIENT_ID": f"session of {name}",
            "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{broker.port}",
            "SENSORPIPE_MQTT_TOPIC": filters,
        }
        self.child = self._made()

    def _made(self) -> Child:
        return self._parts._program("compactor", free_port(), f"compactor-{self.name}", **self._own)

    @property
    def filters(self) -> list[str]:
        """Its topics, as filters."""
        return self._own["SENSORPIPE_MQTT_TOPIC"].split(",")

    async def start(self) -> None:
        """Start, and wait until it receives readings."""
        await self.child.start()
        await until_ready(self.child)

    async def change(self, settings: Mapping[str, str]) -> None:
        """Start again with other settings, as an upgrade does; return once it receives readings."""
        assert await self.child.stop(60) == 0, self.child.exit_report()
        self._own |= settings
        former, self.child = self.child, self._made()
        if self._parts.compactor is former:
            self._parts.compactor = self.child
        await self.start()

    async def is_certain(self) -> None:
        """Wait until it writes readings that are not itemized."""

        def writes_certain() -> bool:
            found = metrics(self.child)
            return found.get("readings", 0) > found.get("itemized", 0)

        await eventually(
            in_thread(writes_certain),
            state=lambda: f"{self.name}: {metrics(self.child)}",
            seconds=300,
        )

    async def drained(self) -> None:
        """Wait until it holds no reading any more."""
        await eventually(
            in_thread(lambda: metrics(self.child).get("held") == 0),
            state=lambda: f"{self.name}: {metrics(self.child)}",
        )


async def kill(parts: Pipeline, *shards: Shard) -> None:
    """End compactors by SIGKILL, all at once, and start them again; return once they are ready."""
    await asyncio.gather(*(parts.kill(shard.child) for shard in shards))
    await asyncio.gather(*(until_ready(shard.child) for shard in shards))


@asynccontextmanager
async def running_with(parts: Pipeline, *made: Shard) -> AsyncIterator[None]:
    """Run a pipeline whose compactors are these.

    Kafka tells each all that it ever wrote, as after a long time. Otherwise they would itemize
    everything for two minutes.
    """
    parts.compactor = made[0].child
    services = (parts.mqtt, parts.kafka, parts.mongodb)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(parts.stop)
        for child in services:
            await child.start()
        for child in services:
            await child.listening()
        settings = kafka_settings(parts.kafka)
        await write_former_runs(settings, {shard.name: shard.filters for shard in made})
        await parts.server.start()
        for shard in made:
            stack.push_async_callback(_stopped, shard)
            await shard.start()
        await until_ready(parts.server)
        yield


async def _stopped(shard: Shard) -> None:
    await shard.child.stop()


class Facility:
    """One publisher of a facility, whose readings are numbered."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.sent: list[Value] = []
        self._src = f"run of {name}"
        self._chance = chance

    def beat(self, publishers: Iterable[Publisher]) -> None:
        """Send a reading of now, and sometimes earlier ones again, to each of the publishers."""
        now, seq = time.time_ns() // 1_000_000, len(self.sent) + 1
        self.sent.append(Value(SENSOR, now, self._chance.gauss(20, 4)))
        seqs = [seq]
        if self._chance.random() < _REPEATED:
            first = self._chance.randint(max(1, seq - 400), seq)
            seqs = [*range(first, min(first + 20, seq)), *seqs]
        for publisher in publishers:
            publisher.publish(
                reading_topic(self.name, SENSOR), [self._payload(seq) for seq in seqs]
            )

    def again(self, publisher: Publisher) -> None:
        """Send all that was ever sent once more."""
        seqs = range(1, len(self.sent) + 1)
        publisher.publish(reading_topic(self.name, SENSOR), [self._payload(seq) for seq in seqs])

    def _payload(self, seq: int) -> bytes:
        value = self.sent[seq - 1]
        return encode(Reading(value.ts, value.val, self._src, seq))


class Load:
    """Facilities that publish in the background, each to one or several brokers."""

    def __init__(self, names: Iterable[str], seed: int) -> None:
        self.facilities = {name: Facility(name, random.Random(f"{seed} {name}")) for name in names}
        self._targets: dict[str, list[Publisher]] = {}
        self._publishers: list[Publisher] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """Number of readings, each counted once."""
        return sum(len(each.sent) for each in self.facilities.values())

    def send_to(self, name: str, *publishers: Publisher) -> None:
        """Have a facility publish to these from now on."""
        self._targets[name] = list(publishers)
        self._publishers += [one for one in publishers if one not in self._publishers]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="load")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def grows(self, by: int) -> None:
        """Wait until each facility has sent so many further readings."""
        wanted = {name: len(each.sent) + by for name, each in self.facilities.items()}
        await eventually(
            lambda: all(len(self.facilities[name].sent) >= wanted[name] for name in wanted)
        )

    async def end(self) -> None:
        """Stop, send everything once more, and wait until brokers have acknowledged all."""
        await self.__aexit__()
        for name, facility in self.facilities.items():
            for publisher in self._targets[name]:
                facility.again(publisher)
        for publisher in self._publishers:
            await asyncio.wait_for(publisher.drained(), 120)

    async def _run(self) -> None:
        while True:
            for name, facility in self.facilities.items():
                facility.beat(self._targets[name])
            await asyncio.sleep(_BEAT)
