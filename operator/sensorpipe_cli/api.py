"""What the server's API and the generators' metrics answer, as far as this command reads it."""

from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from sensorpipe_cli.ask import AskError, get

T = TypeVar("T")

Key = tuple[str, str, str | None]

_AVERAGE: Final = "avg_"


class SourceRow(msgspec.Struct, frozen=True):
    """What is stored of one source: one run of one publisher, for one sensor."""

    facility: str
    sensor: str
    src: str | None
    first: int | None
    last: int | None
    count: int
    lost: int
    duplicates: int

    @property
    def key(self) -> Key:
        """What no two rows share."""
        return self.facility, self.sensor, self.src


class Totals(msgspec.Struct, frozen=True):
    """The sums over all sources; `unidentified` readings had no `src` and `seq` to check."""

    count: int = 0
    lost: int = 0
    duplicates: int = 0
    unidentified: int = 0
    sources: int = 0


class Integrity(msgspec.Struct, frozen=True):
    """The answer of `/api/integrity`."""

    data: list[SourceRow]
    totals: Totals

    @property
    def intact(self) -> bool:
        """Whether nothing is lost and nothing doubled; one never makes up for the other."""
        return not (self.totals.lost or self.totals.duplicates) and not any(
            row.lost or row.duplicates for row in self.data
        )


class Latest(msgspec.Struct, frozen=True):
    """A facility's newest window: its bounds (RFC 3339), and each sensor's average."""

    windows: int
    start: str = ""
    end: str = ""
    averages: dict[str, float] = {}


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
    """Ask for the integrity of everything stored; raise AskError."""
    return decode(get(f"{url}/api/integrity", seconds), Integrity, url)


def facilities(url: str) -> list[str]:
    """Ask for the names of the facilities; raise AskError."""
    return [f.facility_name for f in decode(get(f"{url}/api/facilities"), _Facilities, url).data]


def latest(url: str, facility: str) -> Latest:
    """Ask for a facility's newest window; raise AskError."""
    address = f"{url}/api/sensors/{quote(facility)}?limit=1"
    answer = decode(get(address), _Windows, address)
    if not answer.data:
        return Latest(answer.pagination.total)
    item = answer.data[0]
    window = decode(msgspec.json.encode(item.get("window")), _Window, address)
    averages = {key[len(_AVERAGE) :]: item[key] for key in item if key.startswith(_AVERAGE)}
    return Latest(answer.pagination.total, window.start_time, window.end_time, averages)


def metric(text: str, name: str) -> int:
    """Return the sum of a counter over its labels, from Prometheus' text format."""
    total = 0.0
    for line in text.splitlines():
        key, _, value = line.rpartition(" ")
        if key == name or key.startswith(f"{name}{{"):
            total += float(value)
    return int(total)


def decode(body: bytes, kind: type[T], url: str) -> T:
    """Return an answer as `kind`; raise AskError if it is something else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise AskError(f"{url}: not the answer of a sensorpipe server: {error}") from error
