"""What the compactor writes with each codec, as it is in Kafka's log and as it is read."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from sensorpipe_cli.runner.child import Child
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.settings import Settings
from sensorpipe_runtime.kafka.client import COMPRESSIONS, DEFAULT_COMPRESSION
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin
from support import services
from support.compactor_parts import counted, kafka_settings, record, written
from support.services import running

NUMBER = 300
HEADER = struct.Struct(">qiibIhi")
"""Of a batch: offset, length of what follows it, leader's epoch, magic, CRC, attributes, last."""


async def append(child: Child, name: str, codec: str) -> None:
    """Have a compactor write with a codec, and a second run of it write on."""
    for start in (1, NUMBER + 1):
        journal = Journal(kafka_settings(child), name, compression=codec)
        try:
            await journal.open()
            assert journal.former_partials == 0 or start > 1
            assert not await journal.append(
                [
                    record(Origin(name, journal.run, seq), [seq], f"plant-{seq:06d}")
                    for seq in range(start, start + NUMBER)
                ]
            )
        finally:
            await journal.close()


async def all_written(child: Child, name: str) -> bool:
    """Whether each reading counts once for whoever reads the topic."""
    counts = counted(await written(kafka_settings(child), name))
    return counts == {("s", "a", seq): 1 for seq in range(1, 2 * NUMBER + 1)}


def batches(data: Path) -> Iterator[tuple[int, int, int]]:
    """Yield codec, bytes and number of records of each batch in Kafka's logs of the topic."""
    for log in data.glob(f"{COMPACTED}-*/*.log"):
        content, at = log.read_bytes(), 0
        while at < len(content):
            _, length, _, _, _, attributes, last = HEADER.unpack_from(content, at)
            yield attributes & 0b111, length, last + 1
            at += length + 12


async def test_each_codec_is_in_kafkas_log_and_is_read(tmp_path: Path):
    async with running(services.kafka(tmp_path)) as kafka:
        for codec in COMPRESSIONS:
            await append(kafka, codec, codec)
        for codec in COMPRESSIONS:
            assert await all_written(kafka, codec)
    found = [batch for batch in batches(tmp_path / "data") if batch[2] > 1]
    bytes_of = {
        number: sum(size for codec, size, _ in found if codec == number)
        for number in range(len(COMPRESSIONS))  # in Kafka's order
    }
    assert all(0 < size < bytes_of[0] / 2 for codec, size in bytes_of.items() if codec)


@pytest.mark.parametrize("codec", COMPRESSIONS)
async def test_the_embedded_kafka_takes_each_codec(tansu: Child, codec: str):
    name = f"embedded-{codec}"
    await append(tansu, name, codec)
    assert await all_written(tansu, name)


def test_the_default_is_that_of_the_settings():
    assert Settings.read({}).compression == DEFAULT_COMPRESSION == "zstd"
