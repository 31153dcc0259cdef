"""Refuses a database of an earlier version, whose documents are windows instead of partials."""

import asyncio
from typing import Final

import pymongo
from pymongo.errors import PyMongoError
from sensorpipe_runtime.backoff import retry_backoff
from sensorpipe_runtime.settings import SettingsError

from sensorpipe_server.storage.mongodb import database

_TEXT: Final = (
    "the database '{database}' holds windows in the format of an earlier version: drop its "
    "collections {windows}, facilities and fences, or name another database in "
    "SENSORPIPE_MONGODB_URI"
)


class OldFormatError(SettingsError):
    """The database holds windows in the format of an earlier version, which cannot be read."""

    def __init__(self, db: database.Database) -> None:
        super().__init__([_TEXT.format(database=db.name, windows=database.windows(db).name)])


async def refuse(db: database.Database) -> None:
    """Return once MongoDB has no windows in the old format; raise OldFormatError if it has.

    Retries while MongoDB is unavailable. Reads the first and the last document only, since no
    version mixes both formats.
    """
    backoff = retry_backoff()
    windows = database.windows(db)
    while True:
        try:
            with pymongo.timeout(database.READ_SECONDS):
                for order in (1, -1):
                    found = await windows.find_one({}, {"compactors": 1}, sort=[("_id", order)])
                    if found and "compactors" in found:
                        raise OldFormatError(db)
        except PyMongoError:  # the watch of MongoDB reports it
            await asyncio.sleep(backoff.next())
        else:
            return
