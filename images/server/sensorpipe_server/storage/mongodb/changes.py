"""The change stream of inserted partials: which documents were added, and in which order.

Only the `_id` of documents is sent, which costs MongoDB some 20 µs for each (`make bench
ARGS=live`). Places in the stream are times of MongoDB's oplog, not its resume tokens: they are
short, and those of another database can be told by their time.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from bson.timestamp import Timestamp
from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from sensorpipe_schema.names import COMPACTED

from sensorpipe_server.storage.mongodb.database import READ_SECONDS, Collection, Database

BATCH: Final = 2000
"""Largest number of changes that are read at a time: some 10 ms of work."""

WAIT_MS: Final = 1000
"""Milliseconds for which MongoDB waits for a change before it answers that there is none."""

_PIPELINE: Final = [
    {"$match": {"operationType": {"$in": ["insert", "invalidate"]}}},
    {"$project": {"operationType": 1, "clusterTime": 1, "documentKey": 1}},
]
"""The same in every version: `Position.number` counts what passes."""

_UNAUTHORIZED: Final = 13
_HISTORY_LOST: Final = 286
_NO_SNAPSHOT: Final = frozenset({239, 246})
"""SnapshotTooOld and SnapshotUnavailable."""

_is_position = re.compile(r"([0-9a-f]{8})([0-9a-f]{8})-(0|[1-9][0-9]{0,8})", re.ASCII).fullmatch


class NoChangesError(Exception):
    """MongoDB has no change streams for this user; the text says why."""


class LostError(Exception):
    """MongoDB no longer has the changes since a place, or the collection was dropped."""


class Position(NamedTuple):
    """A place in the stream: behind so many changes with this time."""

    seconds: int
    increment: int
    number: int

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.seconds:08x}{self.increment:08x}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Return the position in a text; raise ValueError."""
        found = _is_position(text)
        if found is None:
            raise ValueError("not a place in the stream")
        return cls(int(found[1], 16), int(found[2], 16), int(found[3]))

    @classmethod
    def before(cls, time: Timestamp, seconds: int = 0) -> "Position":
        """Return the position before all changes of a time, or so many seconds earlier."""
        return cls(max(time.time - seconds, 1), time.inc, 0)

    @property
    def time(self) -> Timestamp:
        """The time of the change before it."""
        return Timestamp(self.seconds, self.increment)


class Change(NamedTuple):
    """An inserted document."""

    position: Position
    """The place behind it."""
    id: str
    """Its `_id`; empty if that is no text."""


class Changes(NamedTuple):
    """Some consecutive changes."""

    changes: Sequence[Change]
    position: Position
    """The place up to which there are no others."""


class ChangeStream:
    """Reads changes from a place on; see `open_changes`."""

    def __init__(
        self, db: Database, session: AsyncClientSession, after: Position, reply: dict[str, Any]
    ) -> None:
        self.position = after
        """The place up to which changes were read."""
        self.now = Position.before(reply["$clusterTime"]["clusterTime"])
        """The newest time known to MongoDB when the stream was opened."""
        self._db = db
        self._session = session
        self._time: Timestamp | None = None
        self._number = 0
        self._skip = after
        self._reply = reply

    async def next(self, wait_ms: int = WAIT_MS) -> Changes:
        """Return the next changes, at most BATCH; none if there were none for `wait_ms`.

        Raises LostError and PyMongoError.
        """
        cursor = self._reply["cursor"]
        if not cursor["id"]:
            raise LostError("the collection was dropped")
        more = {"getMore": cursor["id"], "collection": COMPACTED, "batchSize": BATCH}
        self._reply = await _ask(self._db, self._session, {**more, "maxTimeMS": wait_ms})
        cursor = self._reply["cursor"]
        changes = [
            change for each in cursor["nextBatch"] if (change := self._read(each)) is not None
        ]
        if changes:
            self.position = changes[-1].position
        elif not cursor["nextBatch"]:
            # "82", then seconds and increment of the time up to which MongoDB has looked
            token = cursor["postBatchResumeToken"]["_data"]
            seen = Position(int(token[2:10], 16), int(token[10:18], 16), 0)
            self.position = max(self.position, seen)
        return Changes(changes, self.position)

    async def close(self) -> None:
        """Have MongoDB forget the stream; ignore errors."""
        kill = {"killCursors": COMPACTED, "cursors": [self._reply["cursor"]["id"]]}
        with suppress(PyMongoError, TimeoutError):
            await _ask(self._db, self._session, kill)

    def _read(self, event: dict[str, Any]) -> Change | None:
        """Return a change; None if it comes before the place from which is read."""
        if event["operationType"] != "insert":
            raise LostError("the collection was dropped")
        time = event["clusterTime"]
        self._number = self._number + 1 if time == self._time else 1
        self._time = time
        position = Position(time.time, time.inc, self._number)
        if position <= self._skip:
            return None
        name = event["documentKey"]["_id"]
        return Change(position, name if isinstance(name, str) else "")


@asynccontextmanager
async def open_changes(db: Database, after: Position) -> AsyncIterator[ChangeStream]:
    """Open the stream behind a place.

    Raises NoChangesError, LostError if the place is not in this MongoDB, and PyMongoError. That
    MongoDB has it no longer is found out by the first `next`.
    """
    command = {"aggregate": COMPACTED, "cursor": {"batchSize": 0}}
    first = {"$changeStream": {"startAtOperationTime": after.time}}
    async with db.client.start_session(causal_consistency=False) as session:
        reply = await _ask(db, session, {**command, "pipeline": [first, *_PIPELINE]})
        stream = ChangeStream(db, session, after, reply)
        try:
            if after.time > stream.now.time:
                raise LostError("the place is not in this MongoDB")
            yield stream
        finally:
            await stream.close()


async def read_now(db: Database) -> Position:
    """Return the place of now; raise NoChangesError without a replica set, and PyMongoError."""
    reply = await _ask(db, None, {"hello": 1})
    if "setName" not in reply and reply.get("msg") != "isdbgrid":
        raise NoChangesError("MongoDB is not a replica set")
    return Position.before(reply["operationTime"])


def at(collection: Collection, position: Position) -> Collection:
    """Return the collection as it is at a place: with these documents and no later ones.

    Reads of it raise OperationFailure where that is too long ago; see `is_too_old`.
    """
    return collection.with_options(
        read_preference=ReadPreference.PRIMARY, read_concern=_AtTime(position.time)
    )


def is_too_old(error: PyMongoError) -> bool:
    """Whether MongoDB no longer knows what the collection was like at that place."""
    return isinstance(error, OperationFailure) and error.code in _NO_SNAPSHOT


class _AtTime(ReadConcern):
    """Reads what a majority had at a time, which PyMongo chooses itself otherwise."""

    def __init__(self, time: Timestamp) -> None:
        super().__init__("snapshot")
        self._time = time

    @property
    def document(self) -> dict[str, Any]:
        """The read concern as it is sent."""
        return {**super().document, "atClusterTime": self._time}


async def _ask(
    db: Database, session: AsyncClientSession | None, command: dict[str, Any]
) -> dict[str, Any]:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await db.command(
                command, session=session, read_preference=ReadPreference.PRIMARY
            )
    except OperationFailure as error:
        if error.code == _HISTORY_LOST:
            raise LostError("MongoDB no longer has all changes since then") from error
        if error.code == _UNAUTHORIZED:
            reason = "the server's user in MongoDB may not open change streams"
            raise NoChangesError(reason) from error
        raise
