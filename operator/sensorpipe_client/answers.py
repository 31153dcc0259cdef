"""The answers of the API. Fields that a newer server adds are ignored."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, field


class Span(Struct, frozen=True):
    """A period of time."""

    start: datetime = field(name="start_time")
    """Start, inclusive."""
    end: datetime = field(name="end_time")
    """End, exclusive."""


class Facility(Struct, frozen=True):
    """A facility that has sent readings."""

    name: str = field(name="facility_name")
    sensors: list[str]
    """Names of its sensors, sorted; of more than 10,000 some are missing."""
    last_window: Span
    """Its newest window, at most some seconds behind."""
    units: dict[str, str] = {}
    """The unit of each sensor whose Feed names one."""


class SensorStats(Struct, frozen=True):
    """Statistics of readings; those of a window have no quantiles."""

    count: int
    avg: float
    min: float
    max: float
    stdev: float | None = None
    """Sample standard deviation; None if it is not a number that JSON can hold."""
    p50: float | None = None
    """Median, within 1 %, like the other quantiles."""
    p95: float | None = None
    p99: float | None = None


class Window(Struct, frozen=True):
    """The summary of a facility's readings in one window, 10 s by default."""

    facility: str
    start: datetime
    end: datetime
    received_at: datetime
    """When its last readings were stored."""
    complete: bool
    """Whether its end and the lateness have passed; after that only late readings change it."""
    sensors: dict[str, SensorStats]
    """Statistics by sensor; a sensor without readings is missing."""


class FacilityStats(Struct, frozen=True):
    """Statistics of a facility's readings in a range of time."""

    facility: str
    sensors: dict[str, SensorStats]
    """Statistics by sensor; a sensor without readings is missing."""


class Source(Struct, frozen=True):
    """What is stored of one source, for one sensor: of one run of a publisher, or of one device.

    Of a device with an identity of its own only readings and duplicates can be counted.
    """

    facility: str
    sensor: str
    src: str
    """Identifies the run."""
    first: int | None
    """Lowest stored `seq`; None for a device."""
    last: int | None
    """Highest stored `seq`; None for a device."""
    count: int
    """Number of stored readings, duplicates included."""
    lost: int | None
    """Number of lost readings; None for a device, whose gaps mean nothing."""
    duplicates: int
    """Number of `seq` that are stored more than once."""
    pending: int = 0
    """Number of missing readings that may still arrive; neither lost nor stored yet."""
    removed: int = 0
    """Number of readings that retention has removed; not lost."""


class Totals(Struct, frozen=True):
    """Sums over all sources."""

    count: int = 0
    lost: int = 0
    duplicates: int = 0
    pending: int = 0
    removed: int = 0
    unidentified: int = 0
    """Number of stored readings without `src` and `seq`, which cannot be checked."""
    sources: int = 0
    unreadable: int = 0
    """Number of stored documents, or parts of them, that the server cannot read."""


class SetAside(Struct, frozen=True):
    """Messages that are not counted, over all facilities; None if the server does not know."""

    dead_letters: int | None = None
    """Number of messages that are not readings, are too old or too far ahead."""
    refused: int | None = None
    """Number of partials that could not be stored, whose readings are all missing."""
    fenced: int | None = None
    """Number of partials of a compactor that was replaced; their readings were sent again."""


class Integrity(Struct, frozen=True):
    """Whether every reading was counted exactly once."""

    data: list[Source]
    totals: Totals
    set_aside: SetAside = SetAside()
    removed_before: dict[str, datetime] = {}
    """By facility the time before which retention has removed everything."""

    @property
    def intact(self) -> bool:
        """Whether nothing is lost, duplicate, refused or unreadable.

        A lost reading and a duplicate do not cancel out. Dead letters are not readings.
        """
        totals = self.totals
        faults = (totals.lost, totals.duplicates, totals.unreadable, self.set_aside.refused)
        return not any(faults) and not any(each.lost or each.duplicates for each in self.data)


