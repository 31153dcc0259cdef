"""The MongoDB client and the collections, with the guarantees of docs/design.md."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from sensorpipe_runtime.aio import is_being_cancelled
from sensorpipe_schema.names import COMPACTED

from sensorpipe_server.storage.mongodb import tls

T = TypeVar("T")

Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]
Collection = AsyncCollection[dict[str, Any]]

DEFAULT_DATABASE: Final = "sensorpipe"
DURABLE: Final = WriteConcern("majority", j=True)

WRITE_SECONDS: Final = 30.0
"""Seconds after which a write has failed and is repeated; every write is idempotent."""

READ_SECONDS: Final = 5.0
"""Seconds after which reading one batch of a cursor fails."""


async def await_answer(request: Awaitable[T]) -> T:
    """Return the answer of MongoDB; if the task is cancelled meanwhile, wait for it, then end.

    Without the first answer of a read its cursor could not be closed, and MongoDB would keep it
    for ten minutes. No cancellation is lost either: `asyncio.wait_for` of Python 3.11, which
    PyMongo uses, drops one that comes just as the awaited task ends. If one was lost before,
    this raises CancelledError at once. The request must have a timeout.
    """
    if is_being_cancelled():
        if asyncio.iscoroutine(request):
            request.close()
        raise asyncio.CancelledError
    asking = asyncio.ensure_future(request)
    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        await asyncio.wait({asking})
        if not asking.cancelled():
            asking.exception()  # retrieved, or asyncio would log it
        raise


def connect(uri: str, **options: Any) -> Client:
    """Return a client with options of PyMongo; it selects a server within 2 s, or fails."""
    return tls.connect_reloading(
        uri,
        lambda: AsyncMongoClient(
            uri,
            tz_aware=True,
            serverSelectionTimeoutMS=2000,
            connectTimeoutMS=2000,
            heartbeatFrequencyMS=2000,
            appname="sensorpipe-server",
            **options,
        ),
    )


def database(client: Client) -> Database:
    """Return the database that the URI names."""
    return client.get_default_database(DEFAULT_DATABASE, write_concern=DURABLE)


def rollups(database: Database) -> Collection:
    """Return the collection of rollups; see `rollups.levels` for its documents."""
    return database.get_collection("rollups", write_concern=DURABLE)


def rollup_state(database: Database) -> Collection:
    """Return the state of the rollups by facility; see `rollups.state` for its documents."""
    return database.get_collection("rollup_state", write_concern=DURABLE)


def rollup_dirty(database: Database) -> Collection:
    """Return the markers of rollups to compute again; see `rollups.state`."""
    return database.get_collection("rollup_dirty", write_concern=DURABLE)


def on_primary(collection: Collection) -> Collection:
    """Return the collection with reads from the primary only, whatever the URI prefers."""
    return collection.with_options(read_preference=ReadPreference.PRIMARY)


def windows(database: Database) -> Collection:
    """Return the collection of partials; see `documents` for its documents."""
    return database.get_collection(COMPACTED, write_concern=DURABLE)


def facilities(database: Database) -> Collection:
    """Return the collection of facilities; see `reads.facility_list` for its documents."""
    return database.get_collection("facilities", write_concern=DURABLE)


def logs(database: Database) -> Collection:
    """Return the collection of Kafka partitions and their fences; see `logs` for its documents."""
    return database.get_collection("logs", write_concern=DURABLE)
