"""Begins a run: fences earlier runs, and learns up to which window end they wrote."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiokafka import ConsumerRecord
from sensorpipe_schema import partial
from sensorpipe_schema.partial import MAX_NUMBER, BadPartialError, Checked, Partial

from sensorpipe_compactor.epoch.coverage import COVERS, OTHERS_WRITE, Coverage
from sensorpipe_compactor.epoch.tail import Tail

_ATTEMPTS: Final = 3
"""Largest number of times that a run writes its fences while another run writes its own."""


class FencedError(Exception):
    """Another compactor of the same name took over: what this one writes no longer counts."""


WriteFence = Callable[[int, Partial, int | None], Awaitable[int]]
"""(partition, fence, offset that it covers if any) to the offset of the fence."""

OnRecord = Callable[[ConsumerRecord], None]


def _ignore(record: ConsumerRecord) -> None:
    """Ignore the record."""


def new_run() -> int:
    """Return a random number that identifies a run."""
    return secrets.randbelow(MAX_NUMBER) + 1


@dataclass(slots=True)
class Claim:
    """Fences partitions for a run of the compactor `name`, and reads what earlier runs wrote."""

    name: str
    run: int
    write_fence: WriteFence
    on_record: OnRecord = _ignore
    """Called with every record of the compactor that is read, fences included."""
    newest_ms: int = 0
    """Event time in ms that no reading in any known partial reaches."""
    is_known: bool | None = None
    """Whether `newest_ms` covers all partials ever written; None until the first `fence`."""
    partials: int = 0
    """Number of partials of earlier runs that were found."""
    _coverage: Coverage = field(default_factory=Coverage)
    _fence: dict[int, int] = field(default_factory=dict)
    """The run of the last fence, by partition."""

    async def fence(self, tail: Tail, partitions: list[int]) -> dict[int, int]:
        """Return, for each partition, an offset behind our fence, up to which all was seen.

        The fences come after the first look and before the last. What an earlier run still
        writes lies before a fence, and is read here; or behind it, and does not count. Raises
        FencedError if another run shuts us out again and again.
        """
        reached = await tail.ends(partitions)
        lows = await tail.search_back(reached, self._take, self._coverage.is_covered)
        if self.is_known is None:
            self.is_known = self._coverage.is_complete(lows)
        for _ in range(_ATTEMPTS):
            message = partial.fence(self.name, self.run, self.newest_ms)
            fences = {}
            for partition in partitions:
                covers = reached[partition] if self.is_known else None
                fences[partition] = await self.write_fence(partition, message, covers)
            await self._read(tail, reached, {p: offset + 1 for p, offset in fences.items()})
            await self._read(tail, reached, await tail.ends(partitions))
            if all(self._fence[partition] == self.run for partition in partitions):
                return reached
        raise FencedError(rival_text(self.name))

    async def _read(self, tail: Tail, reached: dict[int, int], ends: dict[int, int]) -> None:
        """Read each partition on from where that was reached, up to its end."""
        for partition, end in ends.items():
            await tail.read(partition, reached[partition], end, self._take)
            reached[partition] = max(reached[partition], end)

    def _take(self, record: ConsumerRecord) -> None:
        """Take note of one record, in any order but that of fences."""
        found = read_own(record, self.name)
        if found is None:
            return
        self.on_record(record)
        origin = found.origin
        self._coverage.add(record.partition, origin.newest_ms, _covers(record))
        if OTHERS_WRITE in record.headers:
            self._coverage.mark(record.partition, record.offset)
        self.newest_ms = max(self.newest_ms, origin.newest_ms)
        if found.sensors:
            self.partials += 1
        else:
            self._fence[record.partition] = origin.run


def rival_text(name: str) -> str:
    """Return the text of the error that another compactor of our name runs."""
    return f"another compactor {name!r} began behind us; only one may run under a name"


def read_own(record: ConsumerRecord, name: str) -> Checked | None:
    """Return what the partial or fence in a record says, if the compactor `name` wrote it."""
    try:
        found = partial.read(record.value or b"")
    except BadPartialError:
        return None  # the server takes it to the dead letters
    return found if found.origin.compactor == name else None


def is_rival(record: ConsumerRecord, name: str, run: int) -> bool:
    """Whether a record is a fence of another run of the compactor `name`."""
    found = read_own(record, name)
    return found is not None and not found.sensors and found.origin.run != run


def _covers(record: ConsumerRecord) -> int | None:
    """Return up to which offset a record covers its partition; None if it does not say so."""
    for key, value in record.headers:
        if key == COVERS and value.isdigit():
            return int(value)
    return None
