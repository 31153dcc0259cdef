"""What a compactor's own records tell of all partials that it ever wrote: pure.

Every record that a compactor writes carries `newest_ms`: no partial it wrote before ends a later
window. And it carries, in a header, how far that covers its partition: all partials below that
offset that count. A run that does not know of what was before it leaves the header out. So the
records behind the highest such offset tell of the whole partition, and nothing else needs to be
read back: what a reading before that time may be in, the fold of its window finds out.

Of topics that another compactor had, our records tell nothing. So a run that begins to take such
topics marks its fences. What it learns of the time up to which the other may have written is in
`newest_ms` of the records behind the fence that cover it; until there is one, nothing is told.
"""

from collections.abc import Mapping
from typing import Final

COVERS: Final = "covers"
"""Name of the Kafka header with the offset below which `newest_ms` covers the partition."""

HEADER_BYTES: Final = 32
"""Largest number of bytes that the header takes in a record."""


OTHERS_WRITE: Final = ("others_write", b"")
"""Kafka header of the fences of a run whose topics another compactor may have had."""


def covers_header(offset: int) -> tuple[str, bytes]:
    """Return the Kafka header that says that `newest_ms` covers all below `offset`."""
    return COVERS, str(offset).encode()


class Coverage:
    """Collects what a compactor's own records tell, in any order."""

    def __init__(self) -> None:
        self.newest_ms = 0
        """No partial that is covered ends later, in ms of event time."""
        self._covered: dict[int, int] = {}
        """By partition: the highest offset below which a record tells of all others."""
        self._marked: dict[int, int] = {}
        """By partition: the highest offset of a fence behind which others may have written."""

    def mark(self, partition: int, offset: int) -> None:
        """Take note of a fence of a run whose topics another compactor may have had."""
        self._marked[partition] = max(self._marked.get(partition, 0), offset)

    def add(self, partition: int, newest_ms: int, covers: int | None) -> None:
        """Take note of one own record: what it tells, and for which offsets, if it says so."""
        self.newest_ms = max(self.newest_ms, newest_ms)
        if covers is not None:
            self._covered[partition] = max(self._covered.get(partition, 0), covers)

    def is_covered(self, partition: int, low: int) -> bool:
        """Whether the records that were added cover all below the offset `low`."""
        return low <= self._covered.get(partition, 0)

    def is_complete(self, lows: Mapping[int, int]) -> bool:
        """Whether the records that were added tell of all partials that were ever written.

        `lows` says of each partition from which offset on its records were added. They do not
        where Kafka has deleted the beginning, the topic is new, or others may have written.
        """
        if not all(self.is_covered(p, low) for p, low in lows.items()):
            return False
        if not self._marked:
            return bool(self._covered)
        # a run marks all partitions before it takes a reading: one that tells more is enough
        return any(self._covered.get(p, 0) > mark for p, mark in self._marked.items())
