"""The journal with real brokers: epochs, fences, and Kafka going away and coming back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import services
from compactor_parts import kafka_settings, record, seqs_of, until, written
from conftest import running
from sensorpipe_cli.child import Child, free_port
from sensorpipe_compactor import journal as journal_module
from sensorpipe_compactor import tail
from sensorpipe_compactor.journal import FencedError, Journal
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.kafka import KafkaSettings
from sensorpipe_schema.partial import Origin


class Epoch:
    """An opened journal, what it restored, and its next number."""

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self.journal = Journal(settings, name)
        self.name = name
        self.restored: list[int] = []
        self.number = 0

    async def open(self) -> None:
        await asyncio.wait_for(self.journal.open(self._restore), 60)

    def _restore(self, message: CompactedReading) -> None:
        self.restored += [seq for _, _, seq in seqs_of(message)]

    async def append(self, *seqs: int, received: int = 1, facility: str = "f") -> None:
        self.number += 1
        origin = Origin(self.name, self.journal.epoch, self.number, received)
        await self.journal.append([record(origin, seqs, facility)])


@asynccontextmanager
async def epoch(settings: KafkaSettings, name: str) -> AsyncIterator[Epoch]:
    one = Epoch(settings, name)
    try:
        await one.open()
        yield one
    finally:
        await one.journal.close()


@pytest.fixture(params=["tansu", "kafka"])
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    return kafka_settings(request.getfixturevalue(request.param))


async def test_a_start_restores_what_was_durable_and_epochs_rise(settings: KafkaSettings):
    async with epoch(settings, "rising") as first:
        assert first.restored == []
        await first.append(1, 2, 3)
        await first.append(5, facility="g")
        await first.append(7, facility="h")
    async with epoch(settings, "rising") as second:
        assert sorted(second.restored) == [1, 2, 3, 5, 7]
        assert second.journal.epoch > first.journal.epoch
        await second.append(4)
    async with epoch(settings, "rising") as third:
        assert sorted(third.restored) == [1, 2, 3, 4, 5, 7]
        assert third.journal.epoch > second.journal.epoch


async def test_a_later_epoch_fences_the_earlier_one(settings: KafkaSettings):
    async with epoch(settings, "rivals") as first:
        await first.append(1)
        async with epoch(settings, "rivals") as second:
            with pytest.raises(FencedError, match="another compactor 'rivals' began epoch"):
                await first.append(2, facility="anywhere")
            await second.append(3)
            await second.append(4)
    async with epoch(settings, "rivals") as third:
        assert sorted(third.restored) == [1, 3, 4]  # 2 was written, but the server counts it not


async def test_other_compactors_records_in_between_disturb_nothing(settings: KafkaSettings):
    async with epoch(settings, "mine") as mine, epoch(settings, "theirs") as theirs:
        for seq in range(1, 6):
            await theirs.append(100 + seq)
            await mine.append(seq)
        async with epoch(settings, "third"):
            await mine.append(6)
    async with epoch(settings, "mine") as again:
        assert sorted(again.restored) == [1, 2, 3, 4, 5, 6]


async def test_several_chunks_are_read_back(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tail, "_CHUNK", 3)
    async with epoch(settings, "deep"):
        pass
    async with epoch(settings, "deep") as one, epoch(settings, "shallow") as other:
        for seq in range(1, 41):
            await one.append(seq, facility=f"f{seq % 5}")
            if seq % 4 == 0:
                await other.append(seq, facility=f"f{seq % 3}")
    async with epoch(settings, "deep") as again:
        assert sorted(again.restored) == list(range(1, 41))


async def test_a_settled_past_is_left_unread(
    settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tail, "_CHUNK", 3)
    async with epoch(settings, "settled") as old:
        for seq in range(1, 31):
            await old.append(seq)
    async with epoch(settings, "settled") as new:
        for seq in range(31, 61):
            await new.append(seq, received=80_000 * (seq - 30))
    async with epoch(settings, "settled") as again:
        assert set(range(54, 61)) <= set(again.restored)
        assert 1 not in again.restored


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each attempt two seconds."""
    monkeypatch.setattr(journal_module, "_ATTEMPT_SECONDS", 2.0)
    monkeypatch.setattr(journal_module, "_STOP_SECONDS", 0.2)


async def held(settings: KafkaSettings, name: str) -> set[int]:
    return {seq for _, message in await written(settings, name) for _, _, seq in seqs_of(message)}


async def freeze(child: Child) -> None:
    child.send(signal.SIGSTOP)
    process = psutil.Process(child.pid)
    await until(lambda: process.status() == psutil.STATUS_STOPPED)


@pytest.mark.usefixtures("hasty")
async def test_an_append_outlasts_a_frozen_and_a_restarted_kafka(tmp_path: Path):
    async with running(services.kafka(tmp_path)) as child:
        settings = kafka_settings(child)
        async with epoch(settings, "patient") as one:
            await one.append(1, 2)
            await freeze(child)
            try:
                appending = asyncio.create_task(one.append(3, 4))
                await until(lambda: one.journal.retries >= 2)
                assert not appending.done()
            finally:
                child.send(signal.SIGCONT)
            await asyncio.wait_for(appending, 60)
            assert await held(settings, "patient") == {1, 2, 3, 4}
            await child.stop()
            retries = one.journal.retries
            appending = asyncio.create_task(one.append(5))
            await until(lambda: one.journal.retries > retries)
            await child.start()
            await child.listening()
            await asyncio.wait_for(appending, 60)
            assert await held(settings, "patient") == {1, 2, 3, 4, 5}
            await until(lambda: not one.journal._stopping)  # no producer goes on behind our back
        async with epoch(settings, "patient") as again:
            assert set(again.restored) == {1, 2, 3, 4, 5}


@pytest.mark.usefixtures("hasty")
async def test_without_kafka_a_start_waits_and_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
):
    nowhere = KafkaSettings(f"127.0.0.1:{free_port()}", "PLAINTEXT", "PLAIN", None, None, None)
    before = asyncio.all_tasks()
    one = Epoch(nowhere, "lonely")
    opening = asyncio.create_task(one.journal.open(one._restore))
    await until(lambda: one.journal.retries >= 3)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await one.journal.close()
    assert asyncio.all_tasks() == before
    assert one.journal.epoch == 0
    assert not [record for record in caplog.records if "Unclosed" in record.getMessage()]


@pytest.mark.usefixtures("hasty")
async def test_a_producer_that_cannot_start_is_closed(
    tansu: Child, caplog: pytest.LogCaptureFixture
):
    async with epoch(kafka_settings(tansu), "closed") as one:
        await one.journal.close()
        nowhere = KafkaSettings(f"127.0.0.1:{free_port()}", "PLAINTEXT", "PLAIN", None, None, None)
        one.journal._settings = nowhere
        appending = asyncio.create_task(one.append(1))
        await until(lambda: one.journal.retries >= 2)
        one.journal._settings = kafka_settings(tansu)
        await asyncio.wait_for(appending, 30)
    assert not [record for record in caplog.records if "Unclosed" in record.getMessage()]
