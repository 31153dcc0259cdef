"""Rollups: the sum of a facility's windows of 5 minutes, an hour or a day.

    {_id: FACILITY/LEVEL/START, level, facility, start, rev, windows,
     sensors: {NAME: {count, mean, m2, min, max, windows}, …}, summary: a Rollup message}

LEVEL is `5m`, `1h` or `1d`, START unix milliseconds in 15 digits: one facility's rollups of a
level are one range of `_id` in order of time. A window belongs to the buckets that its start is
in, whatever its length. A bucket without windows has no document. One that would be too large
says `too_large: true` and has neither sensors nor summary: read the level below instead.
`rev` counts the changes of a document.

Pure; `cover` says which buckets and which windows make up a range of time.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bson.binary import Binary
from sensorpipe_schema.compacted_reading_pb2 import Rollup

from sensorpipe_server.storage.documents import END_OF_TIME_MS, Document, date
from sensorpipe_server.storage.summaries import document_fields

MAX_SUMMARY_BYTES: Final = 12 * 1024 * 1024
"""Largest size in bytes of a stored summary; MongoDB allows documents of 16 MiB."""

MAX_SENSORS: Final = 20_000
"""Largest number of sensors of a rollup that is stored, at some 150 bytes beside the summary."""

MAX_ENTRIES: Final = 400_000
"""Largest number of `seq` intervals of a rollup; with more it would be too large to store."""


class Level(NamedTuple):
    """A level of rollups; its buckets begin at multiples of their length."""

    name: str
    length_ms: int

    def start(self, unix_ms: int) -> int:
        """Return the start of the bucket that a moment is in, in unix milliseconds."""
        return unix_ms - unix_ms % self.length_ms

    def end(self, unix_ms: int) -> int:
        """Return the earliest start of a bucket at or after a moment, in unix milliseconds."""
        return -(-unix_ms // self.length_ms) * self.length_ms


FIVE_MINUTES: Final = Level("5m", 300_000)
HOUR: Final = Level("1h", 3_600_000)
DAY: Final = Level("1d", 86_400_000)

LEVELS: Final = (FIVE_MINUTES, HOUR, DAY)
"""From the finest to the coarsest; each is made from the one before, the first from windows."""

_BY_NAME: Final = {level.name: level for level in LEVELS}

WINDOWS: Final = "windows"
"""Name of the windows in the place of a level's name."""

LEVEL_NAMES: Final = (WINDOWS, *(level.name for level in LEVELS))
"""Names that retention uses, from the finest; a coarser level is kept at least as long."""


class Piece(NamedTuple):
    """Consecutive buckets of a level; or, without a level, the windows of a range."""

    level: Level | None
    start_ms: int
    end_ms: int


def rollup_id(facility: str, level: Level, start_ms: int) -> str:
    """Return the `_id` of a rollup."""
    return f"{facility}/{level.name}/{start_ms:015d}"


def rollup_range(
    facility: str, level: Level, from_ms: int = 0, to_ms: int = END_OF_TIME_MS
) -> dict[str, str]:
    """Return the condition on `_id` for buckets of a level that start in `from <= start < to`."""
    return {
        "$gte": rollup_id(facility, level, from_ms),
        "$lt": rollup_id(facility, level, to_ms),
    }


def rollup_start(document: Mapping[str, Any]) -> int:
    """Return the start of a stored rollup in unix milliseconds."""
    return int(str(document["_id"]).rpartition("/")[2])


def rollup_level(document: Mapping[str, Any]) -> Level:
    """Return the level of a stored rollup."""
    return _BY_NAME[str(document["_id"]).split("/")[1]]


def rollup_document(
    facility: str, level: Level, start_ms: int, rollup: Rollup | None, rev: int
) -> Document:
    """Return the document of a rollup; without one, that of a bucket that is too large to store.

    `rev` is the number of its changes, this one included.
    """
    document: Document = {
        "_id": rollup_id(facility, level, start_ms),
        "level": level.name,
        "facility": facility,
        "start": date(start_ms),
        "rev": rev,
    }
    if rollup is None or len(rollup.sensors) > MAX_SENSORS:
        return {**document, "too_large": True}
    summary = rollup.SerializeToString()
    if len(summary) > MAX_SUMMARY_BYTES:
        return {**document, "too_large": True}
    document["windows"] = rollup.windows
    document["sensors"] = {
        each.summary.sensor: {**document_fields(each.summary), "windows": each.windows}
        for each in rollup.sensors
    }
    document["summary"] = Binary(summary)
    return document


