"""Decodes Kafka records and applies fences, which makes a batch ready to be written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sensorpipe_schema.partial import BadPartialError, read

from sensorpipe_server.storage.logs import Fence, Log, Place
from sensorpipe_server.storage.pending import KafkaRecord, Pending, RefusedRecord, pending


@dataclass(slots=True)
class Batch:
    """Records of several partitions, prepared; nothing in it is stored yet."""

    partials: list[Pending] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)
    """Records that are not valid partials."""
    records: int = 0
    """Number of Kafka records added, of any kind."""
    fenced_at: dict[Place, list[int]] = field(default_factory=dict)
    """Offsets of the fenced partials by partition, ascending."""

    @property
    def fenced(self) -> int:
        """Number of fenced partials."""
        return sum(map(len, self.fenced_at.values()))

    def add(self, records: Sequence[KafkaRecord], log: Log, received_at: datetime) -> None:
        """Add records of one partition, in order; adds their fences to `log`."""
        log.move_to(records[0].offset)
        self.records += len(records)
        for record in records:
            try:
                checked = read(record.value or b"")
            except BadPartialError as error:
                self.refused.append(RefusedRecord(record, error.reason, str(error)))
                continue
            compactor, run, *_ = checked.origin
            if not checked.sensors:
                fence = Fence(log.place, compactor, run, record.offset)
                log.add(fence)
                self.fences.append(fence)
            elif log.excludes(compactor, run):
                self.fenced_at.setdefault(log.place, []).append(record.offset)
            else:
                self.partials.append(pending(checked, record, received_at))
        log.advance_to(records[-1].offset + 1)
