"""The forms of the API's JSON answers, which it encodes and from which its document is made.

`null` stands for a number that JSON cannot hold.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from msgspec import UNSET, Meta, Struct, UnsetType, field

Time = Annotated[datetime, Meta(tz=True, examples=["2026-11-27T10:00:00Z"])]
"""A time in UTC, as RFC 3339 has it."""

Count = Annotated[int, Meta(ge=0)]

PATTERNS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Window": {
        "^(avg|min|max)_": {"type": "number"},
        "^stdev_": {"type": ["number", "null"]},
        "^count_": {"type": "integer", "minimum": 1},
    }
}
"""By form the patterns of its further keys, which have names of sensors, with their schemas."""


class Problem(Struct):
    """Why a request was not answered (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: Annotated[str, Meta(description="The path of the request.")]
    errors: Annotated[list[str], Meta(description="All that is wrong.")] | UnsetType = UNSET


class Span(Struct):
    """Start, inclusive, and end, exclusive."""

    start_time: Time
    end_time: Time


class Facility(Struct):
    """A facility that has sent readings."""

    facility_name: str
    sensors: Annotated[
        list[str], Meta(description="In alphabetical order. Of more than 10,000 some are missing.")
    ]
    units: Annotated[
        dict[str, str], Meta(description="The unit of each sensor whose Feed names one.")
    ]
    last_window: Span


class Facilities(Struct):
    """All facilities."""

    data: list[Facility]


class Window(TypedDict):
    """A window of a facility.

    Beside these fields it has `avg_X`, `min_X`, `max_X`, `stdev_X` and `count_X` of each sensor X
    with readings in it.
    """

    facility_name: str
    window: Span
    received_at: Annotated[
        datetime, Meta(tz=True, description="When its last readings were stored.")
    ]
    complete: Annotated[
        bool,
        Meta(description="Its end and the lateness have passed; only late readings may change it."),
    ]


EVENT: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["window", "gap"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Window"},
                    {
                        "type": "object",
                        "properties": {"reason": {"type": "string"}},
                        "required": ["reason"],
                    },
                ]
            },
        },
    },
    "required": ["id", "event", "data"],
}
"""Each event of a stream of windows."""


class Pagination(Struct, kw_only=True):
    """The place of a page."""

    offset: Annotated[Count, Meta(description="Not with `cursor`.")] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1)]
    total: (
        Annotated[Count, Meta(description="Number of all windows. Not with `cursor`.")] | UnsetType
    ) = UNSET
    next: (
        Annotated[str, Meta(description="The `cursor` of the next page; missing on the last one.")]
        | UnsetType
    ) = UNSET


class Windows(Struct):
    """A page of windows."""

    data: list[Window]
    pagination: Pagination


class SensorStats(Struct):
    """Statistics of the readings of a sensor themselves, exact for any grouping of windows.

    `stdev` is the sample standard deviation. The quantiles are within 1 %.
    """

    stdev: float | None
    avg: float
    min: float
    max: float
    count: Annotated[int, Meta(ge=1)]
    p50: float
    p95: float
    p99: float


FacilityStats = Annotated[
    dict[str, SensorStats],
    Meta(
        description="The facility as `_id`, and the statistics of each sensor by its name.",
        extra_json_schema={"properties": {"_id": {"type": "string"}}, "required": ["_id"]},
    ),
]


class SourceIntegrity(Struct):
    """What is stored of a source: of one run of the publisher of one sensor.

    Of a device with an identity of its own (`identity` of a Feed) only readings and duplicates
    can be counted: there `first`, `last` and `lost` are null.
    """

    facility: str
    sensor: str
    src: Annotated[str, Meta(description="Identifies the run.")]
    first: Annotated[int | None, Meta(description="Lowest `seq` stored.")]
    last: Annotated[int | None, Meta(description="Highest `seq` stored.")]
    count: Annotated[int, Meta(description="Readings stored, duplicates included.")]
    lost: Annotated[
        int | None,
        Meta(
            description="Missing `seq` from 1 to `last`; for a source with `removed`, from `first`."
        ),
    ]
    pending: Annotated[
        int,
        Meta(
            description="Missing, but possibly in a window that is still open; neither lost nor a "
            "fault."
        ),
    ]
    duplicates: Annotated[int, Meta(description="`seq` that are stored more than once.")]
    removed: Annotated[
        int, Meta(description="`seq` below `first` that retention has removed; not lost.")
    ]


