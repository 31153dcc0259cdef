"""The state of each partition of the topic: its log, its fences, its number of fenced partials.

    {_id: "TOPIC/PARTITION", log: TOPIC_ID, position: {log, offset},
     fences: [{log, compactor, run, offset}, …], fenced, last_fenced: {log, offset}}

A log is one incarnation of a topic, by Kafka's id of it: positions and fences mean nothing in
another one. `log` names the log whose committed position counts; it is written once a position
of that log is committed. Until then a partition is read from its beginning, which does not
change what is stored already.

`position` is stored before it is committed to Kafka, and everything below it is stored. If it is
lower than the committed one, a backup was restored, and the partition is read from its beginning.

A fence says that from its offset on only one run of its compactor counts in the partition: what
a stalled instance writes behind the fence of its successor, the successor has counted as well.
A partition is read in order, so the last fence of its compactor before a partial decides whether
the partial counts. Only offsets matter, so the decision is the same whenever it is read again.
"""

import logging
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pymongo
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from sensorpipe_server.storage.mongodb import refusal
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, Collection, await_answer

MAX_FENCES: Final = 1000
"""Largest number of fences stored for one partition; older ones are dropped."""

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A partition of one incarnation of a topic."""

    topic: str
    partition: int
    log: str
    """Kafka's id of the topic."""


class Fence(NamedTuple):
    """A fence: from `offset` on only this run of the compactor counts in the partition."""

    place: Place
    compactor: str
    run: int
    offset: int


class Log:
    """A partition as it is read: which run of each compactor counts at the current offset."""

    def __init__(
        self,
        place: Place,
        stored_log: str | None,
        fences: Iterable[Fence] = (),
        position: int | None = None,
    ) -> None:
        self.place = place
        self.stored_log = stored_log
        """Id of the log whose committed position is stored; None if none is stored."""
        self.position = position
        """Offset below which all records of this log are stored; None if that is unknown."""
        self._fences = sorted((fence.offset, fence.compactor, fence.run) for fence in fences)
        self._runs: dict[str, int] = {}
        self._offset = -1

    @property
    def is_new(self) -> bool:
        """Whether no committed position belongs to this log."""
        return self.stored_log != self.place.log

    def is_older_than(self, committed: int | None) -> bool:
        """Whether less is stored than was committed, as in a restored backup."""
        if self.position is None or committed is None:
            return False
        return self.position < committed

    def move_to(self, offset: int) -> None:
        """Continue reading at an offset."""
        if offset != self._offset:
            self._offset = offset
            self._runs = {name: run for at, name, run in self._fences if at < offset}

    def excludes(self, compactor: str, run: int) -> bool:
        """Whether another run of the compactor is the only one that counts here."""
        return self._runs.get(compactor, run) != run

    def add(self, fence: Fence) -> None:
        """Apply a fence at the current offset."""
        known = (fence.offset, fence.compactor, fence.run)
        if known not in self._fences:
            insort(self._fences, known)
            del self._fences[:-MAX_FENCES]
        self._runs[fence.compactor] = fence.run

    def advance_to(self, offset: int) -> None:
        """Note that everything below an offset was read, fences included."""
        self._offset = offset


Offsets = Mapping[Place, Sequence[int]]
"""Offsets of fenced partials by partition, ascending."""


async def load(collection: Collection, place: Place) -> Log:
    """Return the stored state of a partition, without its fences if one of them is malformed."""
    stored = await collection.find_one({"_id": _id(place)}) or {}
    fences: list[Fence] = []
    try:
        fences += [
            Fence(place, str(each["compactor"]), int(each["run"]), int(each["offset"]))
            for each in stored.get("fences", [])
            if each["log"] == place.log
        ]
    except (KeyError, TypeError, ValueError) as error:
        log.warning(
            "stored fences cannot be read", extra={"log": stored["_id"], "error": repr(error)}
        )
    return Log(place, stored.get("log"), fences, _position(stored, place))


async def adopt(collection: Collection, place: Place) -> None:
    """Store that committed positions of a partition belong to this log."""
    await collection.update_one(
        {"_id": _id(place)},
        {"$set": {"log": place.log}, "$pull": {"fences": {"log": {"$ne": place.log}}}},
        upsert=True,
    )


