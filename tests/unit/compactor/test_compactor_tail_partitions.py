"""A topic without partitions, as a broker tells of one that is being deleted."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError
from sensorpipe_compactor.epoch.tail import Tail


class Consumer:
    """Knew the topic when it was asked for ends, and does not any more."""

    def __init__(self, partitions: set[int] | None) -> None:
        self._client: Any = self
        self._partitions = partitions

    def assign(self, partitions: list[TopicPartition]) -> None:
        """Take note of nothing."""

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def force_metadata_update(self) -> bool:
        return True

    def partitions_for_topic(self, _: str) -> set[int] | None:
        return self._partitions


class TailOf(Tail):
    """Everything but the client is the real thing."""

    def __init__(self, partitions: set[int] | None) -> None:
        self._topic = "t"
        self._consumer: Any = Consumer(partitions)


@pytest.mark.parametrize("partitions", [None, set()])
async def test_no_partitions_are_an_error_that_is_tried_again(partitions: set[int] | None):
    with pytest.raises(UnknownTopicOrPartitionError):
        await TailOf(partitions).partitions()


async def test_partitions_are_those_of_the_latest_answer():
    assert await TailOf({0, 2}).partitions() == {0, 2}
