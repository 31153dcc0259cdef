"""The journal with real brokers: runs, fences, and Kafka going away and coming back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_compactor.clock_check import ClockCheck, Instant
from sensorpipe_compactor.epoch import tail
from sensorpipe_compactor.epoch.claim import FencedError
from sensorpipe_compactor.output import journal as journal_module
from sensorpipe_compactor.output import topic_producer
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_runtime.kafka import closing
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_schema.partial import Origin
from sensorpipe_schema.reading import MAX_AHEAD_MS
from support import services
from support.compactor_parts import counted, kafka_settings, record, seqs_of, written
from support.services import running
from support.waiting import eventually

NOW = 1_800_000_000_000
END = 10_000
"""The end of the window of all partials here."""


class Run:
    """An opened journal, and its next number."""

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self.journal = Journal(settings, name)
        self.name = name
        self.number = 0

    async def open(self) -> None:
        await asyncio.wait_for(self.journal.open(), 60)

    async def append(self, *seqs: int, facility: str = "f") -> None:
        self.number += 1
        newest = max(self.journal.horizon.newest_ms, END)
        origin = Origin(self.name, self.journal.run, self.number, newest)
        await self.journal.append([record(origin, seqs, facility)])


@asynccontextmanager
async def begun(settings: KafkaSettings, name: str) -> AsyncIterator[Run]:
    one = Run(settings, name)
    try:
        await one.open()
        yield one
    finally:
        await one.journal.close()


@pytest.fixture(params=["tansu", "kafka"])
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    return kafka_settings(request.getfixturevalue(request.param))


async def counted_seqs(settings: KafkaSettings, name: str) -> dict[int, int]:
    counts = counted(await written(settings, name))
    return {seq: count for (_, _, seq), count in sorted(counts.items())}


def confirm(journal: Journal) -> int:
    """Let a source confirm the clock for a minute; return the horizon, in ms of event time."""
    clock = ClockCheck()
    for now in (Instant(NOW, 0), Instant(NOW + 60_000, 60_000)):
        clock.note("a", "hall/boiler", now.wall_ms, now)
        journal.horizon.look(now, clock)
    assert journal.horizon.is_sure
    return journal.horizon.newest_ms


async def test_a_start_learns_up_to_where_its_predecessors_wrote(settings: KafkaSettings):
    async with begun(settings, "learning") as first:
        assert not first.journal.horizon.is_sure  # nothing tells of the past
        assert first.journal.former_partials == 0
        await first.append(1)
    async with begun(settings, "learning") as second:
        assert not second.journal.horizon.is_sure  # its predecessor did not know
        horizon = confirm(second.journal)
        assert horizon == NOW + 60_000 + MAX_AHEAD_MS + 1
        await second.append(2, 3, 4)
        second.journal.horizon.newest_ms += 500
        await second.append(5, facility="g")
        await second.append(7, facility="h")
    async with begun(settings, "learning") as third:
        assert third.journal.horizon.is_sure
        assert third.journal.horizon.newest_ms == horizon + 500
        assert 1 <= third.journal.former_partials <= 4
        assert len({one.journal.run for one in (first, second, third)}) == 3


async def test_a_later_run_fences_the_earlier_one(settings: KafkaSettings):
    async with begun(settings, "rivals") as first:
        await first.append(1)
        async with begun(settings, "rivals") as second:
            with pytest.raises(FencedError, match="another compactor 'rivals' began behind us"):
                await first.append(2, facility="anywhere")
            await second.append(3)
            await second.append(4)
    # 2 was written, but it does not count
    assert await counted_seqs(settings, "rivals") == {1: 1, 3: 1, 4: 1}


async def test_other_compactors_records_in_between_disturb_nothing(settings: KafkaSettings):
    async with begun(settings, "mine") as mine, begun(settings, "theirs") as theirs:
        confirm(mine.journal)
        theirs.journal.horizon.newest_ms += 10**9
        for seq in range(1, 6):
            await theirs.append(100 + seq)
            await mine.append(seq)
        async with begun(settings, "third"):
            await mine.append(6)
    async with begun(settings, "mine") as again:
        assert again.journal.horizon.newest_ms == mine.journal.horizon.newest_ms
    assert await counted_seqs(settings, "mine") == dict.fromkeys(range(1, 7), 1)


async def test_several_chunks_are_read_back_where_others_wrote(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tail, "_CHUNK", 3)
    async with begun(settings, "seldom") as one, begun(settings, "often") as other:
        confirm(one.journal)
        one.journal.horizon.newest_ms += 700
        await one.append(1)
        for seq in range(1, 41):
            await other.append(seq, facility=f"f{seq % 5}")
    async with begun(settings, "seldom") as again:
        assert again.journal.horizon.newest_ms == one.journal.horizon.newest_ms


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each attempt two seconds."""
    monkeypatch.setattr(journal_module, "ATTEMPT_SECONDS", 2.0)
    monkeypatch.setattr(topic_producer, "ATTEMPT_SECONDS", 2.0)
    monkeypatch.setattr(topic_producer, "_STOP_SECONDS", 0.2)


