"""The order that loses nothing: durable first, acknowledged afterwards."""

import asyncio
import time

import pytest
from sensorpipe_compactor.compactor import Compactor
from sensorpipe_compactor.settings import Settings
from sensorpipe_runtime.mqtt.frames import MAX_IN_FLIGHT
from sensorpipe_schema.names import DEAD_READINGS
from support.compactor_bench import BAD, Bench, Kafka, publish


async def test_nothing_is_acknowledged_before_it_is_durable():
    bench = Bench()
    bench.kafka.there.clear()
    bench.deliver(1, 2, 3)
    flushing = asyncio.create_task(bench.flush(everything=True))
    await asyncio.sleep(0)
    bench.deliver(4)
    assert bench.acknowledged == 0
    bench.kafka.there.set()
    await flushing
    assert bench.acknowledged == 3
    (first,) = bench.kafka.origins()
    assert first[:3] == ("sensorpipe-compactor", 7, 1)
    await bench.flush(everything=True)
    assert bench.acknowledged == 4
    assert bench.kafka.origins()[1][:3] == ("sensorpipe-compactor", 7, 2)


async def test_every_partial_tells_the_newest_window_end_up_to_its_own_flush():
    bench = Bench()
    bench.kafka.horizon.newest_ms = 5
    start = bench.now_ms // 10_000 * 10_000
    for facility, ago in [("f", 60_000), ("g", 20_000)]:
        bench.give([publish(f"sensor_readings/{facility}/s", start - ago, 1)])
    await bench.flush(everything=True)
    bench.give([publish("sensor_readings/f/s", start - 40_000, 2)])
    await bench.flush(everything=True)
    assert [origin.newest_ms for origin in bench.kafka.origins()] == [start - 10_000] * 3
    bench.kafka.horizon.newest_ms = start + 60_000
    bench.deliver(3)
    await bench.flush(everything=True)
    assert bench.kafka.origins()[3].newest_ms == start + 60_000


async def test_a_repeat_is_not_acknowledged_before_what_it_repeats():
    bench = Bench()
    bench.deliver(1, 2, facility="open")
    bench.connect()
    bench.deliver(1, 2, facility="open")
    await bench.flush()
    assert bench.acknowledged == 0
    await bench.flush(everything=True)
    assert bench.acknowledged == 2
    assert bench.compactor.windows.duplicates == 2


async def test_a_repeat_of_what_is_on_its_way_to_kafka_waits_for_it():
    bench = Bench()
    bench.deliver(1, 2)
    bench.kafka.there.clear()
    flushing = asyncio.create_task(bench.flush(everything=True))
    await asyncio.sleep(0)
    bench.connect()
    bench.deliver(1, 2)
    assert bench.acknowledged == 0  # those numbers were of the former connection
    bench.kafka.there.set()
    await flushing
    assert bench.acknowledged == 2


async def test_a_dead_letter_is_durable_before_it_is_acknowledged():
    bench = Bench()
    bench.give([BAD])
    bench.kafka.there.clear()
    flushing = asyncio.create_task(bench.flush())
    await asyncio.sleep(0)
    assert bench.compactor.dead_letters_waiting == 1
    assert bench.acknowledged == 0
    bench.kafka.there.set()
    await flushing
    assert bench.acknowledged == 1
    (record,) = bench.kafka.records
    assert record.topic == DEAD_READINGS
    assert dict(record.headers)["reason"] == b"bad_topic"
    assert bench.compactor.dead_letters == {"bad_topic": 1}


async def test_dead_letters_that_cannot_be_written_hold_no_readings_back():
    bench = Bench()
    bench.kafka.takes_dead = False
    bench.deliver(1, 2)
    bench.give([BAD])
    bench.deliver(3)
    await bench.flush(everything=True)
    assert [origin.number for origin in bench.kafka.origins()] == [1]
    assert bench.compactor.readings == 3
    assert bench.acknowledged == 2  # in order: the dead letter is not durable yet
    assert bench.compactor.dead_letters_waiting == 1
    bench.deliver(4)
    await bench.flush(everything=True)  # before the next attempt at the dead letter
    assert bench.compactor.readings == 4
    assert bench.acknowledged == 2
    bench.kafka.takes_dead = True
    bench.compactor._dead_again_at = 0.0
    await bench.flush(everything=True)
    assert bench.acknowledged == 5
    assert bench.compactor.dead_letters_waiting == 0
    assert bench.compactor.windows.kept_bytes == 0
    assert bench.compactor.dead_letters == {"bad_topic": 1}


