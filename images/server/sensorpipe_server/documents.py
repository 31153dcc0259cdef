"""Stored windows: the form of a document (DESIGN 4) and how a partial becomes one.

A partial and a stored window have the same form, so merging is document plus document:

    {_id, facility_name, window: {start_time, end_time}, received_at, rev,
     sensors: {NAME: {count, mean, m2, min, max, sketches: [bytes, …],
                      sources: [{src, seq: [first, last, …]}, …]}, …},
     compactors: [{compactor, epoch, number}, …]}

`_id` is `FACILITY/START/LENGTH`, in milliseconds, the start in 15 digits: one facility's
windows are one range of it, in order of time, so that the index which MongoDB keeps anyway
serves every query and inserting maintains no other. Foreign names (`src`, compactors) are
values, never keys. `sketches` are protobuf sketches that have yet to be added up, nearly
always one. `rev` counts the writes of a document, for compare and swap.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from sensorpipe_schema.partial import MAX_TIME_MS, Checked

Document = dict[str, Any]

END_OF_TIME_MS: Final = MAX_TIME_MS
"""Fifteen digits reach to it: the year 10000."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def window_id(facility: str, start_ms: int, end_ms: int) -> str:
    """Return the `_id` of a facility's window."""
    return f"{facility}/{str(start_ms).zfill(15)}/{end_ms - start_ms}"


def id_range(facility: str, from_ms: int = 0, to_ms: int = END_OF_TIME_MS) -> dict[str, str]:
    """Return the condition on `_id` for windows that start in `from_ms <= start < to_ms`."""
    end = f"{facility}0" if to_ms >= END_OF_TIME_MS else f"{facility}/{to_ms:015d}"
    return {"$gte": f"{facility}/{from_ms:015d}", "$lt": end}


@lru_cache(maxsize=4096)  # neighbouring windows and facilities share their bounds
def date(unix_ms: int) -> datetime:
    """Return unix milliseconds as a date."""
    return _EPOCH + timedelta(milliseconds=unix_ms)


def document(checked: Checked, received_at: datetime) -> Document:
    """Return a checked partial as the document of its window."""
    facility, start, end, origin, summaries = checked
    return {
        "_id": window_id(facility, start, end),
        "facility_name": facility,
        "window": {"start_time": date(start), "end_time": date(end)},
        "received_at": received_at,
        "rev": 1,
        "sensors": {
            name: {
                "count": count,
                "mean": mean,
                "m2": m2,
                "min": low,
                "max": high,
                "sketches": [sketch],
                "sources": [{"src": src, "seq": bounds} for src, bounds in sources],
            }
            for name, count, mean, m2, low, high, sketch, sources in summaries
        },
        "compactors": [
            {"compactor": origin.compactor, "epoch": origin.epoch, "number": origin.number}
        ],
    }