def read_rollup(document: Mapping[str, Any]) -> Rollup | None:
    """Return a stored rollup; None if it was too large to store."""
    if document.get("too_large"):
        return None
    return Rollup.FromString(document["summary"])


def finer(level: Level) -> Level | None:
    """Return the level below; None if that is the windows themselves."""
    at = LEVELS.index(level)
    return LEVELS[at - 1] if at else None


def cover(
    from_ms: int,
    to_ms: int,
    done_ms: int,
    marked: Sequence[int] = (),
    removed: Mapping[str, int] | None = None,
    *,
    coarsest: Level | None = DAY,
) -> Iterator[Piece]:
    """Yield buckets and windows that exactly make up `from_ms <= start < to_ms`.

    In order of time, no two pieces of the same level beside each other: each bucket of the
    coarsest level that fits and, where none does, the windows themselves; of no level coarser
    than `coarsest`, None for the windows. Nothing from `done_ms` on comes from a bucket, nor what
    is in one of the buckets of 5 minutes whose starts are `marked`, sorted.

    `removed` says by the name of a level, or WINDOWS, before which moment it has been removed;
    a finer level not later than a coarser one. A bucket whose parts are gone counts whole where
    it starts within the range; one coarser than `coarsest`, which the caller has to refuse, also
    where it only overlaps the range. Where the coarsest level was removed, nothing counts.
    """
    last: Piece | None = None
    progress = _Progress(done_ms, marked, removed or {})
    from_ms = max(from_ms, progress.removed.get(DAY.name, 0))
    for piece in _cover_up_to(coarsest, from_ms, to_ms, progress):
        if last is not None and (last.level, last.end_ms) == (piece.level, piece.start_ms):
            last = Piece(last.level, last.start_ms, piece.end_ms)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


class _Progress(NamedTuple):
    done_ms: int
    marked: Sequence[int]
    removed: Mapping[str, int]

    def marked_buckets(self, level: Level, from_ms: int, to_ms: int) -> list[int]:
        """Return the starts of a level's buckets in a range that have something marked."""
        low, high = bisect_left(self.marked, from_ms), bisect_left(self.marked, to_ms)
        return sorted({level.start(start) for start in self.marked[low:high]})


def _cover_up_to(
    coarsest: Level | None, from_ms: int, to_ms: int, progress: _Progress
) -> Iterator[Piece]:
    at = -1 if coarsest is None else LEVELS.index(coarsest)
    for level, below in reversed(list(zip(LEVELS, LEVEL_NAMES, strict=False))[at + 1 :]):
        gone_ms = level.end(progress.removed.get(below, 0))
        if from_ms < min(to_ms, gone_ms):
            yield Piece(level, level.start(from_ms), min(level.end(to_ms), gone_ms))
            from_ms = gone_ms
    yield from _cover(at, from_ms, to_ms, progress)


def _cover(at: int, from_ms: int, to_ms: int, progress: _Progress) -> Iterator[Piece]:
    if from_ms >= to_ms:
        return
    if at < 0:
        yield Piece(None, from_ms, to_ms)
        return
    level = LEVELS[at]
    # before this moment there is nothing finer
    below = LEVELS[at - 1].name if at else WINDOWS
    gone_ms = level.end(progress.removed.get(below, 0))
    low = level.end(from_ms)
    high = level.start(min(to_ms, progress.done_ms))
    if from_ms < gone_ms:
        if low < (end := min(level.end(to_ms), gone_ms)):
            yield Piece(level, low, end)
        from_ms = low = max(low, gone_ms)
    if low >= high:
        yield from _cover(at - 1, from_ms, to_ms, progress)
        return
    yield from _cover(at - 1, from_ms, low, progress)
    for start in progress.marked_buckets(level, low, high):
        if low < start:
            yield Piece(level, low, start)
        low = start + level.length_ms
        yield from _cover(at - 1, start, low, progress)
    if low < high:
        yield Piece(level, low, high)
    yield from _cover(at - 1, high, to_ms, progress)
