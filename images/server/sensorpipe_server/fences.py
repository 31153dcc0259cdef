"""Fences: what a lower epoch wrote behind the start of a higher one must not count.

A stalled instance of a compactor may write a partial after its successor has begun and
has counted the same readings again. The successor's fence lies before that partial in the
same partition, so offsets alone decide, and they decide alike after every re-read.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from pymongo import UpdateOne

from sensorpipe_server.database import Collection

KEPT: Final = 100
"""Fences of one compactor and partition; older ones are forgotten."""


class Fence(NamedTuple):
    """That `compactor` began `epoch` at `offset` of a partition."""

    topic: str
    partition: int
    compactor: str
    epoch: int
    offset: int


class Line:
    """The fences of one compactor in one partition: epochs that rise with their offsets."""

    __slots__ = ("_fences", "top")

    def __init__(self) -> None:
        self._fences: list[tuple[int, int]] = []
        self.top = -1

    def add(self, epoch: int, offset: int) -> None:
        """Add a fence; one that a lower offset makes superfluous is not kept."""
        insort(self._fences, (offset, epoch))
        rising: list[tuple[int, int]] = []
        for fence in self._fences:
            if not rising or fence[1] > rising[-1][1]:
                rising.append(fence)
        self._fences = rising[-KEPT:]
        self.top = self._fences[-1][1]

    def shuts_out(self, epoch: int, offset: int) -> bool:
        """Whether a fence below `offset` began a higher epoch."""
        if epoch >= self.top:
            return False
        below = bisect_left(self._fences, (offset,))
        return below > 0 and self._fences[below - 1][1] > epoch


Lines = dict[str, Line]
"""The fences of one partition, by compactor."""


async def load(collection: Collection, topic: str, partition: int) -> Lines:
    """Return what is known of a partition."""
    prefix = f"{topic}/{partition}"
    lines: Lines = {}
    async for entry in collection.find({"_id": {"$gte": f"{prefix}/", "$lt": f"{prefix}0"}}):
        line = lines.setdefault(entry["compactor"], Line())
        for fence in entry["fences"]:
            line.add(fence["epoch"], fence["offset"])
    return lines


async def save(collection: Collection, fences: Iterable[Fence]) -> None:
    """Add fences to what is stored; adding one again changes nothing."""
    updates = [update for fence in fences for update in _updates(fence)]
    if updates:
        await collection.bulk_write(updates, ordered=True)


def _updates(fence: Fence) -> list[UpdateOne]:
    """Drop what this fence makes superfluous, add it, and keep the list bounded."""
    key = {"_id": f"{fence.topic}/{fence.partition}/{fence.compactor}"}
    entry: dict[str, Any] = {"epoch": fence.epoch, "offset": fence.offset}
    superfluous = {"epoch": {"$lte": fence.epoch}, "offset": {"$gt": fence.offset}}
    newest = {"$each": [], "$sort": {"offset": 1}, "$slice": -KEPT}
    return [
        UpdateOne(key, {"$pull": {"fences": superfluous}}),
        UpdateOne(
            key,
            {"$addToSet": {"fences": entry}, "$set": {"compactor": fence.compactor}},
            upsert=True,
        ),
        UpdateOne(key, {"$push": {"fences": newest}}),
    ]
