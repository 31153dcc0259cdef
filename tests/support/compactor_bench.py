"""A compactor between a Kafka and a connection that only remember what they were given."""

import asyncio
import time

import mqtt5
from sensorpipe_compactor.compactor import Compactor
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.settings import Settings
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin
from sensorpipe_schema.reading import Reading, encode
from support.partials import decode


class Kafka(Journal):
    """Holds what is appended; `there` says whether appends come to an end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.kafka, settings.name)
        self.run = 7
        self.records: list[Record] = []
        self.there = asyncio.Event()
        self.there.set()
        self.takes_dead = True
        self.takes_bytes = self.max_bytes
        self.tells_bytes: int | None = None
        """The topic's limit as it is told, where it is."""
        self.asked = 0

    async def append(self, records: list[Record]) -> set[int]:
        await self.there.wait()
        refused = {place for place, r in enumerate(records) if r.size > self.takes_bytes}
        self.records += [r for place, r in enumerate(records) if place not in refused]
        if refused:
            self._limit.max_bytes = self.takes_bytes
        return refused

    async def look_again_at_limit(self) -> None:
        self.asked += 1
        self._limit.max_bytes = max(self._limit.max_bytes, self.tells_bytes or 0)

    async def write_dead_letters(self, letters: list[Record]) -> bool:
        await self.there.wait()
        if self.takes_dead:
            self.records += letters
        return self.takes_dead

    def origins(self) -> list[Origin]:
        values = [record.value for record in self.records if record.topic == COMPACTED]
        return [decode(value).origin for value in values]


class Connected:
    """Stands for the connection: writes down what is acknowledged, and whether we read."""

    def __init__(self) -> None:
        self.pubacks = b""
        self.gathers = False
        self._paused = False

    def is_paused(self) -> bool:
        return self._paused

    def write(self, data: bytes) -> None:
        self.pubacks += data

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    async def close(self) -> None:
        """Nothing to close."""


class Bench:
    """A compactor between the two."""

    def __init__(self) -> None:
        settings = Settings.read({})
        self.kafka = Kafka(settings)
        self.compactor = Compactor(settings, self.kafka)
        self.now_ms = time.time_ns() // 1_000_000
        """Unix time in milliseconds of all readings: no window ends between two of them."""
        self.connect()

    def connect(self) -> None:
        subscriber = self.compactor.subscriber
        subscriber._lost()
        self.connection = Connected()
        subscriber._connection = self.connection  # type: ignore[assignment]
        self.compactor.on_connected(session_present=True)

    def deliver(self, *seqs: int, ago_ms: int = 0, facility: str = "f") -> None:
        ts = self.now_ms - ago_ms
        self.give([publish(f"sensor_readings/{facility}/s", ts, seq) for seq in seqs])

    def give(self, messages: list[Message]) -> None:
        self.compactor.subscriber._deliver(messages)

    @property
    def acknowledged(self) -> int:
        return len(self.connection.pubacks) // 4

    async def flush(self, *, everything: bool = False) -> None:
        await self.compactor.flush(everything=everything)


def publish(topic: str, ts: int, seq: int, packet_id: int | None = 1) -> Message:
    payload = encode(Reading(ts, 1.5, "a", seq))
    qos = mqtt5.QoS.AT_LEAST_ONCE if packet_id else mqtt5.QoS.AT_MOST_ONCE
    return mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet_id)


BAD: Message = mqtt5.PublishPacket("t", b"{", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=9)
