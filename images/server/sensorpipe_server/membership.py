"""This server's membership of the consumer group."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiokafka import ConsumerRebalanceListener, TopicPartition

from sensorpipe_server import metrics

if TYPE_CHECKING:
    from sensorpipe_server.fences import Lines

log = logging.getLogger(__name__)


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Which generation of the group this is, and the fences of its partitions."""

    def __init__(self) -> None:
        self.generation = 0
        self.assigned = False
        self.partitions: frozenset[int] = frozenset()
        self.lines: dict[TopicPartition, Lines] = {}

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002  all are revoked
        """Forget everything: the next owner may change it."""
        self.generation += 1
        self.assigned = False
        self.partitions = frozenset()
        self.lines = {}
        metrics.CONSUMER_LAG.clear()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Be ready."""
        self.assigned = True
        self.partitions = frozenset(tp[1] for tp in assigned)
        log.info("partitions assigned", extra={"partitions": sorted(self.partitions)})
