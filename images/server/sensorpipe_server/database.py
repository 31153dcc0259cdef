"""The MongoDB client and the collections, with the guarantees of DESIGN 4."""

from typing import Any, Final

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from sensorpipe_schema.names import COMPACTED

Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]
Collection = AsyncCollection[dict[str, Any]]

DEFAULT_DATABASE: Final = "sensorpipe"
DURABLE: Final = WriteConcern("majority", j=True)

WRITE_SECONDS: Final = 30.0
"""After this a write counts as failed and is tried again, which changes nothing if it was done."""

READ_SECONDS: Final = 5.0
"""For each batch of a read."""


def connect(uri: str) -> Client:
    """Return a client; it finds out within 2 s that no server can be selected."""
    return AsyncMongoClient(
        uri,
        tz_aware=True,
        serverSelectionTimeoutMS=2000,
        connectTimeoutMS=2000,
        heartbeatFrequencyMS=2000,
        appname="sensorpipe-server",
    )


def database(client: Client) -> Database:
    """Return the database that the URI names."""
    return client.get_default_database(DEFAULT_DATABASE, write_concern=DURABLE)


def windows(database: Database) -> Collection:
    """Return the stored windows; see `documents` for their form."""
    return database.get_collection(COMPACTED, write_concern=DURABLE)


def facilities(database: Database) -> Collection:
    """Return which sensors each facility has: `{_id: FACILITY, sensors: [NAME, …]}`."""
    return database.get_collection("facilities", write_concern=DURABLE)


def fences(database: Database) -> Collection:
    """Return the fences; see `fences` for their form."""
    return database.get_collection("fences", write_concern=DURABLE)
