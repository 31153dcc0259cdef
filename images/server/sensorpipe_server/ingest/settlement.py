"""Sends dead letters and commits offsets, while the next batch is already being stored.

While dead letters cannot be sent, later partials are stored all the same, but no offset is
committed: a restart reads these partials again, and they are redeliveries.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from pymongo.errors import PyMongoError
from sensorpipe_runtime.backoff import retry_backoff
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.ingest import metrics
from sensorpipe_server.ingest.dead_letter import DeadLetters
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.storage.pending import RefusedRecord

MAX_LETTERS: Final = 10_000
"""Largest number of dead letters that wait to be sent; more are read again later."""

MAX_BYTES: Final = 16 * 1024 * 1024
"""Largest size in bytes of the dead letters that wait to be sent; more are read again later."""

CHUNK: Final = 500
"""Largest number of dead letters sent at a time."""

COMMIT_SECONDS: Final = 30.0
"""Seconds after which an attempt to commit fails."""

_FAILURES: Final = (KafkaError, IllegalStateError, OSError)
_WAIT: Final = "dead letters cannot be written; partials are stored, their offsets not committed"

log = logging.getLogger(__name__)


class LettersLeftOutError(Exception):
    """More dead letters came than fit into memory; the records left out have to be read again."""


class OffsetCommitter(Protocol):
    """The part of a consumer that commits offsets."""

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Commit offsets, or raise KafkaError or PyMongoError."""


@dataclass(slots=True)
class _Unsettled:
    """What is stored in one generation, but not settled yet."""

    generation: int
    letters: list[RefusedRecord] = field(default_factory=list)
    bytes: int = 0
    positions: dict[TopicPartition, int] = field(default_factory=dict)


class Settlement:
    """Sends dead letters, then commits; a committed position never passes an unsent letter."""

    def __init__(
        self,
        consumer: OffsetCommitter,
        membership: Membership,
        letters: DeadLetters,
        explain: Callable[[BaseException], Awaitable[str]],
        on_committed: Callable[[Iterable[TopicPartition]], Awaitable[None]],
    ) -> None:
        """Call `on_committed` with the partitions whose positions were committed."""
        self._consumer = consumer
        self._membership = membership
        self._dead_letters = letters
        self._explain = explain
        self._on_committed = on_committed
        self._throttled_log = ThrottledLogger(log)
        self._next = _Unsettled(membership.generation)
        self._waiting = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._left_out = False

    def add(
        self, generation: int, positions: dict[TopicPartition, int], refused: list[RefusedRecord]
    ) -> None:
        """Queue stored positions to be committed, and `refused` records as dead letters."""
        if self._next.generation != generation:
            self._next, self._left_out = _Unsettled(generation), False
        unsettled, size = self._next, sum(map(_bytes_of, refused))
        full = (
            len(unsettled.letters) + len(refused) > MAX_LETTERS
            or unsettled.bytes + size > MAX_BYTES
        )
        if self._left_out or (unsettled.letters and refused and full):
            self._left_out = True  # so nothing after it is committed
            return
        unsettled.letters += refused
        unsettled.bytes += size
        unsettled.positions |= positions
        self._settled.clear()
        self._waiting.set()

    async def finish(self) -> None:
        """Return once everything added is settled."""
        await self._settled.wait()

    async def run(self) -> None:
        """Send dead letters and commit what is added, until cancelled.

        Raises LettersLeftOutError once dead letters can be sent, if some were left out.
        """
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            unsettled, self._next = self._next, _Unsettled(self._next.generation)
            await self._send(unsettled)
            await self._commit(unsettled)
            if self._waiting.is_set():
                continue
            self._settled.set()
            if self._left_out and self._is_current(unsettled):
                raise LettersLeftOutError

    async def _send(self, unsettled: _Unsettled) -> None:
        """Retry until all dead letters are durable, or a rebalance came."""
        backoff = retry_backoff()
        while unsettled.letters and self._is_current(unsettled):
            chunk = unsettled.letters[:CHUNK]
            try:
                await self._dead_letters.send(chunk)
            except _FAILURES as error:
                metrics.LETTER_FAILURES.inc()
                self._membership.progress.moved()
                unsettled.letters[:CHUNK] = chunk  # without what is durable already
                topic, reason = self._dead_letters.topic, await self._explain(error)
                self._throttled_log.warning(_WAIT, topic=topic, error=reason)
                await asyncio.sleep(backoff.next())
            else:
                del unsettled.letters[:CHUNK]
                self._membership.progress.moved()
                self._throttled_log.resolved(
                    "dead letters are written again", topic=self._dead_letters.topic
                )

    async def _commit(self, unsettled: _Unsettled) -> None:
        """Retry until committed, or until a rebalance: then all is read again, as redeliveries."""
        backoff = retry_backoff()
        while unsettled.positions and self._is_current(unsettled):
            try:
                async with asyncio.timeout(COMMIT_SECONDS):
                    await self._consumer.commit(unsettled.positions)
            except (*_FAILURES, PyMongoError) as error:
                self._membership.progress.moved()
                log.info("offsets not committed", extra={"error": repr(error)})
                await asyncio.sleep(backoff.next())
            else:
                self._membership.note_committed(unsettled.positions)
                await self._on_committed(unsettled.positions)
                return

    def _is_current(self, unsettled: _Unsettled) -> bool:
        return self._membership.generation == unsettled.generation


def _bytes_of(letter: RefusedRecord) -> int:
    return len(letter.record.value or b"") + len(letter.record.key or b"")
