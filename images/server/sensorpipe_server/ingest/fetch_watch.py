"""Detects fetches that Kafka does not answer; aiokafka retries for ever and only logs it."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

FAILED_AFTER: Final = 45.0
"""Seconds without an answer after which fetching has failed; the liveness probe allows more."""


class FetchesFailedError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """For FAILED_AFTER seconds Kafka has not answered a fetch, or not admitted this consumer."""


class FetchWatch:
    """Watches the fetches of one consumer.

    Kafka answers a fetch twice a second, even if there is nothing new. The times of answers come
    from a wall clock, so they are compared with each other only.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[TopicPartition, int | None] = {}
        self._since: dict[TopicPartition | None, float] = {None: clock()}

    def check(
        self,
        answer_times: Mapping[TopicPartition, int | None],
        received: Collection[TopicPartition],
        *,
        joined: bool,
    ) -> None:
        """Raise FetchesFailedError if one partition, or the group, has waited for too long.

        `answer_times` has the time of Kafka's last answer for each assigned partition, `received`
        the partitions whose records just arrived, and `joined` whether any partition is assigned.
        """
        now, before = self._clock(), self._since
        self._since = {None: now if joined else before[None]}
        for partition, at in answer_times.items():
            answered = partition in received or at != self._last.get(partition)
            self._since[partition] = now if answered else before.get(partition, now)
        self._last = dict(answer_times)
        stuck = {key for key, since in self._since.items() if now - since > FAILED_AFTER}
        if None in stuck:
            raise FetchesFailedError(f"not admitted to the consumer group for {FAILED_AFTER:.0f} s")
        if stuck:
            numbers = sorted(key.partition for key in stuck if key is not None)
            raise FetchesFailedError(
                f"no fetch from the partitions {numbers} was answered for {FAILED_AFTER:.0f} s"
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time in which nothing is fetched."""
        begun = self._clock()
        try:
            yield
        finally:
            passed = self._clock() - begun
            self._since = {key: since + passed for key, since in self._since.items()}
