"""The requests of the API, from the arguments of the clients' methods."""

from collections.abc import Iterable
from typing import TypedDict
from urllib.parse import quote

from sensorpipe_client.calls import Request
from sensorpipe_client.times import TimeLike, time_text

Names = str | Iterable[str]
"""One name, several separated by commas, or several."""


class SeriesOptions(TypedDict, total=False):
    """What is asked for in a series; see docs/api.md for each parameter."""

    sensors: Names
    """By default all."""
    since: TimeLike | None
    """By default 24 hours before `until`."""
    until: TimeLike | None
    """By default now."""
    every: str | None
    """Length of the buckets, such as "1h"; by default the server chooses."""
    points: int | None
    """Largest number of buckets where the server chooses, by default 1,000."""
    fields: Names
    """By default avg, min, max and count; stdev, p50, p95 and p99 as well."""
    complete: bool
    """Whether buckets that may still change are left out."""


def facilities() -> Request:
    """Return the request for the list of facilities."""
    return Request("/api/facilities")


def windows(
    facility: str,
    *,
    since: TimeLike | None,
    until: TimeLike | None,
    sensors: Names,
    cursor: str,
) -> Request:
    """Return the request for a page of windows; raise ValueError if it would be another path."""
    if facility in ("", ".", ".."):
        raise ValueError(f"facility must be a name; got {facility!r}")
    query = {**_span(since, until), **_list("sensors", sensors), "cursor": cursor}
    return Request(f"/api/sensors/{quote(facility, safe='')}", query)


def stats(
    sensors: Names, *, facility: str | None, since: TimeLike | None, until: TimeLike | None
) -> Request:
    """Return the request for statistics."""
    query = {"sensors": _joined(sensors), **_span(since, until)}
    return Request("/api/stats", query if facility is None else {**query, "facility": facility})


def series(facilities: Names, form: str, options: SeriesOptions) -> Request:
    """Return the request for a series in a form: json, csv or ndjson."""
    query = {
        **_list("facility", facilities),
        **_list("sensors", options.get("sensors", ())),
        **_span(options.get("since"), options.get("until")),
        **_list("fields", options.get("fields", ())),
        "format": form,
    }
    every, points = options.get("every"), options.get("points")
    if every is not None:
        query["every"] = every
    if points is not None:
        query["points"] = str(points)
    if options.get("complete"):
        query["complete"] = "true"
    return Request("/api/series", query)


def integrity(facility: str | None) -> Request:
    """Return the request for integrity."""
    return Request("/api/integrity", {} if facility is None else {"facility": facility})


def dead_letters(*, limit: int, reason: str | None, feed: str | None) -> Request:
    """Return the request for dead letters."""
    chosen = {"reason": reason, "feed": feed}
    names = {key: value for key, value in chosen.items() if value is not None}
    return Request("/api/dead-letters", {"limit": str(limit), **names})


def live(facilities: Names, sensors: Names, last_id: str) -> Request:
    """Return the request for events, from the one after `last_id` on; "" means from now on."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    query = {**_list("facility", facilities), **_list("sensors", sensors)}
    return Request("/api/live", query, headers)


def _span(since: TimeLike | None, until: TimeLike | None) -> dict[str, str]:
    bounds = {"from": ("since", since), "to": ("until", until)}
    return {
        key: time_text(name, value) for key, (name, value) in bounds.items() if value is not None
    }


def _list(key: str, names: Names) -> dict[str, str]:
    text = _joined(names)
    return {key: text} if text else {}


def _joined(names: Names) -> str:
    return names if isinstance(names, str) else ",".join(names)


def names_in(text: Names) -> list[str]:
    """Return names as a list."""
    return [each.strip() for each in _joined(text).split(",") if each.strip()]