async def store_positions(collection: Collection, positions: Mapping[Place, int]) -> None:
    """Store for each partition the offset below which everything is stored; it never falls."""
    updates = [
        UpdateOne(
            {"_id": _id(place)},
            [{"$set": {"position": _raised_offset("position", place, offset)}}],
            upsert=True,
        )
        for place, offset in positions.items()
    ]
    await collection.bulk_write(updates, ordered=False)


async def save(
    collection: Collection,
    fences: Iterable[Fence],
    fenced: Offsets,
    *,
    refused_seconds: float = 0.0,
) -> None:
    """Store fences, and count the fenced partials; idempotent.

    What MongoDB never accepts is left out, with a warning, so that it does not delay the rest.
    `refused_seconds` is the time for which MongoDB has refused some of them.
    """
    updates = [(fence.place, update) for fence in fences for update in _updates(fence)]
    updates += [(place, _count_update(place, offsets)) for place, offsets in fenced.items()]
    if not updates:
        return
    try:
        await collection.bulk_write([update for _, update in updates], ordered=False)
    except BulkWriteError as error:
        problems = refusal.permanent(error, refused_seconds)
        if any(refusal.is_duplicate_id(one) for one in problems):
            raise  # another server has just made the entry
        for problem in problems:
            log.warning(
                "a fence, or a count of fenced partials, is not stored",
                extra={
                    "partition": updates[problem["index"]][0].partition,
                    "error": refusal.describe(problem)[:500],
                },
            )


async def fenced_total(collection: Collection) -> int:
    """Return the number of fenced partials; counts that are not integers are skipped."""
    with pymongo.timeout(READ_SECONDS):
        counted = collection.find({"fenced": {"$type": ["int", "long"]}})
        entries = await await_answer(counted.to_list())
    return sum(entry["fenced"] for entry in entries)


def _id(place: Place) -> str:
    return f"{place.topic}/{place.partition}"


def _position(stored: Mapping[str, Any], place: Place) -> int | None:
    """Return the stored position if it belongs to this log, otherwise None."""
    match stored.get("position"):
        case {"log": place.log, "offset": int(offset)}:
            return offset
        case _:
            return None


def _raised_offset(field: str, place: Place, offset: int) -> dict[str, Any]:
    """Return the value of a field `{log, offset}`: the higher offset, of the same log."""
    return {"log": place.log, "offset": {"$max": [_last_offset(field, place), offset]}}


def _last_offset(field: str, place: Place) -> dict[str, Any]:
    """Return the offset in a field `{log, offset}`; -1 if it is missing or of another log."""
    is_same = {"$eq": [f"${field}.log", place.log]}
    return {"$cond": [is_same, f"${field}.offset", -1]}


def _updates(fence: Fence) -> list[UpdateOne]:
    """Return updates that add a fence once, drop those of other logs, and bound the list."""
    key = {"_id": _id(fence.place)}
    entry = {
        "log": fence.place.log,
        "compactor": fence.compactor,
        "run": fence.run,
        "offset": fence.offset,
    }
    newest = {"$each": [], "$sort": {"offset": 1}, "$slice": -MAX_FENCES}
    return [
        UpdateOne(key, {"$addToSet": {"fences": entry}}, upsert=True),
        UpdateOne(key, {"$pull": {"fences": {"log": {"$ne": fence.place.log}}}}),
        UpdateOne(key, {"$push": {"fences": newest}}),
    ]


def _count_update(place: Place, offsets: Sequence[int]) -> UpdateOne:
    """Return an update that counts offsets above the last one counted for the same log."""
    last = _last_offset("last_fenced", place)
    new = {"$filter": {"input": list(offsets), "cond": {"$gt": ["$$this", last]}}}
    counted = {"$add": [{"$ifNull": ["$fenced", 0]}, {"$size": new}]}
    newest = _raised_offset("last_fenced", place, offsets[-1])
    return UpdateOne(
        {"_id": _id(place)}, [{"$set": {"fenced": counted, "last_fenced": newest}}], upsert=True
    )