async def held(settings: KafkaSettings, name: str) -> set[int]:
    return {seq for _, message in await written(settings, name) for _, _, seq in seqs_of(message)}


async def freeze(child: Child) -> None:
    child.send(signal.SIGSTOP)
    process = psutil.Process(child.pid)
    await eventually(lambda: process.status() == psutil.STATUS_STOPPED)


@pytest.mark.usefixtures("hasty")
async def test_an_append_outlasts_a_frozen_and_a_restarted_kafka(tmp_path: Path):
    async with running(services.kafka(tmp_path)) as child:
        settings = kafka_settings(child)
        async with begun(settings, "frozen") as one:
            await one.append(1, 2)
            await freeze(child)
            try:
                appending = asyncio.create_task(one.append(3, 4))
                await eventually(lambda: one.journal.retries >= 2)
                assert not appending.done()
            finally:
                child.send(signal.SIGCONT)
            await asyncio.wait_for(appending, 60)
            assert await held(settings, "frozen") == {1, 2, 3, 4}
            await child.stop()
            retries = one.journal.retries
            appending = asyncio.create_task(one.append(5))
            await eventually(lambda: one.journal.retries > retries)
            await child.start()
            await child.listening()
            await asyncio.wait_for(appending, 60)
            assert await held(settings, "frozen") == {1, 2, 3, 4, 5}
            await eventually(lambda: not closing._closing)  # no producer goes on behind our back
        assert set(await counted_seqs(settings, "frozen")) == {1, 2, 3, 4, 5}


@pytest.mark.usefixtures("hasty")
async def test_without_kafka_a_start_waits_and_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
):
    nowhere = KafkaSettings(f"127.0.0.1:{free_port()}", "PLAINTEXT", "PLAIN", None, None, None)
    before = asyncio.all_tasks()
    one = Run(nowhere, "lonely")
    opening = asyncio.create_task(one.journal.open())
    await eventually(lambda: one.journal.retries >= 3)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await one.journal.close()
    assert asyncio.all_tasks() == before
    assert one.journal.run == 0
    assert not [record for record in caplog.records if "Unclosed" in record.getMessage()]


@pytest.mark.usefixtures("hasty")
async def test_a_producer_that_cannot_start_is_closed(
    tansu: Child, caplog: pytest.LogCaptureFixture
):
    async with begun(kafka_settings(tansu), "closed") as one:
        await one.journal.close()
        nowhere = KafkaSettings(f"127.0.0.1:{free_port()}", "PLAINTEXT", "PLAIN", None, None, None)
        one.journal._producer._settings = nowhere
        appending = asyncio.create_task(one.append(1))
        await eventually(lambda: one.journal.retries >= 2)
        one.journal._producer._settings = kafka_settings(tansu)
        await asyncio.wait_for(appending, 30)
    assert not [record for record in caplog.records if "Unclosed" in record.getMessage()]
