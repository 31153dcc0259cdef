"""Requests to the server's API and the generators' metrics, and the parts of the answers used."""

from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from sensorpipe_cli.client.http import RequestError, get

T = TypeVar("T")

Key = tuple[str, str, str | None]

_AVERAGE: Final = "avg_"


class SourceRow(msgspec.Struct, frozen=True):
    """The stored readings of one source (one run of one publisher) for one sensor."""

    facility: str
    sensor: str
    src: str | None
    """None for readings without `src` and `seq`."""
    first: int | None
    """Lowest stored `seq`."""
    last: int | None
    """Highest stored `seq`."""
    count: int
    """Number of stored readings."""
    lost: int | None
    """Number of lost readings; None where gaps in `seq` mean nothing: of a device."""
    duplicates: int
    """Number of readings stored more than once."""
    pending: int = 0
    """Number of missing readings that may still arrive: neither lost nor stored yet."""
    removed: int = 0
    """Number of readings removed by retention, which are not lost."""

    @property
    def key(self) -> Key:
        """Facility, sensor and source, which identify the row."""
        return self.facility, self.sensor, self.src


class Totals(msgspec.Struct, frozen=True):
    """The sums over all sources."""

    count: int = 0
    """Number of stored readings with `src` and `seq`."""
    lost: int = 0
    """Number of lost readings."""
    duplicates: int = 0
    """Number of readings stored more than once."""
    unidentified: int = 0
    """Number of stored readings without `src` and `seq`, which cannot be checked."""
    sources: int = 0
    """Number of sources."""
    pending: int = 0
    """Number of missing readings that may still arrive: neither lost nor stored yet."""
    unreadable: int = 0
    """Number of stored documents, sketches and intervals that the server cannot read."""
    removed: int = 0
    """Number of readings removed by retention."""


class SetAside(msgspec.Struct, frozen=True):
    """The numbers of dead letters in Kafka and of fenced partials; None if unknown."""

    dead_letters: int | None = None
    """Number of messages that are not readings, are too old or too far ahead."""
    refused: int | None = None
    """Number of partials that could not be stored, whose readings are all missing."""
    fenced: int | None = None
    """Number of partials written after the compactor's successor started, which counts them."""

    def since(self, before: "SetAside") -> "SetAside":
        """Return what was added since `before`; an unknown number there counts as 0."""
        return SetAside(
            _growth(self.dead_letters, before.dead_letters),
            _growth(self.refused, before.refused),
            _growth(self.fenced, before.fenced),
        )

    def filled(self, last: "SetAside") -> "SetAside":
        """Return these numbers, each unknown one replaced by that of `last`."""
        return SetAside(
            last.dead_letters if self.dead_letters is None else self.dead_letters,
            last.refused if self.refused is None else self.refused,
            last.fenced if self.fenced is None else self.fenced,
        )


class Integrity(msgspec.Struct, frozen=True):
    """The answer of `/api/integrity`."""

    data: list[SourceRow]
    """The sources."""
    totals: Totals
    set_aside: SetAside = SetAside(0, 0)
    """Zeros if the server is older and does not report it."""
    removed_before: dict[str, str] = {}
    """The time (RFC 3339) before which retention has removed everything, by facility."""

    @property
    def intact(self) -> bool:
        """Whether nothing is lost, duplicate, refused or unreadable.

        A lost reading and a duplicate do not cancel out.
        """
        totals = self.totals
        faults = (totals.lost, totals.duplicates, totals.unreadable, self.set_aside.refused)
        return not any(faults) and not any(row.lost or row.duplicates for row in self.data)


class Latest(msgspec.Struct, frozen=True):
    """A facility's newest window, and the number of all its windows."""

    windows: int
    """Number of the facility's windows."""
    start: str = ""
    """Start of the window (RFC 3339); empty if there is none."""
    end: str = ""
    """End of the window (RFC 3339); empty if there is none."""
    averages: dict[str, float] = {}
    """Averages in the window by sensor."""


class _Facility(msgspec.Struct):
    facility_name: str


class _Facilities(msgspec.Struct):
    data: list[_Facility]


class _Window(msgspec.Struct):
    start_time: str
    end_time: str


class _Pagination(msgspec.Struct):
    total: int


class _Windows(msgspec.Struct):
    data: list[dict[str, Any]]
    pagination: _Pagination


def integrity(url: str, seconds: float = 10) -> Integrity:
    """Return the integrity of everything stored; raise RequestError, also after `seconds`."""
    return decode(get(f"{url}/api/integrity", seconds), Integrity, url)


def facilities(url: str) -> list[str]:
    """Return the names of the facilities with stored readings; raise RequestError."""
    return [f.facility_name for f in decode(get(f"{url}/api/facilities"), _Facilities, url).data]


def latest(url: str, facility: str) -> Latest:
    """Return a facility's newest window; raise RequestError."""
    address = f"{url}/api/sensors/{quote(facility)}?limit=1"
    answer = decode(get(address), _Windows, address)
    if not answer.data:
        return Latest(answer.pagination.total)
    item = answer.data[0]
    window = decode(msgspec.json.encode(item.get("window")), _Window, address)
    averages = {key[len(_AVERAGE) :]: item[key] for key in item if key.startswith(_AVERAGE)}
    return Latest(answer.pagination.total, window.start_time, window.end_time, averages)


def counter_total(text: str, name: str) -> int:
    """Return the sum of a counter over its labels, from Prometheus' text format."""
    total = 0.0
    for line in text.splitlines():
        key, _, value = line.rpartition(" ")
        if key == name or key.startswith(f"{name}{{"):
            total += float(value)
    return int(total)


def counts_by_label(text: str, name: str, label: str) -> dict[str, int]:
    """Return a counter that has one label by the values of that, from Prometheus' text format."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        key, _, value = line.rpartition(" ")
        start, end = f'{name}{{{label}="', '"}'
        if key.startswith(start) and key.endswith(end):
            found[key[len(start) : -len(end)]] = int(float(value))
    return found


def _growth(count: int | None, before: int | None) -> int | None:
    return None if count is None else max(0, count - (before or 0))


def decode(body: bytes, kind: type[T], url: str) -> T:
    """Return the JSON `body` from `url` decoded as `kind`; raise RequestError if it is invalid."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise RequestError(f"{url}: not the answer of a sensorpipe server: {error}") from error
