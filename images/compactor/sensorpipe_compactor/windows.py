"""Event-time windows: takes batches of messages, says which windows are due, hands them out."""

import json
from bisect import insort
from collections.abc import Iterator, Sequence
from typing import Final

from sensorpipe_runtime.mqtt.frames import Message, Refused
from sensorpipe_schema.feed.decoder import MAX_PAYLOAD as MAX_FEED_PAYLOAD
from sensorpipe_schema.names import BadTopicError, reading_topic, split_topic
from sensorpipe_schema.reading import (
    AHEAD,
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_PAYLOAD,
    BadReadingError,
    Reading,
    decode,
    decode_fast,
)

from sensorpipe_compactor.buffers import (
    AheadMessage,
    Bucket,
    DeadLetter,
    Facility,
    SeqKind,
    Source,
    Window,
    memory_bytes,
    without_properties,
)
from sensorpipe_compactor.clock_check import ClockCheck, Instant, WrongClock
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_compactor.feeds.intake import FeedIntake, is_native
from sensorpipe_compactor.reused import ReusedSources
from sensorpipe_compactor.sources import Sources

_NEARLY_TOO_OLD_MS: Final = 3_600_000
"""Milliseconds before a window becomes too old within which each of its readings is checked."""

_LONGEST: Final = 2
"""Longest time that a window stays open, as a multiple of window and lateness. Otherwise a facility
whose event time stands still would keep it, and every PUBACK behind it, back."""

_NOTED_STEP_MS: Final = 1_000
"""Of each source in a batch, the first reading is compared with our clock, and those that are
younger by so many milliseconds of event time."""


