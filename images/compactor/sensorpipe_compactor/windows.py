"""Event-time windows: takes batches of messages, says which windows are due, hands them out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sensorpipe_schema.intervals import Interval, IntervalSet
from sensorpipe_schema.mqtt.frames import Message, Refused
from sensorpipe_schema.names import BadTopicError, reading_topic, split_topic
from sensorpipe_schema.reading import (
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_PAYLOAD,
    BadReadingError,
    Reading,
    decode,
    decode_fast,
)

from sensorpipe_compactor.streams import Stream, Streams

MAX_WINDOW_COST: Final = 300_000
"""Bytes that a window's names and intervals may take in its partial; then it is sealed.

Kafka takes messages of up to 1 MB by default; the sketches get the rest.
"""

_NEARLY_TOO_OLD_MS: Final = 3_600_000

_INTERVAL_COST: Final = 12
_SOURCE_COST: Final = 24
_SENSOR_COST: Final = 256


@dataclass(slots=True)
class Bucket:
    """The readings of one sensor in one window, not yet reduced."""

    window: "Window"
    values: list[float] = field(default_factory=list)
    sources: dict[str, IntervalSet] = field(default_factory=dict)
    streams: set[Stream] = field(default_factory=set)

    def intervals(self, src: str | None) -> IntervalSet:
        """Return the intervals of one source; readings without identity have none to note."""
        if src is None:
            return IntervalSet()
        held = self.sources.get(src)
        if held is None:
            held = self.sources[src] = IntervalSet()
            self.window.cost += len(src.encode()) + _SOURCE_COST
        self.window.cost += _INTERVAL_COST
        return held


@dataclass(slots=True)
class Window:
    """One facility's window, or what came of it since the last flush."""

    facility: str
    start_ms: int
    end_ms: int
    first_number: int
    """The number of its first message: nothing from there on may be acknowledged before it."""
    opened_ms: int
    late: bool
    """Whether the window had been closed before: these readings came late."""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    cost: int = 0

    @property
    def count(self) -> int:
        """How many readings it holds."""
        return sum(len(bucket.values) for bucket in self.buckets.values())


