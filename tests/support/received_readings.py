"""What a broker was told, by who said it: every `seq` of every `src`."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.subscriber import Subscriber
from sensorpipe_schema.names import READINGS_FILTER
from sensorpipe_schema.reading import Reading
from support.waiting import eventually


class Received:
    """Collects readings, and acknowledges them."""

    def __init__(self) -> None:
        self.readings: dict[str, dict[str, list[Reading]]] = defaultdict(lambda: defaultdict(list))
        self.link: Subscriber | None = None
        self.connected = False

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        for message in messages:
            reading = msgspec.json.decode(message.payload, type=Reading)
            self.readings[message.topic][reading.src or ""].append(reading)
        assert self.link
        self.link.acknowledge(before + len(messages))

    def on_connected(self, *, session_present: bool) -> None:
        del session_present
        self.connected = True

    def of(self, facility: str) -> dict[str, list[Reading]]:
        """Return a facility's readings of its one topic, by who sent them."""
        found = [held for topic, held in self.readings.items() if topic.split("/")[1] == facility]
        return dict(found[0]) if found else {}

    def faults(self, facility: str) -> list[str]:
        """Return what is lost or duplicate."""
        found = []
        for src, readings in self.of(facility).items():
            seqs = [reading.seq or 0 for reading in readings]
            if seqs != list(range(1, len(seqs) + 1)):
                counted = Counter(seqs)
                lost = set(range(1, max(seqs) + 1)) - set(seqs)
                found.append(
                    f"{src}: lost {lost}, duplicates {[s for s in counted if counted[s] > 1]}"
                )
        return found


@asynccontextmanager
async def receiving(port: int, name: str) -> AsyncIterator[Received]:
    """Hear everything that a broker is told, from now on."""
    received = Received()
    received.link = Subscriber(Endpoint("127.0.0.1", port), name, [READINGS_FILTER], received)
    task = asyncio.create_task(received.link.run(), name="receiving")
    try:
        await eventually(lambda: received.connected)
        yield received
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
