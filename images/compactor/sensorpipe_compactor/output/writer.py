"""Makes windows durable: as many partials as it takes for Kafka to accept each."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin

from sensorpipe_compactor.output.dividing import all_parts, halves
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import Record, largest_size
from sensorpipe_compactor.partials.encoding import encode_partials
from sensorpipe_compactor.partials.slices import slices
from sensorpipe_compactor.windowing.buffers import Window
from sensorpipe_compactor.windows import Windows

_TOO_LARGE: Final = "partial_too_large"

log = logging.getLogger(__name__)


class Writer:
    """Writes windows to a journal under the name of a compactor."""

    def __init__(self, journal: Journal, windows: Windows, name: str) -> None:
        self.partials = 0
        """Partials that are durable."""
        self.readings = 0
        """Readings that are durable."""
        self.itemized = 0
        """Readings that are durable in itemized partials."""
        self._journal = journal
        self._windows = windows
        self._name = name
        self._number = 0
        self._newest_ms = 0
        self._covers_partition = False
        self._looked_again = False

    async def write(self, closed: list[Window], filters: tuple[str, bytes]) -> None:
        """Return once all is durable; what cannot be divided to fit is a dead letter then.

        `filters` is the header of each partial.
        """
        self._looked_again = False
        ends = [window.end_ms for window in closed]
        horizon = self._journal.horizon
        self._covers_partition = horizon.is_sure
        self._newest_ms = max(self._newest_ms, horizon.newest_ms, *ends)
        left = all_parts(closed, self._journal.max_bytes)
        while left:
            windows, left = left, []
            records = await self._records(windows, filters)
            if largest_size(records) > self._journal.max_bytes:
                windows, records, left = await self._fitting(windows, records)
            refused = await self._journal.append(records)
            for place in refused:
                left += self._divided(windows[place], records[place].size)
            self._count([each for place, each in enumerate(windows) if place not in refused])

    def _count(self, written: Sequence[Window]) -> None:
        """Count windows that are durable, each as one partial."""
        self.partials += len(written)
        self.readings += sum([window.count for window in written])
        self.itemized += sum([window.count for window in written if window.itemized])

    async def _fitting(
        self, windows: Sequence[Window], records: Sequence[Record]
    ) -> tuple[list[Window], list[Record], list[Window]]:
        """Return those that the topic takes, as far as we know, and what the others divide into."""
        fitting: list[Window] = []
        of_fitting: list[Record] = []
        divided: list[Window] = []
        for window, record in zip(windows, records, strict=True):
            if await self._fits(window, record.size):
                fitting.append(window)
                of_fitting.append(record)
            else:
                divided += self._divided(window, record.size)
        return fitting, of_fitting, divided

    async def _records(self, windows: list[Window], filters: tuple[str, bytes]) -> list[Record]:
        """Return the record of each window, made in slices that do not hold the event loop long."""
        covers, headers, records = self._covers_partition, [filters], list[Record]()
        for some in slices(windows):
            first = Origin(self._name, self._journal.run, self._number + 1, self._newest_ms)
            self._number += len(some)
            records += [
                Record(COMPACTED, window.facility.encode(), value, headers, covers)
                for window, value in zip(some, encode_partials(some, first), strict=True)
            ]
            await asyncio.sleep(0)
        return records

    async def _fits(self, window: Window, size: int) -> bool:
        """Return whether the topic takes so much, as far as we know.

        Before a reading becomes a dead letter the topic's limit is asked for again, once in a
        `write`: it may have been raised.
        """
        if size <= self._journal.max_bytes:
            return True
        if self._looked_again or halves(window) is not None:
            return False
        self._looked_again = True
        await self._journal.look_again_at_limit()
        return size <= self._journal.max_bytes

    def _divided(self, window: Window, size: int) -> list[Window]:
        """Return two halves; none where the window cannot be divided and is a dead letter."""
        if (divided := halves(window)) is not None:
            return list(divided)
        limit = self._journal.max_bytes
        detail = f"a partial of {size} bytes; max.message.bytes of the topic allows {limit}"
        log.error(
            "A partial is too large for Kafka and cannot be divided; it becomes a dead letter",
            extra={"facility": window.facility, "size": size, "limit": limit},
        )
        self._windows.dead_letter_window(window, _TOO_LARGE, detail)
        return []