@dataclass(slots=True)
class Facility:
    """A facility's own time and its open windows; nobody else's clock moves it."""

    name: str
    newest_ms: int = 0
    """The highest `ts` seen."""
    closed_ms: int = 0
    """The end of the latest window closed."""
    heard_ms: int = 0
    """When something last came, on our clock."""
    held: int = 0
    streams: int = 0
    windows: dict[int, Window] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is no reading, with its number and why."""

    number: int
    topic: str
    payload: bytes
    reason: str
    detail: str


class Windows:
    """All facilities' windows. Times are unix milliseconds, given by the caller."""

    def __init__(self, window_ms: int, lateness_ms: int, streams: Streams | None = None) -> None:
        self.dead: list[DeadLetter] = []
        self.dead_bytes = 0
        self.duplicates = 0
        self.late = 0
        self.streams = streams if streams is not None else Streams()
        self._window_ms = window_ms
        self._lateness_ms = lateness_ms
        self._facilities: dict[str, Facility] = {}
        self._sealed: list[Window] = []

    # Taking readings.

    def add(self, messages: Sequence[Message], before: int, now_ms: int) -> None:
        """Take a batch whose messages have the numbers from `before + 1`."""
        by_topic, decode_payload, longest = self.streams.by_topic, decode_fast, MAX_PAYLOAD
        number = before
        for message in messages:
            number += 1
            payload = message.payload
            try:
                reading = decode_payload(payload)
                stream = by_topic[message.topic][reading.src]
                ts = reading.ts
                if (
                    stream.start <= ts < stream.end
                    and reading.seq == stream.next
                    and len(payload) <= longest
                ):
                    stream.next += stream.step
                    stream.append(reading.val)
                    facility = stream.facility
                    if ts > facility.newest_ms:  # noqa: PLR1730  max() costs four times this
                        facility.newest_ms = ts
                    continue
            except (KeyError, ValueError, RecursionError):
                pass  # a new stream, or no reading: the way around finds out
            self._add_with_care(message, number, now_ms)

    def restore(self, facility: str, sensor: str, src: str, intervals: list[Interval]) -> None:
        """Take note of readings that are durable in Kafka already."""
        topic = reading_topic(facility, sensor)
        stream = self._stream(topic, facility, sensor, src)
        self.streams.restore(stream, intervals)

    def _add_with_care(self, message: Message, number: int, now_ms: int) -> None:
        topic, payload = message.topic, message.payload
        if isinstance(message, Refused):
            self._bury(message, number, message.reason, "the MQTT packet is not valid")
            return
        try:
            facility, sensor = split_topic(topic)
            reading = decode(payload, now_ms)
        except (BadTopicError, BadReadingError) as error:
            self._bury(message, number, error.reason, str(error))
            return
        src = reading.src if reading.seq else None
        stream = self._stream(topic, facility, sensor, src)
        stream.settle()
        if src is not None and reading.seq in stream.seen:
            self.duplicates += 1
            return
        if stream.bucket is None:
            self.streams.touch(topic, stream)
        self._place(stream, reading, number, now_ms)

    def _bury(self, message: Message, number: int, reason: str, detail: str) -> None:
        kept = message.payload[:MAX_PAYLOAD]
        letter = DeadLetter(number, message.topic, kept, reason, detail)
        self.dead_bytes += _held_bytes(letter)
        self.dead.append(letter)

    def _stream(self, topic: str, facility: str, sensor: str, src: str | None) -> Stream:
        stream = self.streams.by_topic.get(topic, {}).get(src)
        if stream is None:
            home = self._facilities.setdefault(facility, Facility(facility))
            home.streams += 1
            stream = Stream(home, sensor, src)
            forgotten = self.streams.add(topic, stream)
            if forgotten is not None:
                forgotten.facility.streams -= 1
                self._forget_if_idle(forgotten.facility)
        return stream

    def _place(self, stream: Stream, reading: Reading, number: int, now_ms: int) -> None:
        """Put a new reading into its window and, where that is safe, begin a run behind it."""
        window = self._window(stream.facility, reading.ts, number, now_ms)
        bucket = window.buckets.get(stream.sensor)
        if bucket is None:
            bucket = window.buckets[stream.sensor] = Bucket(window)
            window.cost += _SENSOR_COST
        bucket.values.append(reading.val)
        facility = stream.facility
        facility.newest_ms = max(facility.newest_ms, reading.ts)
        if stream.src is None:
            if stream.bucket is not bucket:
                stream.run_in(bucket, window.start_ms, _checked_until(window, now_ms), 0)
        else:
            bucket.intervals(stream.src).add_range(reading.seq, reading.seq)
            stream.seen.add_range(reading.seq, reading.seq)
            self.streams.bound(stream)
            if reading.seq == stream.seen.top:
                until = _checked_until(window, now_ms)
                stream.run_in(bucket, window.start_ms, until, reading.seq + 1)
            else:
                stream.stop()
        if window.cost > MAX_WINDOW_COST:
            self._seal(facility, window)

    def _window(self, facility: Facility, ts: int, number: int, now_ms: int) -> Window:
        start = ts - ts % self._window_ms
        window = facility.windows.get(start)
        if window is None:
            end = start + self._window_ms
            window = Window(facility.name, start, end, number, now_ms, end <= facility.closed_ms)
            facility.windows[start] = window
            facility.heard_ms = now_ms
        return window

    # Handing out windows.

    @property
    def open(self) -> int:
        """How many windows hold readings."""
        return len(self._sealed) + sum(len(f.windows) for f in self._facilities.values())

    def lowest_number(self) -> int | None:
        """Return the lowest number of a message that is not handed out; None if there is none."""
        numbers = [window.first_number for window in self._all()]
        numbers += [letter.number for letter in self.dead[:1]]
        return min(numbers, default=None)

    def take_due(self, now_ms: int) -> list[Window]:
        """Remove and return the windows that time has closed, and those that are full."""
        due, self._sealed = self._sealed, []
        for facility in list(self._facilities.values()):
            if not facility.windows:
                continue
            self._listen(facility, now_ms)
            for window in list(facility.windows.values()):
                if self._is_due(facility, window, now_ms):
                    facility.closed_ms = max(facility.closed_ms, window.end_ms)
                    due.append(self._remove(facility, window))
        return due

    def take_all(self) -> list[Window]:
        """Remove and return every window; those not yet closed go on as new ones."""
        taken, self._sealed = self._sealed, []
        for facility in list(self._facilities.values()):
            taken += [self._remove(facility, w) for w in list(facility.windows.values())]
        return taken

    def take_dead(self) -> list[DeadLetter]:
        """Remove and return the dead letters."""
        dead, self.dead, self.dead_bytes = self.dead, [], 0
        return dead

    def return_dead(self, dead: list[DeadLetter]) -> None:
        """Take dead letters back that could not be written: they are older than all others."""
        self.dead[:0] = dead
        self.dead_bytes += sum(_held_bytes(letter) for letter in dead)

    def _all(self) -> Iterator[Window]:
        yield from self._sealed
        for facility in self._facilities.values():
            yield from facility.windows.values()

    def _listen(self, facility: Facility, now_ms: int) -> None:
        """Note when a facility last sent something."""
        held = sum(window.count for window in facility.windows.values())
        if held != facility.held:
            facility.held = held
            facility.heard_ms = now_ms

    def _is_due(self, facility: Facility, window: Window, now_ms: int) -> bool:
        """Whether event time has passed the window, or the facility has fallen silent."""
        lateness = self._lateness_ms
        if facility.newest_ms >= window.end_ms + lateness and now_ms >= window.opened_ms + lateness:
            return True  # a late window waits `lateness`, too, for what else comes late
        silent = now_ms - facility.heard_ms
        if now_ms >= window.end_ms + lateness:
            return silent >= lateness
        return silent >= self._window_ms + lateness

    def _seal(self, facility: Facility, window: Window) -> None:
        self._sealed.append(self._remove(facility, window))

    def _remove(self, facility: Facility, window: Window) -> Window:
        del facility.windows[window.start_ms]
        for bucket in window.buckets.values():
            for stream in bucket.streams:
                if stream.bucket is bucket:
                    stream.stop()
            bucket.streams.clear()
        count = window.count
        facility.held -= count
        if window.late:
            self.late += count
        self._forget_if_idle(facility)
        return window

    def _forget_if_idle(self, facility: Facility) -> None:
        if not facility.streams and not facility.windows:
            self._facilities.pop(facility.name, None)


def _held_bytes(letter: DeadLetter) -> int:
    return len(letter.payload) + len(letter.topic)


def _checked_until(window: Window, now_ms: int) -> int:
    """Return until which `ts` a reading of this window needs no check against the clock."""
    if window.start_ms < now_ms - MAX_AGE_MS + _NEARLY_TOO_OLD_MS:
        return 0
    return min(window.end_ms, now_ms + MAX_AHEAD_MS + 1)
