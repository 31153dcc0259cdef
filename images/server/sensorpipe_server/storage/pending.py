"""Partials ready to be stored, and refused records, each with its Kafka record."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from sensorpipe_schema.partial import Checked

from sensorpipe_server.storage.documents import Document, document


class KafkaRecord(Protocol):
    """The parts of a Kafka record that the server uses."""

    @property
    def topic(self) -> str: ...  # noqa: D102  Kafka's names
    @property
    def partition(self) -> int: ...  # noqa: D102  Kafka's names
    @property
    def offset(self) -> int: ...  # noqa: D102  Kafka's names
    @property
    def key(self) -> bytes | None: ...  # noqa: D102  Kafka's names
    @property
    def value(self) -> bytes | None: ...  # noqa: D102  Kafka's names


class RefusedRecord(NamedTuple):
    """A record that cannot be decoded or stored, and why."""

    record: KafkaRecord
    reason: str
    detail: str


class Pending(NamedTuple):
    """A partial that is ready to be stored."""

    document: Document
    record: KafkaRecord
    series: tuple[str, ...]
    """The facility, and the names of the sensors."""
    start_ms: int
    """The start of its window in unix milliseconds."""
    end_ms: int
    """The end of its window, exclusive, in unix milliseconds."""
    units: Mapping[str, str] = {}
    """Units by sensor, where they are known."""

    @property
    def facility(self) -> str:
        """Name of the facility."""
        return self.series[0]


def pending(checked: Checked, record: KafkaRecord, received_at: datetime) -> Pending:
    """Return a checked partial, ready to be stored."""
    stored = document(checked, record.value or b"", received_at)
    series = (checked.facility, *stored["sensors"])
    return Pending(stored, record, series, checked.start_ms, checked.end_ms, checked.units)
