"""Commits offsets to Kafka, and stores them in MongoDB together with the log they belong to.

A position is stored before it is committed. So a stored position that is lower than the committed
one shows that MongoDB lost data, as after a backup was restored.
"""

import logging
from collections.abc import Iterable, Mapping

import pymongo
from aiokafka import TopicPartition
from pymongo.errors import BulkWriteError, PyMongoError
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.ingest.settlement import OffsetCommitter
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, WRITE_SECONDS, Collection

log = logging.getLogger(__name__)


class Positions:
    """Stores positions, then commits them, on behalf of the settlement."""

    def __init__(
        self, consumer: OffsetCommitter, membership: Membership, logs_collection: Collection
    ) -> None:
        self._consumer = consumer
        self._membership = membership
        self._logs = logs_collection
        self._storing_log = ThrottledLogger(log, on_change=False)
        self._adopting_log = ThrottledLogger(log, on_change=False)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Store positions, then commit them, or raise KafkaError or PyMongoError.

        A position that MongoDB refuses is committed all the same.
        """
        found = {
            known.place: offset
            for partition, offset in offsets.items()
            if (known := self._membership.logs.get(partition)) is not None
        }
        await self._store(found)
        await self._consumer.commit(offsets)

    async def adopt(self, partitions: Iterable[TopicPartition]) -> None:
        """Store the log to which committed positions belong; retried at the next commit."""
        for partition in partitions:
            known = self._membership.logs.get(partition)
            if known is None or not known.is_new:
                continue
            try:
                with pymongo.timeout(READ_SECONDS):
                    await logs.adopt(self._logs, known.place)
            except PyMongoError as error:
                self._adopting_log.warning(
                    "a partition's log is not stored; a restart would read it from its beginning",
                    partition=partition.partition,
                    error=str(error)[:500],
                )
            else:
                self._adopting_log.resolved("logs of partitions are stored again")
                known.stored_log = known.place.log

    async def _store(self, positions: Mapping[logs.Place, int]) -> None:
        if not positions:
            return
        try:
            with pymongo.timeout(WRITE_SECONDS):
                await logs.store_positions(self._logs, positions)
        except BulkWriteError as error:
            self._storing_log.warning(
                "positions are not stored; a restart would read partitions from their beginning",
                partitions=sorted(place.partition for place in positions),
                error=str(error)[:500],
            )
        else:
            self._storing_log.resolved("positions are stored again")
