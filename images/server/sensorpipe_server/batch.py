"""From Kafka records to a batch that is ready to be written: decoding, fences, folding."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sensorpipe_schema.partial import BadPartialError, read

from sensorpipe_server.fences import Fence, Line, Lines
from sensorpipe_server.window import Part, Refused, Window


class Record(Protocol):
    """What is used of a Kafka record."""

    @property
    def topic(self) -> str: ...  # noqa: D102  Kafka's names
    @property
    def partition(self) -> int: ...  # noqa: D102  Kafka's names
    @property
    def offset(self) -> int: ...  # noqa: D102  Kafka's names
    @property
    def value(self) -> bytes | None: ...  # noqa: D102  Kafka's names


@dataclass(slots=True)
class Batch:
    """Records of several partitions, prepared; nothing in it is stored yet."""

    inserts: bool = True
    """Whether most windows are expected to be new, so that each is encoded at once."""

    windows: dict[str, Window] = field(default_factory=dict)
    fences: list[Fence] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    records: int = 0
    fenced: int = 0
    redelivered: int = 0

    def add(self, records: Iterable[Record], lines: Lines, received_at: datetime) -> None:
        """Add the records of one partition, in order; `lines` takes up their fences."""
        for record in records:
            self.records += 1
            try:
                self._add(record, lines, received_at)
            except BadPartialError as error:
                self.refused.append(Refused(record, error.reason, str(error)))

    def encode(self) -> None:
        """Encode windows of several partials, too; a store would do it as well."""
        for key in [key for key, window in self.windows.items() if window.raw is None]:
            self._encode(key, self.windows[key])

    def _add(self, record: Record, lines: Lines, received_at: datetime) -> None:
        checked = read(record.value or b"")
        origin = checked.origin
        if not checked.summaries:
            self._add_fence(record, origin.compactor, origin.epoch, lines)
            return
        line = lines.get(origin.compactor)
        if line is not None and line.shuts_out(origin.epoch, record.offset):
            self.fenced += 1
            return
        part = Part(checked, record, received_at)
        window = self.windows.get(part.key)
        if window is None:
            window = self.windows[part.key] = Window(part)
            if self.inserts:
                self._encode(part.key, window)
        elif not window.add(part):
            self.redelivered += 1

    def _encode(self, key: str, window: Window) -> None:
        self.refused += window.encode()
        if window.raw is None:
            del self.windows[key]

    def _add_fence(self, record: Record, compactor: str, epoch: int, lines: Lines) -> None:
        lines.setdefault(compactor, Line()).add(epoch, record.offset)
        self.fences.append(Fence(record.topic, record.partition, compactor, epoch, record.offset))