async def test_dead_letters_that_cannot_be_written_are_bounded(monkeypatch: pytest.MonkeyPatch):
    from sensorpipe_compactor import compactor as module

    monkeypatch.setattr(module, "_MAX_KEPT_BYTES", 10)
    bench = Bench()
    bench.kafka.takes_dead = False
    bench.give([BAD] * 6)
    await bench.flush()
    await bench.flush()
    assert bench.connection.is_paused()
    bench.kafka.takes_dead = True
    bench.compactor._dead_again_at = 0.0
    await bench.flush()
    assert not bench.connection.is_paused()
    assert bench.acknowledged == 6


async def test_a_silence_proves_nothing_while_nothing_is_acknowledged():
    """A tick with nothing due must not count as the acknowledgement a broker waited for."""
    bench = Bench()
    for _ in range(3):
        bench.deliver(*range(1, 10))
        heard_at = bench.compactor.in_flight_limit._received_at
        assert heard_at is not None
        bench.compactor.in_flight_limit._received_at = heard_at - 1
        await bench.flush()
        bench.connection.pubacks = b""
    assert bench.compactor.in_flight_limit.messages == MAX_IN_FLIGHT


async def test_stopping_flushes_and_acknowledges_everything():
    bench = Bench()
    bench.deliver(1, 2, facility="f")
    bench.deliver(1, 2, facility="g")
    bench.give([BAD])
    bench.compactor.stop()
    assert bench.connection.is_paused()
    await bench.compactor.run()
    assert bench.acknowledged == 5
    assert len(bench.kafka.origins()) == 2


async def test_memory_is_bounded_where_no_broker_bounds_it(monkeypatch: pytest.MonkeyPatch):
    """QoS 0 has no flow control: reading stops until something is durable."""
    from sensorpipe_compactor import compactor as module

    monkeypatch.setattr(module, "_MAX_UNSETTLED", 10)
    bench = Bench()
    now = time.time_ns() // 1_000_000
    for seq in range(1, 11):
        bench.give([publish("sensor_readings/f/s", now, seq, None)])
    assert not bench.connection.is_paused()
    bench.give([publish("sensor_readings/f/s", now, 11, None)])
    assert bench.connection.is_paused()
    assert bench.compactor._is_pressed()
    await bench.flush(everything=True)
    assert not bench.connection.is_paused()
    assert bench.acknowledged == 0


async def test_dead_letters_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch):
    from sensorpipe_compactor import compactor as module

    monkeypatch.setattr(module, "_MAX_KEPT_BYTES", 10)
    bench = Bench()
    bench.give([BAD] * 5)
    assert not bench.connection.is_paused()
    bench.give([BAD])
    assert bench.connection.is_paused()
    await bench.flush()
    assert not bench.connection.is_paused()
    assert bench.acknowledged == 6


async def test_a_broker_that_forgot_the_session_is_counted():
    bench = Bench()
    assert bench.compactor.sessions_lost == 0
    bench.compactor.on_connected(session_present=False)
    assert bench.compactor.sessions_lost == 1


async def test_a_first_connection_has_no_session_to_lose():
    settings = Settings.read({})
    compactor = Compactor(settings, Kafka(settings))
    compactor.on_connected(session_present=False)
    assert compactor.sessions_lost == 0


@pytest.mark.parametrize("granted", [20, MAX_IN_FLIGHT])
async def test_messages_are_read_together_unless_the_broker_grants_few(granted: int):
    bench = Bench()
    bench.compactor.in_flight_limit.messages = granted
    bench.deliver(1)
    assert bench.connection.gathers is (granted > 20)
