"""Logs why MongoDB cannot be used, also while nothing has to be stored."""

import asyncio
import logging
from typing import Final
from urllib.parse import unquote_plus

import pymongo
from pymongo.errors import OperationFailure, PyMongoError
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.storage.mongodb import database

_INTERVAL_SECONDS: Final = 5.0
_AUTHENTICATION_FAILED: Final = 18
_UNAUTHORIZED: Final = 13

log = logging.getLogger(__name__)


async def watch(db: database.Database, uri: str) -> None:
    """Read from MongoDB every 5 s until cancelled; log failures, and their end."""
    throttled = ThrottledLogger(log)
    windows = database.windows(db)
    while True:
        try:
            with pymongo.timeout(database.READ_SECONDS):
                await windows.find_one({"_id": ""})
        except PyMongoError as error:
            throttled.warning("MongoDB cannot be used; trying again", error=explain(uri, error))
        except Exception:  # a fault of the watch must not stop the server
            log.exception("MongoDB cannot be watched; trying again")
        else:
            throttled.resolved("MongoDB can be used again")
        await asyncio.sleep(_INTERVAL_SECONDS)


def explain(uri: str, error: PyMongoError) -> str:
    """Return what is wrong with which user and host, and what to check; never the password."""
    name, hosts = _user_and_hosts(uri)
    user = f"the user {name!r}" if name else "no user"
    code = error.code if isinstance(error, OperationFailure) else None
    if code == _AUTHENTICATION_FAILED:
        return (
            f"MongoDB at {hosts}: {user} is not authenticated: check user, password and "
            "authSource in SENSORPIPE_MONGODB_URI, and restart if they have changed"
        )
    if code == _UNAUTHORIZED:
        return (
            f"MongoDB at {hosts}: {user} is not authorized to read and write this database: check "
            "the user's roles, and that SENSORPIPE_MONGODB_URI names one"
        )
    return f"MongoDB at {hosts} cannot be reached ({type(error).__name__}): {error}"[:300]


def _user_and_hosts(uri: str) -> tuple[str, str]:
    """Return user and hosts of a URI, which PyMongo splits less strictly than the standard."""
    authority = uri.partition("://")[2].partition("?")[0].partition("/")[0]
    userinfo, _, hosts = authority.rpartition("@")
    return unquote_plus(userinfo.partition(":")[0]), hosts
