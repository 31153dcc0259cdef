"""Late, shuffled and duplicate readings, with programs killed in between, equal a plain batch."""

import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_schema.names import reading_topic
from sensorpipe_schema.reading import Reading, encode
from support.pipeline import Pipeline, pipeline
from support.pipeline_parts import Value, check, counted, metrics, publishing, settled
from support.waiting import eventually, in_thread

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR_MS = 3_600_000
APART_MS = 30_000
SENSORS = {"temperature": (-2.0, 9.0), "pressure": (1013.25, 4.0)}
LAST_REPEATS = 40


@dataclass(frozen=True)
class Kill:
    """A SIGKILL after this share of the messages."""

    after: float
    program: str
    acknowledged: bool
    """Whether to wait until the compactor, since it started, has acknowledged anything."""


KILLS = st.builds(Kill, st.floats(0.05, 0.95), st.just("compactor"), st.booleans())
SERVER_KILLS = st.builds(Kill, st.floats(0.05, 0.95), st.just("server"), st.booleans())


@dataclass(frozen=True)
class Scenario:
    """What two publishers of one facility send, and what is killed meanwhile."""

    seed: int
    ahead: bool
    """Whether the second publisher's clock is 30 s ahead; otherwise it is 30 s behind."""
    readings: int
    """Of each publisher and sensor."""
    on_time: float
    """The share of readings that are not late; the others are so by up to an hour."""
    in_order: bool
    """Whether a publisher sends its readings in the order of their numbers."""
    repeated: float
    kills: list[Kill]


SCENARIOS = st.builds(
    Scenario,
    seed=st.integers(0, 2**32 - 1),
    ahead=st.booleans(),
    readings=st.integers(60, 250),
    on_time=st.floats(0, 0.8),
    in_order=st.booleans(),
    repeated=st.floats(0, 0.5),
    kills=st.tuples(KILLS, KILLS, SERVER_KILLS).map(lambda k: sorted(k, key=lambda x: x.after)),
)


@dataclass(frozen=True)
class Message:
    """One message of one of the publishers."""

    publisher: int
    sensor: str
    reading: Reading


@dataclass
class Traffic:
    """All messages in the order of publishing."""

    messages: list[Message] = field(default_factory=list)
    repeats: list[Message] = field(default_factory=list)
    """Published at the end, when everything has been published before."""

    @property
    def values(self) -> list[Value]:
        """Every reading once."""
        found = {(m.publisher, m.sensor, m.reading.seq): m for m in self.messages}
        return [Value(m.sensor, m.reading.ts, m.reading.val) for m in found.values()]


def traffic(scenario: Scenario, now_ms: int, run: str) -> Traffic:
    """Make a scenario's messages: deterministic, but for the time and the name of the run."""
    chance = random.Random(scenario.seed)
    clocks = (now_ms, now_ms + (APART_MS if scenario.ahead else -APART_MS))
    made: list[Message] = []
    for publisher, clock in enumerate(clocks):
        for sensor, (mean, stdev) in SENSORS.items():
            for seq in range(1, scenario.readings + 1):
                late = 0 if chance.random() < scenario.on_time else chance.randrange(HOUR_MS)
                value = chance.gauss(mean, stdev)
                reading = Reading(clock - late, value, f"{run}-{publisher}", seq)
                made.append(Message(publisher, sensor, reading))
    repeats = chance.sample(made, round(len(made) * scenario.repeated))
    messages = made + repeats
    chance.shuffle(messages)
    if scenario.in_order:
        messages.sort(key=lambda message: message.reading.seq)
    return Traffic(messages, chance.sample(made, min(LAST_REPEATS, len(made))))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["kafka", "embedded"])
async def parts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pipeline]:
    """Mosquitto and Kafka 4.3.1, or what `sensorpipe up` brings."""
    folder = tmp_path_factory.mktemp("late")
    chosen: list[Child] = []
    if request.param == "embedded":
        chosen.append(embedded.mqtt_broker(free_port(), folder / "mqtt"))
        chosen.append(embedded.kafka_broker(free_port(), folder / "kafka"))
    async with pipeline(folder, *chosen) as running:
        yield running


async def publish(publishers: list[Publisher], facility: str, messages: list[Message]) -> None:
    """Publish and wait until the broker has taken everything."""
    for message in messages:
        topic = reading_topic(facility, message.sensor)
        publishers[message.publisher].publish(topic, [encode(message.reading)])
    for publisher in publishers:
        await publisher.drained()


async def kill(parts: Pipeline, what: Kill) -> None:
    """Kill a program and start it; do not wait until it is ready."""
    compactor = parts.compactor
    if what.acknowledged:
        await eventually(
            in_thread(lambda: metrics(compactor).get("acknowledged", 0) > 0), state=compactor.tail
        )
    await parts.kill(compactor if what.program == "compactor" else parts.server)


async def play(parts: Pipeline, scenario: Scenario, facility: str, sent: Traffic) -> None:
    """Publish everything, with the kills in between; at the end repeat what is long known."""
    async with AsyncExitStack() as stack:
        names = [f"{facility}-{number}" for number in range(2)]
        publishers = [
            await stack.enter_async_context(publishing(parts.mqtt, name)) for name in names
        ]
        done = 0
        for what in scenario.kills:
            before = max(done + 1, round(what.after * len(sent.messages)))
            await publish(publishers, facility, sent.messages[done:before])
            done = before
            await kill(parts, what)
        await publish(publishers, facility, sent.messages[done:])
        await publish(publishers, facility, sent.repeats)


@settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],  # to shrink would take many more runs of the pipeline
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(scenario=SCENARIOS)
async def test_late_shuffled_duplicate_readings_equal_a_batch_computation(
    parts: Pipeline, scenario: Scenario
) -> None:
    facility = f"f{uuid.uuid4().hex[:12]}"
    sent = traffic(scenario, time.time_ns() // 1_000_000, facility)
    note(f"{facility}: {len(sent.messages)} messages, {len(sent.values)} readings")
    await play(parts, scenario, facility, sent)
    await counted(parts, facility, len(sent.values))
    await settled(parts)
    totals = await counted(parts, facility, 0)
    expected = {"count": len(sent.values), "lost": 0, "duplicates": 0, "unidentified": 0}
    assert {key: totals[key] for key in expected} == expected
    await check(parts, facility, sent.values)
    if not scenario.kills:  # after one, repeats that it cannot be sure of are left to the fold
        assert metrics(parts.compactor)["duplicates"] >= len(sent.repeats)
