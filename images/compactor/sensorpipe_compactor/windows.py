"""Event-time windows: takes batches of messages, says which windows are due, hands them out."""

import json
from bisect import insort
from collections.abc import Sequence
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

from sensorpipe_compactor.clock_check import ClockCheck, Instant, WrongClock
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_compactor.feeds.intake import FeedIntake, is_native
from sensorpipe_compactor.reused import ReusedSources
from sensorpipe_compactor.windowing.buffers import Portion, Window
from sensorpipe_compactor.windowing.kept_messages import (
    AheadMessage,
    DeadLetter,
    memory_bytes,
    without_properties,
)
from sensorpipe_compactor.windowing.open_windows import OpenWindows
from sensorpipe_compactor.windowing.source import SeqKind, Source
from sensorpipe_compactor.windowing.sources import Sources

_NEARLY_TOO_OLD_MS: Final = MAX_AGE_MS - 3_600_000
"""Milliseconds from which on each reading of a window is checked: it may become too old."""

_NEWEST_MS: Final = MAX_AHEAD_MS + 1

_NOTED_STEP_MS: Final = 1_000
"""Of each source in a batch, the first reading is compared with our clock, and those that are
younger by so many milliseconds of event time."""

MOST_AT_ONCE: Final = 500
"""Windows that are handed out together, about: what reducing them takes holds up nothing else."""

