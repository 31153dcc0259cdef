"""Partitions are added to the compacted topic while its compactor runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from sensorpipe_compactor.epoch.claim import FencedError
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.topic_producer import LogReplacedError
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin
from support import services
from support.compactor_parts import counted, kafka_settings, record, remake, written
from support.services import running

NAME = "raised"
FORMER, TOTAL = 3, 8
FACILITIES = [f"f{n}" for n in range(40)]


@asynccontextmanager
async def begun(settings: KafkaSettings) -> AsyncIterator[Journal]:
    journal = Journal(settings, NAME)
    try:
        await asyncio.wait_for(journal.open(), 60)
        yield journal
    finally:
        await journal.close()


async def raise_partitions(settings: KafkaSettings, *journals: Journal) -> None:
    """Raise the partitions of the topic, and let journals see that sooner than in a minute."""
    admin = AIOKafkaAdminClient(**settings.client_options())
    await admin.start()
    try:
        await admin.create_partitions({COMPACTED: NewPartitions(TOTAL)})
    finally:
        await admin.close()
    for journal in journals:
        producer = journal._producer.client
        assert producer is not None
        async with asyncio.timeout(60):
            while len(await producer.partitions_for(COMPACTED)) < TOTAL:
                await producer.client.force_metadata_update()


async def append(journal: Journal, first: int) -> None:
    """Append a partial of every facility, with one reading each."""
    await journal.append(
        [
            record(Origin(NAME, journal.run, seq, journal.horizon.newest_ms), [seq], facility)
            for seq, facility in enumerate(FACILITIES, first)
        ]
    )


async def test_new_partitions_are_fenced_before_anything_is_written_to_them(tmp_path: Path):
    async with running(services.kafka(tmp_path)) as kafka:
        settings = kafka_settings(kafka)
        async with begun(settings) as journal:
            await append(journal, 1)
            await raise_partitions(settings, journal)
            await append(journal, 101)
            await append(journal, 201)
        found = await written(settings, NAME)
        firsts = dict(reversed(found))
        assert sorted(firsts) == list(range(TOTAL))
        assert all(not message.sensors for message in firsts.values())
        news = [message for partition, message in found if partition >= FORMER and message.sensors]
        assert len(news) > len(FACILITIES)
        assert set(counted(found).values()) == {1}
        async with begun(settings) as again:
            assert again.horizon.newest_ms == journal.horizon.newest_ms


async def test_a_stalled_former_run_writes_nothing_that_counts_into_a_new_partition(
    tmp_path: Path,
):
    async with running(services.kafka(tmp_path)) as kafka:
        settings = kafka_settings(kafka)
        async with begun(settings) as stalled:
            await append(stalled, 1)
            async with begun(settings) as running_one:
                await raise_partitions(settings, stalled, running_one)
                with pytest.raises(FencedError):
                    await append(stalled, 101)
                await append(running_one, 201)
                await append(running_one, 301)
        counts = counted(await written(settings, NAME))
        assert set(counts.values()) == {1}
        seqs = {seq for _, _, seq in counts}
        n = len(FACILITIES)
        assert seqs == {*range(1, n + 1), *range(201, 201 + n), *range(301, 301 + n)}


async def test_a_topic_made_anew_with_fewer_partitions_ends_the_run(tmp_path: Path):
    """It has none of the partitions that were fenced later: once this was an AssertionError."""
    async with running(services.kafka(tmp_path)) as kafka:
        settings = kafka_settings(kafka)
        async with begun(settings) as journal:
            await raise_partitions(settings, journal)
            await append(journal, 1)
            await remake(settings)
            producer = journal._producer.client
            assert producer is not None
            await producer.client.force_metadata_update()
            with pytest.raises(LogReplacedError):
                await asyncio.wait_for(append(journal, 101), 60)
