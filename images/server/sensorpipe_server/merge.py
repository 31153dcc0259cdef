"""Merging a partial into a stored window: pure, exact, and nothing the second time."""

from collections.abc import Sequence
from typing import Final

from sensorpipe_schema.intervals import join
from sensorpipe_schema.moments import merged
from sensorpipe_schema.partial import Origin, pairs, sketch_bytes, sketch_of_bytes
from sensorpipe_schema.sketch import Sketch

from sensorpipe_server.documents import Document

MAX_SKETCHES: Final = 8
"""Of a summary; adding up sketches only now and then makes merging much cheaper."""


def is_newer(stored: Document, origin: Origin) -> bool:
    """Whether a partial is beyond the last one of its compactor that `stored` holds."""
    for last in stored["compactors"]:
        if last["compactor"] == origin.compactor:
            newer: bool = (origin.epoch, origin.number) > (last["epoch"], last["number"])
            return newer
    return True


def merge(stored: Document, partial: Document) -> Document:
    """Return the window with one partial more; `partial` has to be newer, see `is_newer`."""
    (origin,) = partial["compactors"]
    sensors = dict(stored["sensors"])
    for name, summary in partial["sensors"].items():
        held = sensors.get(name)
        sensors[name] = summary if held is None else _merge_summaries(held, summary)
    others = [c for c in stored["compactors"] if c["compactor"] != origin["compactor"]]
    return {
        **stored,
        "received_at": partial["received_at"],
        "sensors": sensors,
        "compactors": [*others, origin],
    }


def total_sketch(sketches: Sequence[bytes]) -> Sketch:
    """Return the sketch of all readings of a summary."""
    total = sketch_of_bytes(sketches[0])
    for more in sketches[1:]:
        total.merge(sketch_of_bytes(more))
    return total


def _merge_summaries(held: Document, more: Document) -> Document:
    count, mean, m2 = merged(
        (held["count"], held["mean"], held["m2"]), (more["count"], more["mean"], more["m2"])
    )
    sketches = held["sketches"] + more["sketches"]
    if len(sketches) > MAX_SKETCHES:
        sketches = [sketch_bytes(total_sketch(sketches))]
    return {
        "count": count,
        "mean": mean,
        "m2": m2,
        "min": min(held["min"], more["min"]),
        "max": max(held["max"], more["max"]),
        "sketches": sketches,
        "sources": _merge_sources(held["sources"], more["sources"]),
    }


def _merge_sources(held: list[Document], more: list[Document]) -> list[Document]:
    """Join the intervals of each src; overlaps stay, for `/api/integrity` to count."""
    bounds = {source["src"]: source["seq"] for source in held}
    for source in more:
        src, seq = source["src"], source["seq"]
        bounds[src] = _join(bounds[src], seq) if src in bounds else seq
    return [{"src": src, "seq": seq} for src, seq in bounds.items()]


def _join(held: list[int], more: list[int]) -> list[int]:
    """Join two multisets of intervals, each as `first, last, first, last, …`."""
    first, last = more[0], held[-1]
    if first == last + 1:  # nearly always: a source counts on where it left off
        return held[:-1] + more[1:]
    if first > last:
        return held + more
    return [bound for pair in join(pairs(held + more)) for bound in pair]