_NOTED_SOURCES: Final = 1_000
"""Sources that are compared with our clock, about; of more, a part that their hashes choose."""


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
        self.feeds: FeedIntake | None = None
        """Takes messages of other topics; None if there are no Feeds."""
        self.sources = sources if sources is not None else Sources()
        self.open = OpenWindows(window_ms, lateness_ms)
        self._noted_part = 1
        """Of so many sources, one is compared with our clock."""
        self._noted_at = 0
        self._noted_ts: dict[str, int] = {}

    # Taking readings.

    def add(self, messages: Sequence[Message], before: int, now: Instant) -> None:
        """Take a batch whose messages have the numbers from `before + 1`."""
        self.horizon.notice_step(now)  # before readings are taken that it lets in
        self._move_horizon()
        of_topic, decode_payload, longest = self.sources.by_topic.get, decode_fast, MAX_PAYLOAD
        number, steady_ms = before, now.steady_ms
        for message in messages:
            number += 1
            source = of_topic(message.topic)
            if source is not None:
                payload = message.payload
                try:
                    reading = decode_payload(payload)
                    if source.src != reading.src:
                        source = source.others[reading.src]
                    if reading.seq == source.next and len(payload) <= longest:
                        ts = reading.ts
                        if source.start <= ts < source.end:
                            source.next += source.step
                            source.values.append(reading.val)
                            source.facility.active_ms = steady_ms
                            continue
                        if self._goes_on(source, reading, number, now):
                            continue
                except (KeyError, ValueError, RecursionError):
                    pass  # a new source, or no reading: the slow path finds out
            self._add_slow_path(message, number, now)

    def _goes_on(self, source: Source, reading: Reading, number: int, now: Instant) -> bool:
        """Begin the next run of a source with the `seq` that follows; False if its `ts` is wrong.

        That is what most sources do in each window, and the only thing where there are many.
        """
        if not -MAX_AGE_MS <= reading.ts - now.wall_ms <= MAX_AHEAD_MS:
            return False
        if not hash(source.src) % self._noted_part:
            self.note(source.topic, source.facility.name, reading, now)
        self._place(source, reading, number, now)
        return True

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
        if src is not None and source.has(reading.seq):
            self.duplicates += 1
            if reading.ts >= source.until_ms:  # a repeat is no newer than what was counted
                self.reused.note(names[0], src)
            return
        portion = self._place(source, reading, number, now)
        if unit:
            portion.unit = unit

    def note(self, topic: str, facility: str, reading: Reading, now: Instant) -> None:
        """Compare a source's clock with ours, not with every reading of a batch."""
        if now.steady_ms != self._noted_at:
            self._noted_at, self._noted_ts = now.steady_ms, {}
        source = _src_or_facility(facility, reading)
        if hash(source) % self._noted_part:
            if reading.ts > now.wall_ms + MAX_AHEAD_MS:
                self.clock.note_ahead(now)
            return
        if reading.ts >= self._noted_ts.get(source, 0) + _NOTED_STEP_MS:
            self._noted_ts[source] = reading.ts
            self.clock.note(source, topic, reading.ts, now)

    def dead_letter_window(self, window: Window, reason: str, detail: str) -> None:
        """Make a dead letter of the one reading of a window whose partial is too large."""
        portion = window.portions[0]
        described: dict[str, object] = {
            "window_start_ms": window.start_ms,
            "src": portion.src,
            "count": window.count,
            "first_seq": min((first for first, _ in portion.intervals), default=None),
            "last_seq": max((last for _, last in portion.intervals), default=None),
        }
        topic = reading_topic(window.facility, portion.sensor)
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
        source = self.sources.find(topic, src)
        if source is None:
            home = self.open.add_source(names[0])
            source = Source(home, topic, names[1], src, kind, step=1 if src is not None else 0)
            self.sources.add(source)
            self._noted_part = 1 + len(self.sources) // _NOTED_SOURCES
            self._forget_excess()
        return source

    def _place(self, source: Source, reading: Reading, number: int, now: Instant) -> Portion:
        """Put a new reading into its window and, where that is safe, begin a run with it."""
        facility, ts, sources = source.facility, reading.ts, self.sources
        seq = horizon_ms = 0  # without a `src` a `seq` means nothing
        if source.src is not None:
            seq, horizon_ms = reading.seq, source.horizon_ms
            if horizon_ms < sources.horizon_ms:
                horizon_ms = sources.horizon_ms
        window = self.open.window(facility, ts, number, now, horizon_ms)
        portion = window.portion(source)
        portion.values.append(reading.val)
        facility.active_ms = now.steady_ms
        start, end_ms = window.start_ms, window.end_ms
        end = _run_end(window, self.open.reached(facility, ts), now.wall_ms)
        if source.until_ms < end_ms:
            source.until_ms = end_ms
        if source.src is not None:
            if seq < source.next:  # it fills a gap
                source.stop()
                portion.add_range(seq, seq)
                source.fill(seq)
                self._bound(source)
                return portion
            if window.itemized:  # a run stays on one side of the horizon
                end = min(end, horizon_ms)
            elif start < horizon_ms:
                start = horizon_ms
        has_gap = seq != source.next
        if end_ms > source.used_ms:
            sources.note_use(source, end_ms)
        source.run_in(portion, start, end, seq)
        if has_gap:
            self._bound(source)
        return portion

    def _bound(self, source: Source) -> None:
        """Forget intervals of a source, and other sources, where they take too much memory."""
        self.sources.bound(source)
        self._forget_excess()

    def _forget_excess(self) -> None:
        while (forgotten := self.sources.excess()) is not None:
            self.open.remove_source(forgotten.facility)

    # Handing out windows.

    @property
    def late(self) -> int:
        """Readings of windows that had been closed before."""
        return self.open.late

    def take_due(self, now: Instant, most: int = MOST_AT_ONCE) -> list[Window]:
        """Remove and return windows that time has closed, at most `most`; see `is_behind`."""
        return self.open.take_due(now, most)

    def take_oldest(self, through: int, most: int = MOST_AT_ONCE) -> list[Window]:
        """Remove and return windows that hold messages up to the number `through`."""
        return self.open.take_oldest(most, through)

    def lowest_number(self) -> int | None:
        """Return the lowest number of a message that is not handed out; None if there is none."""
        lowest = self.open.lowest_number()
        numbers = [] if lowest is None else [lowest]
        numbers += [letter.number for letter in self.dead_letters[:1]]
        numbers += [each.number for each in self.ahead[:1]]
        return min(numbers, default=None)

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


def _src_or_facility(facility: str, reading: Reading) -> str:
    """Return who sent a reading, as far as it tells; all that a facility leaves out is one."""
    return reading.src if reading.seq and reading.src else f"/{facility}"


def _number(letter: DeadLetter) -> int:
    return letter.number


def _run_end(window: Window, end: int, now_ms: int) -> int:
    """Return before which `ts` a run in a window goes on, at most `end`.

    Its readings are not checked against the clock.
    """
    if window.start_ms < now_ms - _NEARLY_TOO_OLD_MS:
        return 0
    if window.end_ms < end:
        end = window.end_ms
    newest = now_ms + _NEWEST_MS
    return newest if newest < end else end
