"""More dead letters than one attempt at Kafka takes: they go in parts, in their order."""

import asyncio
import time

import pytest
from sensorpipe_compactor import compactor as compactor_module
from sensorpipe_compactor.output.records import Record
from support.compactor_bench import BAD, Bench
from support.waiting import eventually
from support.window_parts import NOW, message, when, windows

TAKEN = 2_000


def sizes(bench: Bench) -> list[int]:
    """Have Kafka take at most `TAKEN` letters in one attempt; return the size of each attempt."""
    attempts: list[int] = []
    take = bench.kafka.write_dead_letters

    async def write_dead_letters(letters: list[Record]) -> bool:
        attempts.append(len(letters))
        return await take(letters) and len(letters) <= TAKEN

    bench.kafka.write_dead_letters = write_dead_letters  # type: ignore[method-assign]
    return attempts


async def run_until_acknowledged(bench: Bench, count: int) -> None:
    running = asyncio.create_task(bench.compactor.run())
    await eventually(lambda: bench.acknowledged >= count)
    bench.compactor.stop()
    await running


def test_the_lowest_numbers_are_taken_and_the_rest_waits():
    taken = windows()
    taken.add([message("bad", b"x")] * 5, 0, when(NOW))
    assert [letter.number for letter in taken.take_dead_letters(2)] == [1, 2]
    assert taken.lowest_number() == 3
    assert taken.kept_bytes == 3 * len("badx")
    assert [letter.number for letter in taken.take_dead_letters(9)] == [3, 4, 5]
    assert (taken.lowest_number(), taken.kept_bytes) == (None, 0)


async def test_each_attempt_takes_a_part_and_what_it_wrote_is_acknowledged():
    bench = Bench()
    attempts = sizes(bench)
    bench.give([BAD] * (2 * TAKEN + 5))
    bench.deliver(1)
    await bench.flush()
    assert attempts == [TAKEN]  # once it was all of them, and none for ever
    assert bench.acknowledged == TAKEN
    assert bench.compactor.dead_letters_waiting == TAKEN + 5
    await bench.flush()
    await bench.flush()
    assert attempts == [TAKEN, TAKEN, 5]
    assert bench.acknowledged == 2 * TAKEN + 5
    await bench.flush(everything=True)
    assert bench.acknowledged == 2 * TAKEN + 6
    assert bench.compactor.dead_letters == {"bad_topic": 2 * TAKEN + 5}


async def test_the_rest_follows_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compactor_module, "_TICK", 1_000.0)  # no tick of the clock helps
    bench = Bench()
    attempts = sizes(bench)
    bench.give([BAD] * (3 * TAKEN))
    await run_until_acknowledged(bench, 3 * TAKEN)
    assert attempts == [TAKEN] * 3


async def test_stopping_writes_all_parts():
    bench = Bench()
    attempts = sizes(bench)
    bench.give([BAD] * (2 * TAKEN))
    bench.compactor.stop()
    await bench.compactor.run()
    assert attempts == [TAKEN] * 2
    assert bench.acknowledged == 2 * TAKEN


async def test_stopping_does_not_wait_for_what_cannot_be_written():
    bench = Bench()
    attempts = sizes(bench)
    bench.kafka.takes_dead = False
    bench.give([BAD] * (2 * TAKEN))
    bench.compactor.stop()
    await bench.compactor.run()
    assert attempts == [TAKEN]
    assert bench.acknowledged == 0


async def test_an_attempt_takes_half_of_what_failed_and_more_again_after_success():
    bench = Bench()
    attempts = sizes(bench)
    bench.give([BAD] * (3 * TAKEN))
    bench.kafka.takes_dead = False
    for _ in range(2):
        bench.compactor._dead_again_at = 0.0
        await bench.flush()
    bench.kafka.takes_dead = True
    bench.compactor._dead_again_at = time.monotonic()
    for _ in range(4):
        await bench.flush()
    assert attempts == [TAKEN, TAKEN // 2, TAKEN // 4, TAKEN // 2, TAKEN, TAKEN]
    assert bench.compactor.dead_letters_waiting == TAKEN // 4
