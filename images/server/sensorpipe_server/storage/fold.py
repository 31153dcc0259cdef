"""A window is the fold of its documents: pure, and the same for any order and any repetition.

Certain partials are merged. Itemized partials follow one by one: each of their readings counts
if no certain partial of the window holds its `seq`, and no earlier itemized one does. Documents
are taken in the order of their `_id`, so that every order of arrival gives the same bits.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby

from google.protobuf.message import DecodeError
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading, SensorSummary
from sensorpipe_schema.intervals import IntervalSet
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Summary, fill_summary, pairs
from sensorpipe_schema.sketch import Sketch

from sensorpipe_server.storage.documents import (
    Document,
    DocumentKey,
    WindowKey,
    read_id,
    read_received_at,
)
from sensorpipe_server.storage.summaries import count_seqs, intervals_of

Seqs = dict[str, IntervalSet]
"""The `seq` taken so far, by `src`."""


@dataclass(slots=True)
class Window:
    """One window: the fold of its documents."""

    key: WindowKey
    received_at: datetime
    """When the youngest of its partials was stored."""
    sensors: dict[str, list[SensorSummary]] = field(default_factory=dict)
    """Summaries by sensor; they share no reading, except real duplicates."""
    unreadable: int = 0
    """Number of documents that are not partials, and of sources with wrong intervals."""


@dataclass(slots=True)
class _Stored:
    """The decoded parts of a document."""

    key: DocumentKey
    received_at: datetime
    message: CompactedReading


def folded(
    documents: Iterable[Document], sensors: Collection[str] | None = None
) -> Iterator[Window]:
    """Yield the windows of documents that come in the order of `_id`, or against it.

    With `sensors` only these are folded; windows that have none of them are left out.
    """
    for key, group in groupby(documents, key=_window_of):
        window = fold(key, group, sensors)
        if window is not None and window.sensors:
            yield window


def fold(
    key: WindowKey, documents: Iterable[Document], sensors: Collection[str] | None = None
) -> Window | None:
    """Return the window of documents in any order; None if none of them counts."""
    stored, unreadable = _read(documents)
    if not stored:
        return None
    window = Window(key, max(each.received_at for each in stored), unreadable=unreadable)
    itemized: list[CompactedReading] = []
    for each in _once(stored):
        if each.message.itemized:
            itemized.append(each.message)
            continue
        for summary in each.message.sensors:
            if sensors is None or summary.sensor in sensors:
                window.sensors.setdefault(summary.sensor, []).append(summary)
    if itemized:
        _add_itemized(window, itemized, sensors)
    return window


def fold_only(
    key: WindowKey, document: Document, sensors: Collection[str] | None = None
) -> Window | None:
    """Return the window of its only document; None if `fold` has to read it.

    Most windows have one, and `fold` takes twice as long for it.
    """
    try:
        message = CompactedReading.FromString(document["partial"])
        window = Window(key, read_received_at(document))
    except (DecodeError, KeyError, TypeError, ValueError):
        return None
    if message.itemized:
        return None
    for summary in message.sensors:
        if sensors is None or summary.sensor in sensors:
            window.sensors.setdefault(summary.sensor, []).append(summary)
    return window


def is_folded_in(folded_message: CompactedReading, run: int, number: int) -> bool:
    """Whether a folded document holds the partial of a run and number."""
    for one in folded_message.holds:
        if one.run == run:
            return any(first <= number <= last for first, last in pairs(one.bounds))
    return False


def _window_of(document: Document) -> WindowKey:
    return read_id(document["_id"]).window


def _read(documents: Iterable[Document]) -> tuple[list[_Stored], int]:
    """Return the documents in the order of their identities, and how many are unreadable."""
    stored: list[_Stored] = []
    unreadable = 0
    for each in documents:
        try:
            key = read_id(each["_id"])
            message = CompactedReading.FromString(each["partial"])
            stored.append(_Stored(key, read_received_at(each), message))
        except (DecodeError, KeyError, TypeError, ValueError):
            unreadable += 1
    if len(stored) > 1:
        stored.sort(key=lambda each: each.key)
    return stored, unreadable


def _once(stored: list[_Stored]) -> list[_Stored]:
    """Return each document once, without those that a folded one of the window holds."""
    if len(stored) == 1:
        return stored
    stored = [next(same) for _, same in groupby(stored, key=lambda each: each.key)]
    whole = stored[0]
    if not whole.key.is_folded:
        return stored
    others = (e for e in stored[1:] if not is_folded_in(whole.message, e.key.run, e.key.number))
    return [whole, *others]


def _add_itemized(
    window: Window, messages: Sequence[CompactedReading], sensors: Collection[str] | None
) -> None:
    """Add the readings of itemized partials that nothing before them holds."""
    taken: dict[str, Seqs] = {}
    for summary in chain.from_iterable(message.sensors for message in messages):
        if sensors is not None and summary.sensor not in sensors:
            continue
        before = window.sensors.setdefault(summary.sensor, [])
        if summary.sensor not in taken:
            taken[summary.sensor] = _seqs_of(before)
        kept = _take_new(summary, taken[summary.sensor])
        if kept is None:
            window.unreadable += 1
            kept = summary
        if kept.count:
            before.append(kept)
    window.sensors = {name: some for name, some in window.sensors.items() if some}


def _seqs_of(summaries: Iterable[SensorSummary]) -> Seqs:
    seqs: Seqs = {}
    for summary in summaries:
        for source in summary.sources:
            numbers = seqs.setdefault(source.src, IntervalSet())
            for first, last in intervals_of(source) or ():
                numbers.add_range(first, last)
    return seqs


def _take_new(summary: SensorSummary, taken: Seqs) -> SensorSummary | None:
    """Return an itemized summary without what is taken, and take the rest.

    None if its sources are wrong, since its readings cannot be told apart then.
    """
    kept = Summary(Moments(0, 0.0, 0.0, 0.0, 0.0), Sketch())
    values: list[float] = []
    sparse: list[str] = []
    for source in summary.sources:
        intervals = intervals_of(source)
        if intervals is None or count_seqs(intervals) != len(source.values):
            return None
        numbers = taken.setdefault(source.src, IntervalSet())
        seqs = chain.from_iterable(range(first, last + 1) for first, last in intervals)
        new = [(seq, value) for seq, value in zip(seqs, source.values, strict=True)
               if numbers.add(seq)]  # fmt: skip
        kept.sources[source.src] = list(IntervalSet((seq, seq) for seq, _ in new))
        if source.sparse:
            sparse.append(source.src)
        values += [value for _, value in new]
    if len(values) == summary.count:
        return summary
    result = SensorSummary(sensor=summary.sensor)
    if values:
        kept.sources = {src: some for src, some in kept.sources.items() if some}
        kept.sparse = sparse
        kept.moments, kept.sketch = Moments.of(values), Sketch.of(values)
        fill_summary(result, summary.sensor, kept)
    return result