class IntegrityTotals(Struct):
    """Sums over all sources."""

    count: int
    lost: int
    pending: int
    duplicates: int
    removed: int
    unidentified: Annotated[int, Meta(description="Readings without `src` and `seq`.")]
    sources: int
    unreadable: Annotated[
        int,
        Meta(
            description="Stored documents, or parts of them, that cannot be read; every answer "
            "leaves them out."
        ),
    ]

    def add(self, source: SourceIntegrity) -> None:
        """Add what is stored of a source."""
        self.count += source.count
        self.lost += source.lost or 0
        self.pending += source.pending
        self.duplicates += source.duplicates
        self.removed += source.removed


class SetAside(Struct):
    """Messages that are not counted, over all facilities."""

    dead_letters: Annotated[
        int | None,
        Meta(
            description="Messages that are not readings, as many as Kafka holds; null where Kafka "
            "does not answer."
        ),
    ]
    refused: Annotated[
        int | None,
        Meta(description="Partials that could not be stored, as many as Kafka holds."),
    ]
    fenced: Annotated[
        int,
        Meta(
            description="Partials of a compactor that was replaced; their readings were sent again."
        ),
    ]


class Integrity(Struct):
    """A line for each facility, sensor and source, the totals, and what is not in them."""

    data: list[SourceIntegrity]
    totals: IntegrityTotals
    removed_before: Annotated[
        dict[str, Time],
        Meta(
            description="For each facility from which retention removes even the coarsest level: "
            "the time before which nothing is kept."
        ),
    ]
    set_aside: SetAside


class SeriesRow(TypedDict):
    """What a sensor measured in a bucket; only the fields that were asked for."""

    time: Annotated[datetime, Meta(tz=True, description="The start of the bucket.")]
    facility: str
    sensor: str
    avg: NotRequired[float]
    min: NotRequired[float]
    max: NotRequired[float]
    count: NotRequired[Annotated[int, Meta(ge=1)]]
    stdev: NotRequired[float | None]
    p50: NotRequired[float | None]
    p95: NotRequired[float | None]
    p99: NotRequired[float | None]
    complete: Annotated[
        bool,
        Meta(description="Its end and the lateness have passed; only late readings may change it."),
    ]


class Series(Struct):
    """Rows ordered by time, facility and sensor; a bucket without readings has none."""

    every: Annotated[str, Meta(description="The length of the buckets.", examples=["5m"])]
    from_: Annotated[Time, Meta(description="The start of the first bucket.")] = field(name="from")
    to: Annotated[Time, Meta(description="The end of the last bucket.")]
    units: Annotated[
        dict[str, str],
        Meta(
            description="The unit of each sensor whose Feed names one, unless these facilities "
            "differ in it."
        ),
    ]
    data: list[SeriesRow]


class KafkaPlace(Struct, frozen=True):
    """A message in Kafka."""

    topic: str
    partition: Count
    offset: Count


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that cannot be used, and why."""

    at: Annotated[Time, Meta(description="When it became a dead letter.")]
    topic: Annotated[
        str, Meta(description="Where it came from: an MQTT topic; of a partial, a Kafka topic.")
    ]
    reason: str
    detail: Annotated[str, Meta(description="What exactly is wrong.")]
    what_to_do: Annotated[str, Meta(description="A hint by the reason.")]
    feed: Annotated[str | None, Meta(description="The Feed that took it; null if none.")]
    payload: Annotated[str, Meta(description="At most its first 2,048 bytes.")]
    payload_encoding: Annotated[
        Literal["utf-8", "base64"], Meta(description="Base64 where it is not UTF-8.")
    ]
    payload_bytes: Annotated[
        Count, Meta(description="Its size; of a message that was too large, what was kept of it.")
    ]
    kept_at: Annotated[KafkaPlace, Meta(description="The dead letter itself.")]
    read_from: Annotated[
        KafkaPlace | None, Meta(description="Of a partial, where it was; null for other messages.")
    ]


class DeadLetterTopic(Struct, frozen=True):
    """A topic of dead letters."""

    topic: str
    held: Annotated[
        Count | None,
        Meta(
            description="Number of messages that Kafka holds; null where the topic does not exist, "
            "or the server's user may not see it."
        ),
    ]


class DeadLetters(Struct, frozen=True):
    """The newest dead letters, and how far back the server has looked for them."""

    data: list[DeadLetter]
    complete: Annotated[
        bool, Meta(description="Whether Kafka holds no others that the request asks for.")
    ]
    since: Annotated[
        Time | None,
        Meta(description="None is missing from this time on; null where all were looked at."),
    ]
    looked_at: Annotated[Count, Meta(description="Number of messages looked at.")]
    topics: list[DeadLetterTopic]
