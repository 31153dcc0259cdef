"""Part j: foreign messages from Mosquitto into Kafka by Feeds, and what Feeds cost readings."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import bench_devices
import mqtt5
from bench_devices import Kind
from bench_drain import COMPACTOR, CONTENDERS, LIMIT, NATIVE, READINGS, REPEATS, Load, drain
from bench_result import Aim, Figure, Part
from bench_workload import TOPICS, payloads
from sensorpipe_cli.runner.child import Child
from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.feeds.folder import FeedFolder
from sensorpipe_compactor.feeds.intake import FeedIntake
from sensorpipe_compactor.windows import Windows
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.feed.decoder import FeedDecoder
from support import services
from support.services import running

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "300000"))
ROUNDS: Final = 100
"""Rounds of what is measured within one process; the best one counts."""

_BEHIND: Final = 65_536
_AT_ONCE: Final = 1_000
_BATCH: Final = 250
_IN_PROCESS: Final = 50_000

ZIGBEE: Final = "Zigbee2MQTT, 136 B, 4 readings"
LORA: Final = "ChirpStack, 509 B, 3 readings and the time"

DRAINED: Final = {
    ZIGBEE: bench_devices.ZIGBEE,
    f"{ZIGBEE}, identity: time": bench_devices.ZIGBEE_TIME,
    LORA: bench_devices.LORA,
    f"{LORA}, identity: {{src, seq}}": bench_devices.LORA_COUNTED,
}
LIMITS: Final = {
    f"136 B, {LIMIT.removeprefix('the same link, ')}": bench_devices.ZIGBEE,
    f"509 B, {LIMIT.removeprefix('the same link, ')}": bench_devices.LORA,
}
MAPPED: Final = DRAINED | {
    "Zigbee2MQTT by the shipped Feed": bench_devices.ZIGBEE_SHIPPED,
    "ChirpStack by the shipped Feed (numbers)": bench_devices.LORA_SHIPPED,
    "a bare number": bench_devices.NUMBER,
    "an influx line, 2 readings and the time": bench_devices.LINE,
    "an influx line by the shipped Feed (numbers)": bench_devices.LINE_SHIPPED,
}

READINGS_IN: Final = dict(zip(MAPPED, (4, 4, 3, 3, 4, 3, 1, 2, 2), strict=True))
"""How many readings a message of each kind gives."""

WITHOUT: Final = "readings without Feeds"
BESIDE: Final = "readings beside 14 Feeds"


async def run(folder: Path) -> list[Part]:
    """Measure mapping alone, then everything through Mosquitto into Kafka."""
    mapping, cost = _mapping(), _cost(folder)
    foreign = Part(
        "j. Feeds: foreign messages from MQTT to Kafka",
        f"{MESSAGES:,} queued QoS 1 messages of {bench_devices.DEVICES} devices in a persistent "
        "session; from the first byte that\nMosquitto sends to the PUBACK of the last of them. "
        f"{_BEHIND:,} others behind them make the compactor flush\nthem, so no wall clock is "
        "waited for. CPU of the compactor a message, all of them included.",
    )
    native = Part(
        "j. Feeds: what they cost readings, from MQTT to Kafka",
        f"{READINGS:,} queued readings, as in part a, without Feeds and beside 14, in turn.",
        limit=WITHOUT,
    )
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running(services.mosquitto(folder / "mqtt")))
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        bench = _Bench(broker, kafka, folder)
        for turn in range(REPEATS):
            await bench.readings(native)
            await bench.messages(foreign, turn)
    foreign.aims = [Aim(f"a second: {name}", foreign.row(name).rate, 100_000) for name in DRAINED]
    native.figures = [Figure("CPU of a reading more", _more(native), "µs")]
    return [mapping, cost, native, foreign]


class _Bench:
    def __init__(self, broker: Child, kafka: Child, folder: Path) -> None:
        self._broker, self._kafka, self._folder = broker, kafka, folder

    async def readings(self, part: Part) -> None:
        """Drain readings without Feeds and beside some."""
        beside = NATIVE._replace(environ={"SENSORPIPE_FEEDS": str(self._folder / "shipped")})
        for name, load in {WITHOUT: NATIVE, BESIDE: beside}.items():
            part.row(name).add(*await self._drained(COMPACTOR, READINGS, load))

    async def messages(self, part: Part, turn: int) -> None:
        """Drain foreign messages of each kind, and only acknowledge them."""
        for place, (name, kind) in enumerate(DRAINED.items()):
            feeds = bench_devices.write_feed(self._folder / f"feed-{turn}-{place}", kind.feed)
            taken = load(kind, _BEHIND, {"SENSORPIPE_FEEDS": str(feeds)})
            part.row(name).add(*await self._drained(COMPACTOR, MESSAGES, taken))
        for name, kind in LIMITS.items():
            part.row(name).add(*await self._drained(LIMIT, MESSAGES, load(kind, _BEHIND, {})))

    async def _drained(self, contender: str, count: int, load: Load) -> tuple[float, float]:
        """Return messages per second, and CPU µs a message."""
        command = CONTENDERS[contender].command()
        taken = await drain(command, count, self._broker, self._kafka, self._folder, load=load)
        return taken.of(count)


def _more(native: Part) -> float:
    return min(native.row(BESIDE).cpu_us) - min(native.row(WITHOUT).cpu_us)


def load(kind: Kind, behind: int, environ: dict[str, str]) -> Load:
    """Return messages of a kind with others behind them, and the settings that take them."""
    pattern = kind.feed.spec.topic.filter
    return Load(
        pattern,
        kind.topics,
        lambda count, start_ms: kind.messages(count + behind, start_ms),
        behind,
        environ,
    )


def _mapping() -> Part:
    """Measure decoders alone, in turn."""
    part = Part(
        "j. Feeds: mapping alone",
        f"CPU µs a message, decoding included: the best of {ROUNDS} rounds of {_AT_ONCE:,} "
        "different messages each, all kinds in turn.",
    )
    now_ms = time.time_ns() // 1_000_000
    tasks: dict[str, Callable[[], float]] = {}
    for name, kind in MAPPED.items():
        tasks[name] = _decoding(kind, now_ms)
    part.figures = [Figure(name, best, "µs") for name, best in _best(tasks).items()]
    values = {figure.text: figure.value for figure in part.figures}
    part.aims = [Aim(f"µs: {name}", values[name], 2, at_most=True) for name in (ZIGBEE, LORA)]
    return part


def _decoding(kind: Kind, now_ms: int) -> Callable[[], float]:
    decode, topics = FeedDecoder(kind.feed).decode, kind.topics
    messages = [(topics[at], payload) for at, payload in kind.messages(_AT_ONCE, now_ms)]

    def measure() -> float:
        began = time.process_time()
        for topic, payload in messages:
            decode(topic, payload, now_ms)
        return (time.process_time() - began) / _AT_ONCE * 1e6

    return measure


def _best(tasks: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Return what each measures at best, in turn with the others."""
    best = {name: measure() for name, measure in tasks.items()}
    for _ in range(ROUNDS):
        for name, measure in tasks.items():
            best[name] = min(best[name], measure())
    return best


