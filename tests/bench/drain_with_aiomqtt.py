"""What was first named for the compactor: aiomqtt (asyncio-mqtt until 2023), as it is meant to
be used. It acknowledges a message before the program has seen it.
"""

import asyncio
import os
from collections import defaultdict
from urllib.parse import urlsplit

import aiomqtt
from aiokafka import AIOKafkaProducer
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sensorpipe_runtime.service import tune_garbage_collection
from sensorpipe_schema import partial, reading
from sensorpipe_schema.intervals import IntervalSet
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import COMPACTED, split_topic
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch

WINDOW_MS = 10_000
LATENESS_MS = 2000


class Gathered:
    """One sensor's readings of one window."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.sources: dict[str, IntervalSet] = defaultdict(IntervalSet)

    def add(self, taken: reading.Reading) -> None:
        """Add a reading that was not here yet."""
        if taken.src is None or self.sources[taken.src].add(taken.seq):
            self.values.append(taken.val)

    def summary(self) -> Summary:
        """Return what goes to Kafka."""
        sources = {src: list(held) for src, held in self.sources.items()}
        return Summary(Moments.of(self.values), Sketch.of(self.values), sources)


class Windows:
    """The open windows of all facilities."""

    def __init__(self) -> None:
        self._open: dict[str, dict[int, dict[str, Gathered]]] = defaultdict(dict)
        self._made = 0

    def add(self, facility: str, sensor: str, taken: reading.Reading) -> list[Partial]:
        """Add a reading; return what it closes."""
        windows = self._open[facility]
        start = taken.ts - taken.ts % WINDOW_MS
        sensors = windows.setdefault(start, defaultdict(Gathered))
        sensors[sensor].add(taken)
        if len(windows) == 1:
            return []
        passed = taken.ts - WINDOW_MS - LATENESS_MS
        return [self._close(facility, old) for old in sorted(windows) if old <= passed]

    def _close(self, facility: str, start: int) -> Partial:
        self._made += 1
        sensors = self._open[facility].pop(start)
        summaries = {name: gathered.summary() for name, gathered in sensors.items()}
        origin = Origin("aiomqtt", 1, self._made)
        return Partial(facility, start, start + WINDOW_MS, origin, summaries)


async def main() -> None:
    """Drain until the end."""
    broker = urlsplit(os.environ["SENSORPIPE_MQTT_URL"])
    session = Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = 3600
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["SENSORPIPE_KAFKA_BOOTSTRAP"], acks="all"
    )
    client = aiomqtt.Client(
        broker.hostname or "",
        broker.port or 1883,
        identifier=os.environ["SENSORPIPE_MQTT_CLIENT_ID"],
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=session,
        # the SUBACK comes behind the whole backlog, which takes longer than the default of 10 s
        timeout=120,
    )
    windows = Windows()
    async with producer, client:
        await client.subscribe("sensor_readings/#", qos=1)
        async for message in client.messages:
            facility, sensor = split_topic(message.topic.value)
            taken = reading.decode_fast(message.payload)
            for closed in windows.add(facility, sensor, taken):
                await producer.send(COMPACTED, partial.encode(closed), facility.encode())


tune_garbage_collection()
asyncio.run(main())
