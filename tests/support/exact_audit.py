"""The exact result that the server's audit of sequence numbers is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sensorpipe_schema.intervals import Interval


@dataclass(frozen=True, slots=True)
class ExactAudit:
    """What a multiset of sequence numbers says about loss, as `/api/integrity` reports it."""

    first: int
    last: int
    count: int
    lost: int
    duplicates: int

    @classmethod
    def of(cls, intervals: Sequence[Interval]) -> Self:
        """Audit at least one interval: gaps in the union are lost, overlaps duplicates."""
        ordered = sorted(intervals)
        first, reached = ordered[0][0], ordered[0][0] - 1
        count = lost = distinct = 0
        for low, high in ordered:
            count += high - low + 1
            lost += max(0, low - reached - 1)
            distinct += max(0, high - max(reached, low - 1))
            reached = max(reached, high)
        return cls(first, reached, count, lost, count - distinct)
