"""Decides how far back the dead-letter topics are read, and which letters are the newest. Pure."""

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sensorpipe_schema import dead_letters as headers_of

from sensorpipe_server.api.dead_letters.letter import Headers, Record, letter_of
from sensorpipe_server.api.openapi.answers import DeadLetter

FIRST_STEP: Final = 16
"""Number of records of each partition that are read first; each next step is twice as long."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one request may read."""

    records: int = 20_000
    """Largest number of records, over all partitions."""
    bytes: int = 32 * 1024 * 1024
    """Size of keys and values in bytes after which no step further back is made."""
    seconds: float = 5.0
    """Seconds after which no step further back is begun or finished."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are asked for."""

    limit: int
    """Largest number of letters."""
    reason: str | None = None
    feed: str | None = None

    def includes(self, record: Record) -> bool:
        """Whether a record is one of them."""
        if self.reason is None and self.feed is None:
            return True
        headers = Headers(record)
        return (self.reason is None or headers.text(headers_of.REASON) == self.reason) and (
            self.feed is None or headers.text(headers_of.FEED) == self.feed
        )


class _Found(NamedTuple):
    """A letter with what orders it: the newest first, of equal times the last one written."""

    at_ms: int
    topic: str
    partition: int
    offset: int
    letter: DeadLetter


@dataclass(slots=True)
class Part:
    """A partition, which is read from its end backwards, and what was found in it."""

    topic: str
    partition: int
    begin: int
    """The first offset that Kafka holds."""
    end: int
    """The offset behind the last message."""
    low: int
    """The offset down to which it has been read; at first its end."""
    limit: int
    matches: int = 0
    """Number of letters found that are asked for."""
    oldest_ms: int | None = None
    """Time of the oldest record that was read, in unix milliseconds."""
    step: "Step | None" = None
    """The records that are being read now."""

    @property
    def is_read(self) -> bool:
        """Whether nothing is left of it."""
        return self.low <= self.begin

    def go_back(self, records: int) -> "Step":
        """Begin a step of so many records, or of those that are left."""
        is_last = self.oldest_ms is None
        start = max(self.begin, self.low - records)
        self.step = Step(start, self.low, deque(maxlen=self.limit), takes_newer=is_last)
        return self.step


@dataclass(slots=True)
class Step:
    """Records of a partition from `start` up to, without, `end`."""

    start: int
    end: int
    found: deque[_Found]
    takes_newer: bool
    """Whether records from `end` on count as well: they have been written meanwhile."""
    matches: int = 0
    records: int = 0
    newest_offset: int = -1
    oldest_ms: int | None = None

    def take(self, record: Record, wanted: Wanted) -> None:
        """Take the next record; of too many the newest are kept."""
        if record.offset >= self.end and not self.takes_newer:
            return
        self.records += 1
        self.newest_offset = record.offset
        if self.oldest_ms is None:
            self.oldest_ms = record.timestamp
        self.oldest_ms = min(self.oldest_ms, record.timestamp)
        if wanted.includes(record):
            self.matches += 1
            place = (record.timestamp, record.topic, record.partition, record.offset)
            self.found.append(_Found(*place, letter_of(record)))


@dataclass(slots=True)
class Newest:
    """The newest letters of some partitions, as far back as they have been read."""

    wanted: Wanted
    parts: list[Part]
    bounds: Bounds = field(default_factory=Bounds)
    records: int = 0
    """Number of records read."""
    bytes: int = 0
    """Size of their keys and values in bytes."""
    _found: list[_Found] = field(default_factory=list)
    _matches: int = 0
    _step: int = FIRST_STEP

    def next_steps(self) -> list[Part]:
        """Begin the next step back of each partition that may hold more; none at the end."""
        parts = [part for part in self.parts if not part.is_read and not self._is_enough_of(part)]
        room = self._room(len(parts)) // max(1, len(parts))
        if not room:
            return []
        for part in parts:
            part.go_back(min(self._step, room))
        self._step *= 2
        return parts

    def finish(self, parts: Iterable[Part]) -> None:
        """Take over what the steps of partitions have found, each of which is complete."""
        for part in parts:
            step, part.step = part.step, None
            if step is None:
                continue
            part.low, part.matches = step.start, part.matches + step.matches
            part.end = max(part.end, step.newest_offset + 1)
            times = [each for each in (part.oldest_ms, step.oldest_ms) if each is not None]
            part.oldest_ms = min(times, default=0)
            self.records += step.records
            self._matches += step.matches
            self._found = heapq.nlargest(self.wanted.limit, [*self._found, *step.found])

    @property
    def letters(self) -> list[DeadLetter]:
        """The newest letters, newest first."""
        return [each.letter for each in self._found]

    @property
    def is_complete(self) -> bool:
        """Whether these are all letters that are asked for and that Kafka holds."""
        return all(part.is_read for part in self.parts) and self._matches <= self.wanted.limit

    @property
    def since_ms(self) -> int | None:
        """From when on none is missing, in unix milliseconds; None where all are there."""
        times = [part.oldest_ms or 0 for part in self.parts if not part.is_read]
        if self._matches > self.wanted.limit:
            times.append(self._found[-1].at_ms)
        return max(times, default=None)

    def held(self, topic: str) -> int | None:
        """Return how many messages of a topic Kafka holds; None if it has no partition."""
        held = [max(0, part.end - part.begin) for part in self.parts if part.topic == topic]
        return sum(held) if held else None

    def _is_enough_of(self, part: Part) -> bool:
        """Whether older letters of a partition cannot be among the newest."""
        limit = self.wanted.limit
        if part.matches >= limit:
            return True
        is_full, oldest_ms = len(self._found) >= limit, part.oldest_ms
        return is_full and oldest_ms is not None and oldest_ms <= self._found[-1].at_ms

    def _room(self, least: int) -> int:
        """Return how many more records may be read, by those read so far; `least` at first."""
        records = self.bounds.records - self.records
        if not self.records:
            return max(records, least)
        left = self.bounds.bytes - self.bytes
        return max(0, min(records, int(left / (self.bytes / self.records or 1))))
