"""Many keys at once get the partitions that aiokafka gives to each."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_compactor.output.partitioning import by_partition

KEYS = st.lists(st.binary(max_size=80), max_size=30)
PARTITIONS = st.sets(st.integers(0, 10_000), min_size=1, max_size=50).map(sorted)


@given(KEYS, PARTITIONS)
@example([b"", b"\0", b"\0\0\0\0", b"abcd", b"abc\0", b"\xff" * 1000], [0, 1, 2])
@example([f"plant-{n:06d}".encode() for n in range(500)], list(range(64)))
def test_a_key_gets_the_partition_that_aiokafka_chooses(keys: list[bytes], partitions: list[int]):
    choose = DefaultPartitioner()
    expected: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        expected.setdefault(choose(key, partitions, []), []).append(place)
    assert by_partition(keys, partitions) == expected


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_the_java_client(key: bytes, hashed: int):
    """The values are those of Kafka's own `UtilsTest.testMurmur2`."""
    (place,) = by_partition([key], range(2**31))
    assert place == hashed & 0x7FFFFFFF
