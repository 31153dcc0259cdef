"""Folds the many partials of a window into one document: what to write, and what to remove.

Pure. The folded document names the partials that it holds, and these are removed only after it
is durable. Readers ignore partials that it names, also if they are redelivered. Itemized partials
are never folded: which of their readings count depends on all other partials.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bson.binary import Binary
from google.protobuf.message import DecodeError
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading, SensorSummary
from sensorpipe_schema.intervals import Interval, IntervalSet
from sensorpipe_schema.partial import BadPartialError, pairs, parse

from sensorpipe_server.storage.documents import (
    FOLDED,
    Document,
    DocumentKey,
    WindowKey,
    date,
    read_id,
)
from sensorpipe_server.storage.fold import fold, is_folded_in
from sensorpipe_server.storage.rollups.totals import Total, multiset
from sensorpipe_server.storage.summaries import document_fields, intervals_of

MIN_PARTIALS: Final = 4
"""Smallest number of certain partials of a window that are folded."""

MAX_BYTES: Final = 4 * 1024 * 1024
"""Largest size in bytes of the messages that are folded into one document."""


@dataclass(slots=True)
class Folding:
    """What to write and to remove for one window."""

    written: Document | None = None
    """The folded document to write, if the stored one has the previous `rev`; `rev` 1 is new."""
    obsolete: list[str] = field(default_factory=list)
    """The `_id` of the documents to remove once it is durable."""


def folding(key: WindowKey, documents: Sequence[Document]) -> Folding:
    """Return what to do with all documents of a window."""
    if len(documents) < 2:  # noqa: PLR2004  the nearly always only one
        return Folding()
    whole: Document | None = None
    others: list[tuple[DocumentKey, Document]] = []
    for each in documents:
        document_key = read_id(each["_id"])
        if document_key.is_folded:
            whole = each
        else:
            others.append((document_key, each))
    holds, obsolete = _contents(whole, others)
    if holds is None:
        return Folding()
    parts = [(k, d) for k, d in others if d["_id"] not in obsolete and _is_sound(d)]
    if len(parts) < MIN_PARTIALS or not _is_small([d for _, d in parts], whole):
        return Folding(None, obsolete)
    for one, _ in parts:
        holds.setdefault(one.run, IntervalSet()).add(one.number)
    old = [whole] if whole is not None else []
    rev = 1 + (whole["rev"] if whole is not None else 0)
    document = _document(key, [*old, *(d for _, d in parts)], holds, rev)
    return Folding(document, [*obsolete, *(d["_id"] for _, d in parts)])


def _contents(
    whole: Document | None, others: Iterable[tuple[DocumentKey, Document]]
) -> tuple[dict[int, IntervalSet] | None, list[str]]:
    """Return the numbers that a folded document holds by run, and the others that it holds.

    The first is None if the folded document is unreadable.
    """
    if whole is None:
        return {}, []
    try:
        message = CompactedReading.FromString(whole["partial"])
    except (DecodeError, KeyError, TypeError):
        return None, []
    holds = {one.run: IntervalSet(pairs(one.bounds)) for one in message.holds}
    return holds, [d["_id"] for key, d in others if is_folded_in(message, key.run, key.number)]


def _is_sound(document: Document) -> bool:
    """Whether a document is a certain partial without errors."""
    if document.get("itemized"):
        return False
    try:
        return not parse(document["partial"]).itemized
    except (BadPartialError, KeyError, TypeError):
        return False


def _is_small(parts: Iterable[Document], whole: Document | None) -> bool:
    before = len(whole["partial"]) if whole is not None else 0
    return before + sum(len(part["partial"]) for part in parts) < MAX_BYTES


def _add_sparse(total: SensorSummary, summaries: Iterable[SensorSummary]) -> None:
    """Add the sources whose gaps mean nothing with their `seq`, of which a rollup has the number.

    They tell which readings of itemized partials are held here.
    """
    found: dict[str, list[Interval]] = {}
    for summary in summaries:
        for source in summary.sources:
            if source.sparse:
                found.setdefault(source.src, []).extend(intervals_of(source) or ())
    for src, intervals in sorted(found.items()):
        bounds = [bound for pair in multiset(intervals) for bound in pair]
        total.sources.add(src=src, bounds=bounds, sparse=True)


def _document(
    key: WindowKey, parts: Sequence[Document], holds: dict[int, IntervalSet], rev: int
) -> Document | None:
    window = fold(key, parts)
    if window is None:
        return None
    message = CompactedReading(
        facility=key.facility, window_start_ms=key.start_ms, window_end_ms=key.end_ms
    )
    sensors: dict[str, Any] = {}
    total = Total(sparse=False)
    total.add_window(window)
    for each in total.rollup().sensors:
        _add_sparse(each.summary, window.sensors[each.summary.sensor])
        message.sensors.append(each.summary)
        sensors[each.summary.sensor] = document_fields(each.summary)
    for run, numbers in sorted(holds.items()):
        message.holds.add(run=run, bounds=[bound for pair in numbers for bound in pair])
    return {
        "_id": f"{key}/{FOLDED}",
        "facility_name": key.facility,
        "window": {"start_time": date(key.start_ms), "end_time": date(key.end_ms)},
        "received_at": window.received_at,
        "rev": rev,
        "sensors": sensors,
        "partial": Binary(message.SerializeToString()),
    }
