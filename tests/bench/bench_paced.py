"""A publisher at a steady rate: `bench_paced.py PORT SECONDS FACILITIES SENSORS RATE STEP_MS`.

QoS 1, over the topics in turn, one source for each topic. Packets are made beforehand, but for the
time of sending. It prints a line when it begins, and what it has sent at its end.
"""

import asyncio
import gc
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from bench_wire import RawClient, packets
from sensorpipe_schema.names import reading_topic
from sensorpipe_schema.reading import Reading, encode

_SENSORS: Final = (("temperature", 20.0), ("humidity", 50.0), ("pressure", 1013.0))
_PLACE: Final = 1_000_000_000_000
"""Time in milliseconds that stands in packets for that of sending, which has as many digits."""


class Pace(NamedTuple):
    """What is published."""

    facilities: int
    sensors: int = 1
    rate: int = 10_000
    """Readings a second."""
    step_ms: int = 1
    """Milliseconds between two writes: what is due is sent together."""

    @property
    def topics(self) -> int:
        """How many topics there are, each with one source."""
        return self.facilities * self.sensors

    @property
    def round_seconds(self) -> float:
        """Seconds in which each source sends one reading."""
        return self.topics / self.rate


class Sent(NamedTuple):
    """What a publisher says at its end."""

    acknowledged: int
    """Readings that the broker has."""
    seconds: float
    late_ms: float
    """Most milliseconds by which a write was late."""
    cpu: float
    """CPU seconds of the publisher, without what it made beforehand."""


@asynccontextmanager
async def publishing(port: int, seconds: float, pace: Pace) -> AsyncIterator[asyncio.Future[Sent]]:
    """Publish from a process of its own, which has begun; yield what it will say at its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, *map(str, (port, seconds, *pace))),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        if not await process.stdout.readline():
            raise RuntimeError("the publisher ended before it began")
        sent = asyncio.ensure_future(_sent(process.stdout))
        yield sent
        await sent
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _sent(output: asyncio.StreamReader) -> Sent:
    return Sent(*json.loads(await output.readline()))


def _payloads(pace: Pace, total: int) -> Iterator[tuple[int, bytes]]:
    """Yield (index of topic, payload) in the order of sending."""
    run = secrets.token_hex(6)
    for number in range(total):
        turn, topic = divmod(number, pace.topics)
        facility, sensor = divmod(topic, pace.sensors)
        value = _SENSORS[sensor][1] * (1 + (number * 7919 % 1000 - 500) / 5000)
        yield topic, encode(Reading(_PLACE, value, f"device-{facility}-{sensor}-{run}", turn + 1))


def _topics(pace: Pace) -> list[str]:
    return [
        reading_topic(f"facility_{number}", sensor)
        for number in range(pace.facilities)
        for sensor, _ in _SENSORS[: pace.sensors]
    ]


def _publish(port: int, seconds: float, pace: Pace) -> None:
    client = RawClient(port, f"bench-paced-{secrets.token_hex(4)}", clean=True)
    at_once = pace.rate * pace.step_ms // 1000
    payloads = _payloads(pace, int(seconds * pace.rate))
    chunks = packets(_topics(pace), payloads, client.window, at_once)
    gc.collect()
    gc.freeze()
    print("begins", flush=True)
    began, used, late, total = time.monotonic(), time.process_time(), 0.0, 0
    for number, (data, size) in enumerate(chunks):
        left = began + number * pace.step_ms / 1000 - time.monotonic()
        if left > 0:
            time.sleep(left)
        late = max(late, -left)
        now_ms = time.time_ns() // 1_000_000
        client.send(data.replace(b"%d" % _PLACE, b"%d" % now_ms), size)
        total += size
    client.settle()
    took, used = time.monotonic() - began, time.process_time() - used
    client.close()
    print(json.dumps([total, took, late * 1000, used]), flush=True)


if __name__ == "__main__":
    _publish(int(sys.argv[1]), float(sys.argv[2]), Pace(*map(int, sys.argv[3:])))
