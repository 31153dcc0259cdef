"""Says why MongoDB cannot be used, whether or not anything is to be stored just now."""

import asyncio
import logging
from typing import Final
from urllib.parse import unquote_plus

import pymongo
from pymongo.errors import OperationFailure, PyMongoError
from sensorpipe_schema.complaint import Complaint

from sensorpipe_server import database

_EVERY: Final = 5.0
_AUTHENTICATION_FAILED: Final = 18
_UNAUTHORIZED: Final = 13

log = logging.getLogger(__name__)


async def watch(db: database.Database, uri: str) -> None:
    """Read now and then until cancelled; tell what fails, and that it is over."""
    complaint = Complaint(log)
    windows = database.windows(db)
    while True:
        try:
            with pymongo.timeout(database.READ_SECONDS):
                await windows.find_one({"_id": ""})
        except PyMongoError as error:
            complaint.say("MongoDB cannot be used; trying again", error=explain(uri, error))
        except Exception:  # what only watches must stop nothing else
            log.exception("MongoDB cannot be watched; trying again")
        else:
            complaint.settled("MongoDB can be used again")
        await asyncio.sleep(_EVERY)


def explain(uri: str, error: PyMongoError) -> str:
    """Say what is wrong, with the user and the host, and what to check; never the password."""
    name, hosts = _user_and_hosts(uri)
    user = f"the user {name!r}" if name else "no user"
    code = error.code if isinstance(error, OperationFailure) else None
    if code == _AUTHENTICATION_FAILED:
        return (
            f"MongoDB at {hosts}: {user} is refused: check user, password and authSource in "
            "SENSORPIPE_MONGODB_URI, and restart if they have changed"
        )
    if code == _UNAUTHORIZED:
        return (
            f"MongoDB at {hosts}: {user} may not read and write this database: check the "
            "user's roles, and that SENSORPIPE_MONGODB_URI names one"
        )
    return f"MongoDB at {hosts} cannot be reached ({type(error).__name__}): {error}"[:300]


def _user_and_hosts(uri: str) -> tuple[str, str]:
    """Take a URI apart as PyMongo does, which lets a password have what other URIs may not."""
    authority = uri.partition("://")[2].partition("?")[0].partition("/")[0]
    userinfo, _, hosts = authority.rpartition("@")
    return unquote_plus(userinfo.partition(":")[0]), hosts