class Windows:
    """All facilities' windows. The caller says what time it is."""

    def __init__(self, window_ms: int, lateness_ms: int, sources: Sources | None = None) -> None:
        self.dead_letters: list[DeadLetter] = []
        self.ahead: list[AheadMessage] = []
        self.kept_bytes = 0
        """Bytes of dead letters and of messages that are ahead."""
        self.clock = ClockCheck()
        self.horizon = Horizon()
        """What may be durable already comes before it."""
        self.duplicates = 0
        """Readings dropped because their `seq` is durable or held already."""
        self.reused = ReusedSources()
        self.late = 0
        """Readings of windows that had been closed before."""
        self.feeds: FeedIntake | None = None
        """Takes messages of other topics; None if there are no Feeds."""
        self.sources = sources if sources is not None else Sources()
        self._window_ms = window_ms
        self._lateness_ms = lateness_ms
        self._facilities: dict[str, Facility] = {}
        self._noted_at = 0
        self._noted_ts: dict[str, int] = {}

    # Taking readings.

    def add(self, messages: Sequence[Message], before: int, now: Instant) -> None:
        """Take a batch whose messages have the numbers from `before + 1`."""
        self.horizon.notice_step(now)  # before readings are taken that it lets in
        self._move_horizon()
        of_topic, decode_payload, longest = self.sources.by_topic.get, decode_fast, MAX_PAYLOAD
        number = before
        for message in messages:
            number += 1
            by_src = of_topic(message.topic)
            if by_src is not None:
                payload = message.payload
                try:
                    reading = decode_payload(payload)
                    source = by_src[reading.src]
                    ts = reading.ts
                    if (
                        source.start <= ts < source.end
                        and reading.seq == source.next
                        and len(payload) <= longest
                    ):
                        source.next += source.step
                        source.append(reading.val)
                        facility = source.facility
                        facility.is_active = True
                        if ts > facility.newest_ms:  # noqa: PLR1730  max() costs four times this
                            facility.newest_ms = ts
                        continue
                except (KeyError, ValueError, RecursionError):
                    pass  # a new source, or no reading: the slow path finds out
            self._add_slow_path(message, number, now)

    def judge_ahead(self, now: Instant) -> int | None:
        """Decide what becomes of the messages that are ahead of our clock.

        They are readings once our clock has reached them, and dead letters where their
        source's clock is wrong. Where ours is, they wait: then return by how many
        milliseconds it is behind; None otherwise.
        """
        self.horizon.look(now, self.clock)
        self._move_horizon()
        if not self.ahead:
            return None
        wrong = self.clock.judge(now)
        kept, self.ahead = self.ahead, []
        for each in kept:
            if wrong is WrongClock.THEIRS or each.ts <= now.wall_ms + MAX_AHEAD_MS:
                self.kept_bytes -= memory_bytes(each.message)
                self._add_slow_path(each.message, each.number, now, is_judged=True)
            else:
                self.ahead.append(each)
        return self.clock.behind_ms(now) if self.ahead and wrong is WrongClock.OURS else None

    def _move_horizon(self) -> None:
        if self.horizon.ms != self.sources.horizon_ms:
            self.sources.move_horizon(self.horizon.ms)

    def keep_ahead(self, message: Message, number: int, ts: int) -> None:
        """Keep a message that is ahead of our clock, until it is known whose clock is wrong."""
        self.kept_bytes += memory_bytes(message)
        self.ahead.append(AheadMessage(number, without_properties(message), ts))

    def _add_slow_path(
        self, message: Message, number: int, now: Instant, *, is_judged: bool = False
    ) -> None:
        topic, payload = message.topic, message.payload
        if self.feeds is not None and not is_native(message):
            self.feeds.add(self, message, number, now, is_judged=is_judged)
            return
        if isinstance(message, Refused):
            self.dead_letter(message, number, message.reason, "the MQTT packet is not valid")
            return
        try:
            facility, sensor = split_topic(topic)
            reading = decode(payload, now.wall_ms)
        except (BadTopicError, BadReadingError) as error:
            if error.reason == AHEAD and not is_judged:
                ahead = decode_fast(payload)
                self.note(topic, split_topic(topic)[0], ahead, now)
                self.keep_ahead(message, number, ahead.ts)
            else:
                self.dead_letter(message, number, error.reason, str(error))
            return
        if not is_judged:
            self.note(topic, facility, reading, now)
        self.take(topic, (facility, sensor), reading, number, now)

    def take(
        self,
        topic: str,
        names: tuple[str, str],
        reading: Reading,
        number: int,
        now: Instant,
        *,
        kind: SeqKind = SeqKind.COUNT,
        unit: str = "",
    ) -> None:
        """Put a valid reading of a facility and sensor into its window, unless it came before."""
        src = reading.src if reading.seq else None
        source = self._source(topic, names, src, kind)
        source.settle()
        if src is not None and reading.seq in source.seen:
            self.duplicates += 1
            if reading.ts >= source.until_ms:  # a repeat is no newer than what was counted
                self.reused.note(names[0], src)
            return
        if source.bucket is None:
            self.sources.touch(topic, source)
        bucket = self._place(source, reading, number, now)
        if unit:
            bucket.unit = unit

    def note(self, topic: str, facility: str, reading: Reading, now: Instant) -> None:
        """Compare a source's clock with ours, not with every reading of a batch."""
        if now.steady_ms != self._noted_at:
            self._noted_at, self._noted_ts = now.steady_ms, {}
        source = _src_or_facility(facility, reading)
        if reading.ts >= self._noted_ts.get(source, 0) + _NOTED_STEP_MS:
            self._noted_ts[source] = reading.ts
            self.clock.note(source, topic, reading.ts, now)

    def dead_letter_window(self, window: Window, reason: str, detail: str) -> None:
        """Make a dead letter of the one reading of a window whose partial is too large."""
        (sensor, bucket), *_ = window.buckets.items()
        (src, portion), *_ = bucket.portions.items()
        described: dict[str, object] = {
            "window_start_ms": window.start_ms,
            "src": src,
            "count": window.count,
            "first_seq": min((first for first, _ in portion.intervals), default=None),
            "last_seq": max((last for _, last in portion.intervals), default=None),
        }
        topic = reading_topic(window.facility, sensor)
        payload = json.dumps(described).encode()
        letter = DeadLetter(window.first_number, topic, payload, reason, detail)
        self.kept_bytes += memory_bytes(letter)
        insort(self.dead_letters, letter, key=_number)

    def dead_letter(
        self, message: Message, number: int, reason: str, detail: str, feed: str | None = None
    ) -> None:
        """Make a dead letter of a message, with as much of it as a valid one could have."""
        kept = message.payload[: MAX_PAYLOAD if feed is None else MAX_FEED_PAYLOAD]
        letter = DeadLetter(number, message.topic, kept, reason, detail, feed)
        self.kept_bytes += memory_bytes(letter)
        # one that was ahead may come after younger ones
        insort(self.dead_letters, letter, key=_number)

    def _source(self, topic: str, names: tuple[str, str], src: str | None, kind: SeqKind) -> Source:
        source = self.sources.by_topic.get(topic, {}).get(src)
        if source is None:
            facility, sensor = names
            home = self._facilities.setdefault(facility, Facility(facility))
            home.source_count += 1
            source = Source(home, sensor, src, kind)
            forgotten = self.sources.add(topic, source)
            if forgotten is not None:
                forgotten.facility.source_count -= 1
                self._forget_if_idle(forgotten.facility)
        return source

    def _place(self, source: Source, reading: Reading, number: int, now: Instant) -> Bucket:
        """Put a new reading into its window and, where that is safe, begin a run behind it."""
        horizon_ms = max(source.horizon_ms, self.sources.horizon_ms)
        itemized = source.src is not None and reading.ts < horizon_ms
        window = self._window(source, reading.ts, number, now.steady_ms, itemized=itemized)
        bucket = window.buckets.get(source.sensor)
        if bucket is None:
            bucket = window.buckets[source.sensor] = Bucket()
        source.until_ms = max(source.until_ms, window.end_ms)
        portion = bucket.portion(source.src, sparse=source.kind is not SeqKind.COUNT)
        portion.values.append(reading.val)
        facility = source.facility
        facility.is_active = True
        facility.newest_ms = max(facility.newest_ms, reading.ts)
        start, until = window.start_ms, _checked_until(window, now.wall_ms)
        if source.src is None:
            if source.bucket is not bucket:
                source.run_in(bucket, portion, start, until, 0)
        else:
            portion.intervals.add_range(reading.seq, reading.seq)
            source.seen.add_range(reading.seq, reading.seq)
            self.sources.bound(source)
            if reading.seq == source.seen.top:
                if itemized:  # a run stays on one side of the horizon
                    until = min(until, horizon_ms)
                elif start < horizon_ms:
                    start = horizon_ms
                source.run_in(bucket, portion, start, until, reading.seq + 1)
            else:
                source.stop()
        return bucket

    def _window(
        self, source: Source, ts: int, number: int, steady_ms: int, *, itemized: bool
    ) -> Window:
        facility = source.facility
        start = ts - ts % self._window_ms
        key = ~start if itemized else start
        window = facility.windows.get(key)
        if window is not None:
            window.first_number = min(window.first_number, number)  # it may have been ahead
        else:
            end = start + self._window_ms
            late = end <= facility.closed_ms
            window = Window(facility.name, start, end, number, steady_ms, late, itemized)
            facility.windows[key] = window
            facility.active_ms = steady_ms
        return window

    # Handing out windows.

    @property
    def open(self) -> int:
        """How many windows hold readings."""
        return sum(len(facility.windows) for facility in self._facilities.values())

    def lowest_number(self) -> int | None:
        """Return the lowest number of a message that is not handed out; None if there is none."""
        numbers = [window.first_number for window in self._all()]
        numbers += [letter.number for letter in self.dead_letters[:1]]
        numbers += [each.number for each in self.ahead[:1]]
        return min(numbers, default=None)

    def take_due(self, now: Instant) -> list[Window]:
        """Remove and return the windows that time has closed."""
        due: list[Window] = []
        for facility in list(self._facilities.values()):
            if not facility.windows:
                continue
            if facility.is_active:
                facility.is_active, facility.active_ms = False, now.steady_ms
            for window in list(facility.windows.values()):
                if self._is_due(facility, window, now):
                    facility.closed_ms = max(facility.closed_ms, window.end_ms)
                    due.append(self._remove(facility, window))
                elif self._is_overdue(window, now.steady_ms):
                    due.append(self._remove(facility, window))  # not closed: it goes on as new
        return due

    def take_all(self) -> list[Window]:
        """Remove and return every window; those not yet closed go on as new ones."""
        windows: list[Window] = []
        for facility in list(self._facilities.values()):
            windows += [self._remove(facility, w) for w in list(facility.windows.values())]
        return windows

    def take_dead_letters(self, limit: int | None = None) -> list[DeadLetter]:
        """Remove and return dead letters, in the order of their numbers, at most `limit`."""
        dead = self.dead_letters[:limit]
        del self.dead_letters[:limit]
        self.kept_bytes -= sum(map(memory_bytes, dead))
        return dead

    def return_dead_letters(self, dead: list[DeadLetter]) -> None:
        """Take dead letters back that could not be written."""
        self.dead_letters = sorted(dead + self.dead_letters, key=_number)
        self.kept_bytes += sum(map(memory_bytes, dead))

    def _all(self) -> Iterator[Window]:
        for facility in self._facilities.values():
            yield from facility.windows.values()

    def _is_due(self, facility: Facility, window: Window, now: Instant) -> bool:
        """Whether event time has passed the window, or the facility has fallen silent."""
        lateness = self._lateness_ms
        waited = now.steady_ms - window.opened_ms
        if facility.newest_ms >= window.end_ms + lateness and waited >= lateness:
            return True  # a late window waits `lateness`, too, for what else comes late
        silent = now.steady_ms - facility.active_ms
        if now.wall_ms >= window.end_ms + lateness:
            return silent >= lateness
        return silent >= self._window_ms + lateness

    def _is_overdue(self, window: Window, steady_ms: int) -> bool:
        """Whether the window was open for so long that its facility's time must stand still."""
        longest = _LONGEST * (self._window_ms + self._lateness_ms)
        return steady_ms - window.opened_ms >= longest

    def _remove(self, facility: Facility, window: Window) -> Window:
        del facility.windows[~window.start_ms if window.itemized else window.start_ms]
        for bucket in window.buckets.values():
            for source in bucket.running:
                if source.bucket is bucket:
                    source.stop()
            bucket.running.clear()
        if window.late:
            self.late += window.count
        self._forget_if_idle(facility)
        return window

    def _forget_if_idle(self, facility: Facility) -> None:
        if not facility.source_count and not facility.windows:
            self._facilities.pop(facility.name, None)


def _src_or_facility(facility: str, reading: Reading) -> str:
    """Return who sent a reading, as far as it tells; all that a facility leaves out is one."""
    return reading.src if reading.seq and reading.src else f"/{facility}"


def _number(letter: DeadLetter) -> int:
    return letter.number


def _checked_until(window: Window, now_ms: int) -> int:
    """Return until which `ts` a reading of this window needs no check against the clock."""
    if window.start_ms < now_ms - MAX_AGE_MS + _NEARLY_TOO_OLD_MS:
        return 0
    return min(window.end_ms, now_ms + MAX_AHEAD_MS + 1)
