"""This server's membership of the consumer group."""

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aiokafka import ConsumerRebalanceListener, TopicPartition
from sensorpipe_runtime.liveness import Progress

from sensorpipe_server.ingest import metrics

if TYPE_CHECKING:
    from sensorpipe_server.storage.logs import Log

log = logging.getLogger(__name__)


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """The generation of the consumer group, and the state of the assigned partitions."""

    def __init__(self) -> None:
        self.generation = 0
        self.is_assigned = False
        self.partitions: frozenset[int] = frozenset()
        self.logs: dict[TopicPartition, Log] = {}
        self.progress = Progress(self.is_behind)
        """Progress of reading, storing, settling and retrying, for the liveness probe."""
        self._committed: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002  all are revoked
        """Forget all state: the next owner of the partitions may change it."""
        self.generation += 1
        self.is_assigned = False
        self.partitions = frozenset()
        self.logs = {}
        self._committed, self._ends = {}, {}
        metrics.CONSUMER_LAG.clear()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note of the partitions of this server."""
        self.is_assigned = True
        self.partitions = frozenset(tp[1] for tp in assigned)
        log.info("partitions assigned", extra={"partitions": sorted(self.partitions)})

    def note_read(self, partition: TopicPartition, first: int, end: int) -> None:
        """Note the offset of the first record read of a partition, and its end offset."""
        self._committed.setdefault(partition, first)  # reading begins at the committed offset
        self._ends[partition] = end
        self._set_lag(partition)
        self.progress.moved()

    def note_committed(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note committed positions."""
        for partition, position in positions.items():
            self._committed[partition] = position
            self._ends[partition] = max(position, self._ends.get(partition, 0))
            self._set_lag(partition)
        self.progress.moved()

    def is_behind(self, records: int = 0) -> bool:
        """Whether more than `records` known records are not committed yet; thread-safe."""
        committed = list(self._committed.items())
        waiting = sum(max(0, self._ends.get(partition, 0) - at) for partition, at in committed)
        return waiting > records

    def _set_lag(self, partition: TopicPartition) -> None:
        lag = self._ends[partition] - self._committed[partition]
        metrics.CONSUMER_LAG.labels(partition.partition).set(max(0, lag))