def _cost(folder: Path) -> Part:
    """Measure the windows alone with readings, without Feeds and beside 14, in turn."""
    feeds = FeedFolder(bench_devices.write_shipped(folder / "shipped"))
    used = feeds.read()
    if used is None or feeds.problems:
        raise RuntimeError(f"the shipped Feeds do not fit beside each other: {feeds.problems}")
    now_ms = time.time_ns() // 1_000_000
    messages: list[Message] = [
        mqtt5.PublishPacket(TOPICS[topic], payload)
        for topic, payload in payloads(_IN_PROCESS, now_ms - 60_000)
    ]

    def taking(intake: FeedIntake | None) -> Callable[[], float]:
        return lambda: _taken(messages, intake, now_ms)

    intake = FeedIntake()
    intake.use(used)
    best = _best({WITHOUT: taking(None), BESIDE: taking(intake)})
    part = Part(
        "j. Feeds: what they cost readings in the compactor's windows",
        f"CPU µs a reading, the best of {ROUNDS} rounds of {_IN_PROCESS:,} readings, in turn "
        f"without Feeds and beside {len(used.feeds)}.",
    )
    part.figures = [Figure(name, value, "µs") for name, value in best.items()]
    part.aims = [Aim("µs more beside Feeds", best[BESIDE] - best[WITHOUT], 0.1, at_most=True)]
    return part


def _taken(messages: list[Message], feeds: FeedIntake | None, now_ms: int) -> float:
    """Return the CPU µs that each of these messages takes in new windows."""
    windows, now = Windows(10_000, 2_000), Instant(now_ms, now_ms)
    windows.feeds = feeds
    began = time.process_time()
    for before, batch in _batches(messages):
        windows.add(batch, before, now)
    return (time.process_time() - began) / len(messages) * 1e6


def _batches(messages: list[Message]) -> Iterable[tuple[int, list[Message]]]:
    return ((at, messages[at : at + _BATCH]) for at in range(0, len(messages), _BATCH))
