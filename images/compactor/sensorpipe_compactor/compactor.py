"""Readings in, durable partials out, acknowledgements back: the order that loses nothing."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.liveness import Progress
from sensorpipe_runtime.mqtt.frames import MAX_IN_FLIGHT, Message
from sensorpipe_runtime.mqtt.subscriber import Subscriber
from sensorpipe_runtime.throttled_log import ThrottledLogger
from sensorpipe_schema.feed.report import CompactorReport, encode_report
from sensorpipe_schema.reading import MAX_AHEAD_MS

from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.feeds.feed_set import FeedSet
from sensorpipe_compactor.feeds.folder import FeedFolder
from sensorpipe_compactor.feeds.intake import FeedIntake
from sensorpipe_compactor.feeds.reporting import report_feeds
from sensorpipe_compactor.feeds.watcher import FeedWatcher
from sensorpipe_compactor.inflight_limit import InFlightLimit
from sensorpipe_compactor.itemizing_log import ItemizingLog
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import dead_letter_record
from sensorpipe_compactor.output.writer import Writer
from sensorpipe_compactor.refusal_log import RefusalLog
from sensorpipe_compactor.settings import Settings
from sensorpipe_compactor.windowing.buffers import Window
from sensorpipe_compactor.windowing.kept_messages import DeadLetter
from sensorpipe_compactor.windowing.sources import Sources
from sensorpipe_compactor.windows import Windows

_TICK: Final = 0.05
"""Seconds between two rounds of the flush loop, if nothing wakes it."""

_MAX_UNSETTLED: Final = 4 * MAX_IN_FLIGHT
"""Largest number of messages in memory; beyond it reading pauses until some are durable. Only
messages of QoS 0 can exceed the broker's in-flight limit."""

_MANY_IN_FLIGHT: Final = 5_000
"""In-flight limit from which on messages may be gathered: a broker that grants fewer may have sent
them all, and wait."""

_MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Bytes of dead letters, and of readings ahead of our clock, beyond which reading pauses."""

_MAX_DEAD_AT_ONCE: Final = 2_000
"""Largest number of dead letters in one attempt. All or none of them count as written, so after
an attempt that took too long the next one is smaller."""

_CLOCK_BEHIND: Final = "This machine's clock is behind most sources: their readings are held"

log = logging.getLogger(__name__)


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
        sources = Sources(settings.source_bytes)
        self.windows = Windows(settings.window_ms, settings.lateness_ms, sources)
        self._writer = Writer(journal, self.windows, settings.name)
        self.in_flight_limit = InFlightLimit()
        self.subscriber = Subscriber(
            settings.mqtt, settings.client_id, list(settings.topic_filters), self
        )
        self.subscriber.former_filters = journal.subscriptions.former_filters
        self.progress = Progress(lambda: self.subscriber.inbox.unacknowledged > 0)
        """Moves with each round of the flush loop, and with each attempt at Kafka."""
        journal.on_attempt = self.progress.moved
        journal.clock_ahead_s = self._clock_ahead_s
        self.watcher: FeedWatcher | None = None
        """Looks at the folder of Feeds, if there is one."""
        if settings.feeds is not None:
            self.watcher = FeedWatcher(FeedFolder(settings.feeds))
            self.windows.feeds = FeedIntake()
        self._topic_filters = settings.topic_filters
        self._unwritten_filters: asyncio.Future[None] | None = None
        self.early_flushes = 0
        """Flushes of windows that were not due."""
        self.dead_letters: Counter[str] = Counter()
        """Dead letters that are durable, by reason."""
        self.sessions_lost = 0
        """Connections at which the broker had forgotten our session."""
        self.clock_behind_s: int | None = None
        """Seconds by which our clock is behind most sources; their readings wait for it."""
        self._clock_log = ThrottledLogger(log, on_change=False)
        self._itemizing_log = ItemizingLog(settings.window_ms)
        self._refusal_log = RefusalLog()
        self._dead_backoff = Backoff(1.0, 30.0, least=0.5)
        self._dead_again_at = 0.0
        self._dead_at_once = _MAX_DEAD_AT_ONCE
        self._dead_under_way = 0
        self._settled = 0
        self._has_acknowledged = False
        self._had_session = False
        self._stopping = False
        self._wake = asyncio.Event()

    @property
    def partials(self) -> int:
        """Partials that are durable."""
        return self._writer.partials

    @property
    def readings(self) -> int:
        """Readings that are durable."""
        return self._writer.readings

    @property
    def itemized(self) -> int:
        """Readings that are durable one by one, since they may be in another partial as well."""
        return self._writer.itemized

    @property
    def dead_letters_waiting(self) -> int:
        """Dead letters that are not durable: nothing behind the first of them is acknowledged."""
        return len(self.windows.dead_letters) + self._dead_under_way

    async def begin(self) -> None:
        """Begin a run: learn which readings may be durable, and what the session may hold."""
        if self.watcher is not None and (feeds := await self.watcher.look()) is not None:
            self.journal.subscriptions.want([*self._topic_filters, *feeds.filters])
            await self._use(feeds)
        await self.journal.open()
        self.windows.horizon = self.journal.horizon
        self._had_session = self.journal.former_partials > 0

    async def watch_feeds(self) -> None:
        """Take other Feeds into use as the folder has them, until cancelled."""
        if self.watcher is not None:
            await self.watcher.run(self._change_feeds, self._ask_again)

    async def _ask_again(self) -> None:
        """Ask once more for filters that the broker refused: its rights may have changed."""
        if self.subscriber.refused_filters and self.windows.feeds is not None:
            await self.subscriber.subscribe_also(self.windows.feeds.feeds.filters)

    async def _change_feeds(self, feeds: FeedSet) -> None:
        """Take other Feeds into use, once it is durable what will be subscribed."""
        self.journal.subscriptions.want([*self._topic_filters, *feeds.filters])
        self._unwritten_filters = asyncio.get_running_loop().create_future()
        self._wake.set()
        await self._unwritten_filters
        await self._use(feeds)

    async def _use(self, feeds: FeedSet) -> None:
        if self.windows.feeds is not None:
            self.windows.feeds.use(feeds)
        await self.subscriber.subscribe_also(feeds.filters)

    def report_feeds(self) -> bytes:
        """Return what became of the Feeds as JSON; may be called from any thread."""
        if self.watcher is None or self.windows.feeds is None:
            return encode_report(CompactorReport(connected=self.subscriber.ready))
        folder = self.watcher.folder
        return encode_report(report_feeds(folder, self.windows.feeds, self.subscriber))

    def readiness(self) -> bool | str:
        """Return whether readings are processed, or a text that says why our clock prevents it."""
        if self.clock_behind_s is not None:
            return f"this machine's clock is {self.clock_behind_s} s behind most sources"
        return self.subscriber.ready

    # What the subscriber calls.

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        """Take a batch; stop reading where it would grow beyond all bounds."""
        self.windows.add(messages, before, read_clocks())
        self.in_flight_limit.received(self.subscriber.inbox.unacknowledged, time.monotonic())
        self.subscriber.gathers = self.in_flight_limit.messages >= _MANY_IN_FLIGHT
        if self._is_full:
            self.subscriber.pause()
        if self._is_pressed() or self.windows.dead_letters:
            self._wake.set()

    def on_connected(self, *, session_present: bool) -> None:
        """Take note of a new connection."""
        self.in_flight_limit.reconnected()
        if self._had_session and not session_present:
            self.sessions_lost += 1
            log.warning("The broker has forgotten our session; readings may be lost")
        self._had_session = True

    # The flush loop.

    async def run(self) -> None:
        """Flush what is due until stopped; then flush the rest and disconnect."""
        while not self._stopping:
            await self._tick()
            await self._write_filters()
            await self.flush(everything=self._is_pressed())
            self.progress.moved()
            self.progress.look()
        await self.flush(everything=True)
        while self.windows.dead_letters and self._may_write_dead_letters():
            await self.flush(everything=True)  # one takes a part of the dead letters
            self.progress.moved()
        await self.subscriber.close()

    def stop(self) -> None:
        """Receive nothing more, and let `run` end."""
        self._stopping = True
        self.subscriber.pause()
        self._wake.set()

    async def _write_filters(self) -> None:
        """Write down what is to be subscribed, if that is asked for."""
        if self._unwritten_filters is not None:
            await self.journal.write_filters()
            self._unwritten_filters.set_result(None)
            self._unwritten_filters = None

    async def _tick(self) -> None:
        """Wait until a flush is wanted, or 50 ms have passed."""
        timer = asyncio.get_running_loop().call_later(_TICK, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        self._wake.clear()

    def _is_pressed(self) -> bool:
        """Whether to flush before time: the broker waits for us, or memory fills up."""
        return self._is_full or self.in_flight_limit.wants_flush(
            self.subscriber.inbox.unacknowledged, len(self.windows.open), time.monotonic()
        )

    async def flush(self, *, everything: bool) -> None:
        """Make the windows that are due (or all) durable, then acknowledge what that allows.

        In slices, so that neither the event loop nor an acknowledgement waits for all of them.
        What comes meanwhile is for the next flush.
        """
        windows, now, self._has_acknowledged = self.windows, read_clocks(), False
        self._compare_clocks(now)
        self._itemizing_log.update(windows.horizon, now, self.itemized)
        windows.reused.warn_if_due(now.steady_ms)
        while (due := windows.take_due(now)) or windows.open.is_behind:
            await (self._write(due) if due else asyncio.sleep(0))
        received, is_early = self.subscriber.inbox.received, False
        while everything and (oldest := windows.take_oldest(received)):
            is_early = True
            await self._write(oldest)
        self.early_flushes += is_early
        await self._flush_dead_letters(now)

    async def _write(self, windows: list[Window]) -> None:
        """Make windows durable that were taken out, and acknowledge what that allows."""
        through = self._durable_through()
        await self._writer.write(windows, self.journal.subscriptions.header())
        if self.windows.dead_letters:  # one may be a reading of these windows
            through = min(through, self.windows.dead_letters[0].number - 1)
        self._settle(through)
        self.progress.moved()

    async def _flush_dead_letters(self, now: Instant) -> None:
        """Make an attempt at dead letters, and acknowledge what that allows."""
        windows = self.windows
        dead = (
            windows.take_dead_letters(self._dead_at_once) if self._may_write_dead_letters() else []
        )
        self._refusal_log.note(dead, now.steady_ms)
        through = self._durable_through()
        if dead:
            self.subscriber.acknowledge(min(through, dead[0].number - 1))
            self._dead_under_way = len(dead)
            is_apart = await self._write_dead_letters(dead)
            self._dead_under_way = 0
            if not is_apart:
                windows.return_dead_letters(dead)
                through = min(through, dead[0].number - 1)
            elif windows.dead_letters:
                self._wake.set()  # for the rest
        self._settle(through)

    def _durable_through(self) -> int:
        """Return up to which number all messages are durable, or are written just now."""
        lowest = self.windows.lowest_number()
        return self.subscriber.inbox.received if lowest is None else lowest - 1

    def _compare_clocks(self, now: Instant) -> None:
        """Take out what waited for our clock; say so while most sources are ahead of it."""
        behind = self.windows.judge_ahead(now)
        if behind is None:
            self.clock_behind_s = None
            self._clock_log.resolved("This machine's clock agrees with the sources again")
            return
        self.clock_behind_s = round(behind / 1000)
        self._clock_log.warning(_CLOCK_BEHIND, behind_seconds=self.clock_behind_s)

    def _clock_ahead_s(self) -> int:
        """Return by how many seconds our clock is ahead of all sources; 0 if by few or none."""
        lead = self.windows.clock.lead_ms(read_clocks())
        return round(-lead / 1000) if lead is not None and lead < -MAX_AHEAD_MS else 0

    def _may_write_dead_letters(self) -> bool:
        """Whether the pause after an attempt at dead letters that failed is over."""
        return time.monotonic() >= self._dead_again_at

    async def _write_dead_letters(self, dead: list[DeadLetter]) -> bool:
        """Try once to make dead letters durable: readings do not wait for them."""
        if not await self.journal.write_dead_letters(
            [dead_letter_record(letter) for letter in dead]
        ):
            self._dead_again_at = time.monotonic() + self._dead_backoff.next()
            self._dead_at_once = max(1, self._dead_at_once // 2)  # there may be no time for more
            return False
        self._dead_backoff.reset()
        self._dead_at_once = min(2 * self._dead_at_once, _MAX_DEAD_AT_ONCE)
        self.dead_letters.update(letter.reason for letter in dead)
        return True

    def _settle(self, through: int) -> None:
        self._settled = max(self._settled, through)
        inbox = self.subscriber.inbox
        unacknowledged = inbox.unacknowledged
        self.subscriber.acknowledge(through)
        if inbox.unacknowledged < unacknowledged and not self._has_acknowledged:
            self._has_acknowledged = True  # the level of which the limit learns is that before it
            self.in_flight_limit.acknowledged(unacknowledged, time.monotonic())
        if not self._stopping and not self._is_full:
            self.subscriber.resume()

    @property
    def _is_full(self) -> bool:
        """Whether memory holds all it may."""
        unsettled = self.subscriber.inbox.received - self._settled
        return unsettled > _MAX_UNSETTLED or self.windows.kept_bytes > _MAX_KEPT_BYTES


def read_clocks() -> Instant:
    """Return the present on the wall clock and on the monotonic clock, in milliseconds."""
    return Instant(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)
