"""Readings in, durable partials out, acknowledgements back: the order that loses nothing."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from sensorpipe_runtime.progress import Progress
from sensorpipe_schema.backoff import Backoff
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.mqtt.frames import Message
from sensorpipe_schema.mqtt.subscriber import Subscriber
from sensorpipe_schema.partial import MAX_IN_FLIGHT, Origin, pairs

from sensorpipe_compactor.budget import Budget
from sensorpipe_compactor.journal import Journal
from sensorpipe_compactor.records import dead_letter_record, partial_record
from sensorpipe_compactor.reduce import parts, reduce_window
from sensorpipe_compactor.settings import Settings
from sensorpipe_compactor.subscriptions import filters_header
from sensorpipe_compactor.windows import DeadLetter, Window, Windows

_TICK: Final = 0.05
"""Seconds between two looks at the clock."""

_MAX_UNSETTLED: Final = 4 * MAX_IN_FLIGHT
"""Messages held in memory; only QoS 0 can exceed what a broker has in flight. Then we read on
once something is durable."""

_MAX_DEAD_BYTES: Final = 16 * 1024 * 1024
"""Bytes of dead letters held in memory, likewise."""

_log = logging.getLogger(__name__)


class Compactor:
    """Takes messages from its subscriber, flushes windows to its journal, acknowledges.

    A message is acknowledged when every window and dead letter that holds a
    message of its number or a lower one is durable. So the first number of each
    open window is all the bookkeeping there is; PUBACKs keep the order of
    receipt; and the repeat of a reading that a window still holds is not
    acknowledged before that window, because its number is higher.
    """

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.journal = journal
        self.windows = Windows(settings.window_ms, settings.lateness_ms)
        self.budget = Budget()
        self.subscriber = Subscriber(
            settings.mqtt, settings.client_id, [settings.topic_filter], self
        )
        self.progress = Progress(lambda: self.subscriber.inbox.held > 0)
        """Moves with each round of the flush loop, and with each attempt at Kafka."""
        journal.on_attempt = self.progress.moved
        self.partials = 0
        self.readings = 0
        self.early_flushes = 0
        self.dead_letters: Counter[str] = Counter()
        self.sessions_lost = 0
        self._name = settings.name
        self._dead_backoff = Backoff(1.0, 30.0, least=0.5)
        self._dead_again_at = 0.0
        self._settled = 0
        self._had_session = False
        self._stopping = False
        self._wake = asyncio.Event()

    async def begin(self) -> None:
        """Begin an epoch: restore what is durable, and learn what the session may hold."""
        await self.journal.open(self.restore)
        self.subscriber.former = set(self.journal.subscriptions.former)

    def restore(self, message: CompactedReading) -> None:
        """Take note of an own partial that is durable already."""
        for entry in message.sensors:
            for source in entry.sources:
                intervals = pairs(source.bounds)
                self.windows.restore(message.facility, entry.sensor, source.src, intervals)
            self._had_session = True

    # What the subscriber calls.

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        """Take a batch; stop reading where it would grow beyond all bounds."""
        self.windows.add(messages, before, time.time_ns() // 1_000_000)
        now, held = time.monotonic(), self.subscriber.inbox.held
        self.budget.received(held, now)
        if self.budget.wants_flush(held, now) or self.windows.dead:
            self._wake.set()
        if before - self._settled > _MAX_UNSETTLED or self.windows.dead_bytes > _MAX_DEAD_BYTES:
            self.subscriber.pause()
            self._wake.set()

    def on_connected(self, *, session_present: bool) -> None:
        """Take note of a new connection."""
        self.budget.reconnected()
        if self._had_session and not session_present:
            self.sessions_lost += 1
            _log.warning("The broker has forgotten our session; readings may be lost")
        self._had_session = True

    # The flush loop.

    async def run(self) -> None:
        """Flush what is due until stopped; then flush the rest and disconnect."""
        while not self._stopping:
            await self._tick()
            await self.flush(everything=self._is_pressed())
            self.progress.moved()
            self.progress.look()
        await self.flush(everything=True)
        await self.subscriber.close()

    def stop(self) -> None:
        """Receive nothing more, and let `run` end."""
        self._stopping = True
        self.subscriber.pause()
        self._wake.set()

    async def _tick(self) -> None:
        """Wait until somebody is in a hurry, or a moment has passed."""
        try:
            async with asyncio.timeout(_TICK):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _is_pressed(self) -> bool:
        """Whether to flush before time: the broker waits for us, or memory fills up."""
        inbox = self.subscriber.inbox
        if inbox.received - self._settled > _MAX_UNSETTLED:
            return True
        return self.budget.wants_flush(inbox.held, time.monotonic())

    async def flush(self, *, everything: bool) -> None:
        """Make the windows that are due (or all) durable, then acknowledge what that allows."""
        windows = self.windows
        if everything:
            taken = windows.take_all()
            self.early_flushes += bool(taken)
        else:
            taken = windows.take_due(time.time_ns() // 1_000_000)
        dead = windows.take_dead() if time.monotonic() >= self._dead_again_at else []
        lowest = windows.lowest_number()
        through = self.subscriber.inbox.received if lowest is None else lowest - 1
        if taken:
            await self._append(taken)
        if dead:
            self.subscriber.acknowledge(min(through, dead[0].number - 1))
            if not await self._set_apart(dead):
                windows.return_dead(dead)
                through = min(through, dead[0].number - 1)
        self._settle(through)

    async def _set_apart(self, dead: list[DeadLetter]) -> bool:
        """Try once to make dead letters durable: readings do not wait for them."""
        if not await self.journal.set_apart([dead_letter_record(letter) for letter in dead]):
            self._dead_again_at = time.monotonic() + self._dead_backoff.next()
            return False
        self._dead_backoff.reset()
        self.dead_letters.update(letter.reason for letter in dead)
        return True

    async def _append(self, taken: list[Window]) -> None:
        records = []
        received = self.subscriber.inbox.at_qos_1
        made = [part for window in taken for part in parts(window)]
        filters = filters_header(self.journal.subscriptions.wanted | self.subscriber.former)
        for number, window in enumerate(made, self.partials + 1):
            origin = Origin(self._name, self.journal.epoch, number, received)
            records.append(partial_record(reduce_window(window, origin), [filters]))
        await self.journal.append(records)
        self.partials += len(made)
        self.readings += sum(window.count for window in taken)

    def _settle(self, through: int) -> None:
        self._settled = max(self._settled, through)
        inbox = self.subscriber.inbox
        held = inbox.held
        self.subscriber.acknowledge(through)
        if inbox.held < held:
            self.budget.acknowledged(held, time.monotonic())
        if not self._stopping and not self._is_full():
            self.subscriber.resume()

    def _is_full(self) -> bool:
        """Whether memory holds all it may, because dead letters cannot be written."""
        windows = self.windows
        unsettled = self.subscriber.inbox.received - self._settled
        return bool(windows.dead) and (
            unsettled > _MAX_UNSETTLED or windows.dead_bytes > _MAX_DEAD_BYTES
        )