class KafkaPlace(Struct, frozen=True):
    """A message in Kafka."""

    topic: str
    partition: int
    offset: int


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that could not be used, and why."""

    at: datetime
    """When it became a dead letter."""
    topic: str
    """Where it came from: an MQTT topic; of a partial, a Kafka topic."""
    reason: str
    detail: str
    """What exactly is wrong."""
    what_to_do: str
    """A hint by the reason."""
    feed: str | None = None
    """The Feed that took the message; None if none."""
    payload: str
    """Its first 2,048 bytes at most, as text or in base64; `payload_start` has the bytes."""
    payload_encoding: str
    """`utf-8`, or `base64` for what is not UTF-8."""
    payload_bytes: int
    """Its size; of a message that was too large, what was kept of it."""
    kept_at: KafkaPlace
    """Where Kafka keeps the dead letter; no other one is there."""
    read_from: KafkaPlace | None = None
    """Of a partial, where it was; None for other messages."""

    @property
    def payload_start(self) -> bytes:
        """The first bytes of the payload; ValueError if a server sends what is no base64."""
        if self.payload_encoding == "base64":
            return base64.b64decode(self.payload, validate=True)
        return self.payload.encode()


class DeadLetterTopic(Struct, frozen=True):
    """A topic of dead letters."""

    topic: str
    held: int | None = None
    """Number of messages that Kafka holds; None if the server does not see the topic."""


class DeadLetters(Struct, frozen=True):
    """The newest dead letters, newest first, and how far back the server looked for them."""

    data: list[DeadLetter]
    complete: bool
    """Whether Kafka holds no others that were asked for."""
    since: datetime | None = None
    """None is missing from this time on; None where all were looked at."""
    looked_at: int = 0
    """Number of messages that the server looked at."""
    topics: list[DeadLetterTopic] = []


class Problem(Struct, frozen=True):
    """The body of an error (RFC 9457)."""

    detail: str = ""
    errors: list[str] = []


class _Facilities(Struct, frozen=True):
    data: list[Facility]


class _Pagination(Struct, frozen=True):
    next: str | None = None


class _Page(Struct, frozen=True):
    data: list[dict[str, Any]]
    pagination: _Pagination


_FIGURES: Final = ("count", "avg", "min", "max", "stdev")
_COUNT: Final = "count_"


class _Item(Struct, frozen=True):
    """The fields of a window that do not depend on its sensors."""

    facility_name: str
    window: Span
    received_at: datetime
    complete: bool = True


def decode_facilities(body: bytes) -> list[Facility]:
    """Return the facilities of an answer; like all functions here, raise MsgspecError if wrong."""
    return msgspec.json.decode(body, type=_Facilities).data


def decode_windows(body: bytes, cursor: str = "") -> tuple[list[Window], str | None]:
    """Return the windows of the page at `cursor`, and the cursor of the next one, None at the end.

    A page that names itself as the next one is wrong, too: following it would never end.
    """
    page = msgspec.json.decode(body, type=_Page)
    if cursor and page.pagination.next == cursor:
        raise msgspec.ValidationError("the next page is this one")
    return [window_of(item) for item in page.data], page.pagination.next


def decode_stats(body: bytes) -> list[FacilityStats]:
    """Return the statistics of an answer."""
    return [stats_of(item) for item in msgspec.json.decode(body, type=list[dict[str, Any]])]


def decode_integrity(body: bytes) -> Integrity:
    """Return the integrity of an answer."""
    return msgspec.json.decode(body, type=Integrity)


def decode_dead_letters(body: bytes) -> DeadLetters:
    """Return the dead letters of an answer."""
    return msgspec.json.decode(body, type=DeadLetters)


def window_of(item: Mapping[str, Any]) -> Window:
    """Return a window from an item of the API; raise msgspec.ValidationError if it is none."""
    fixed = msgspec.convert(item, _Item)
    names = (key[len(_COUNT) :] for key in item if key.startswith(_COUNT))
    sensors = {
        name: msgspec.convert(
            {figure: item.get(f"{figure}_{name}") for figure in _FIGURES}, SensorStats
        )
        for name in names
    }
    span = fixed.window
    return Window(
        fixed.facility_name, span.start, span.end, fixed.received_at, fixed.complete, sensors
    )


def stats_of(item: Mapping[str, Any]) -> FacilityStats:
    """Return the statistics of a facility from an item of the API, or raise ValidationError."""
    found = {key: value for key, value in item.items() if key != "_id"}
    return FacilityStats(
        msgspec.convert(item.get("_id"), str), msgspec.convert(found, dict[str, SensorStats])
    )
