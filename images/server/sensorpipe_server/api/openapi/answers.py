"""The forms of the API's answers in JSON, from which the OpenAPI document is made."""

from datetime import datetime
from typing import Annotated, Any, TypedDict

from msgspec import UNSET, Meta, Struct, UnsetType


class Span(Struct):
    """When a window starts and ends."""

    start_time: datetime
    end_time: datetime


class Facility(Struct):
    """A facility that has sent readings."""

    facility_name: str
    sensors: list[str]
    """In alphabetical order; 10,000 at most are listed."""
    last_window: Span


class Facilities(Struct):
    """All facilities."""

    data: list[Facility]


class Window(TypedDict):
    """A window of a facility, with five values of each sensor that has readings in it."""

    facility_name: str
    window: Span
    received_at: datetime
    complete: bool


class Pagination(Struct):
    """Which page this is, and where the next one begins."""

    limit: int
    offset: int | UnsetType = UNSET
    total: int | UnsetType = UNSET
    next: str | UnsetType = UNSET


class Windows(Struct):
    """A page of windows, newest first."""

    data: list[
        Annotated[
            Window,
            Meta(
                extra_json_schema={
                    "patternProperties": {
                        "^(avg|min|max|stdev)_": {"type": "number"},
                        "^count_": {"type": "integer"},
                    }
                }
            ),
        ]
    ]
    pagination: Pagination


class SensorStats(Struct):
    """Statistics of all readings of a sensor in a time range."""

    stdev: float
    avg: float
    min: float
    max: float
    count: int
    p50: float
    p95: float
    p99: float


FacilityStats = dict[str, Any]
"""The facility as `_id`, and the SensorStats of each sensor by its name."""


class SourceIntegrity(Struct):
    """What is stored of one source: one run of the publisher of one sensor."""

    facility: str
    sensor: str
    src: str
    first: int
    last: int
    count: int
    lost: int
    pending: int
    duplicates: int
    removed: int


class IntegrityTotals(Struct):
    """Sums over all sources."""

    count: int
    lost: int
    pending: int
    duplicates: int
    removed: int
    unidentified: int
    sources: int
    unreadable: int


class SetAside(Struct):
    """Messages that are not counted, over all facilities."""

    dead_letters: int | None
    refused: int | None
    fenced: int


class Integrity(Struct):
    """Whether every reading was counted exactly once."""

    data: list[SourceIntegrity]
    totals: IntegrityTotals
    removed_before: dict[str, datetime]
    set_aside: SetAside
