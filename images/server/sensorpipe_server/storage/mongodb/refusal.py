"""Tells permanent errors of MongoDB about single documents from transient ones."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

DUPLICATE_KEY: Final = 11000

OTHERS_ACCEPTED_SECONDS: Final = 60.0
"""Seconds after which an unknown error is permanent if MongoDB accepts other documents of the
same attempt; an election or a migration of shards takes less."""

NONE_ACCEPTED_SECONDS: Final = 600.0
"""Seconds after which an unknown error is permanent if MongoDB accepts no document at all.

That may also be a fault of the whole database.
"""

_PERMANENT: Final = frozenset({2, 14, 121, 171, 10334, 16554, 16755, 17280, 17419, 28664})
"""BadValue, TypeMismatch, DocumentValidationFailure, CannotIndexParallelArrays, a document that
is too large, a value that is not a number, invalid coordinates, a key and a document that are too
large, and a value that is not an array."""

_TRANSIENT: Final = frozenset(
    {
        *(6, 7, 83, 89, 279, 317, 384, 9001, 91331),  # the network between the servers
        *(91, 133, 189, 216, 10058, 10107, 11600, 11602, 13435, 13436),  # no primary
        *(82, 149, 150, 203, 249, 250, 272, 343, 412, 453, 13388, 56846),  # shards on the move
        *(24, 46, 50, 64, 107, 112, 117, 134, 202, 215, 246, 262, 290),  # locks, time, conflicts
        *(355, 365, 10045600, 11601),  # interrupted
        *(208, 264, 402, 407, 433, 449, 450, 462),  # overloaded
        *(13, 18, 371, 391),  # rights and blocked writes, which the database's operator can mend
        *(8000, 12501, 14031),  # a quota, or a full disk
    }
)

_PERMANENT_AT_ONCE: Final = _PERMANENT | {DUPLICATE_KEY}
"""Codes of errors that are permanent the first time they occur."""

WriteProblem = Mapping[str, Any]
"""One entry of `writeErrors`."""


class Refusals:
    """Measures for how long MongoDB has refused documents with no other error in between.

    Call `note` for every failed attempt of a series of retries.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def note(self, error: PyMongoError) -> None:
        """Note the error of an attempt; a transient one restarts the time."""
        if not isinstance(error, BulkWriteError) or not _may_be_permanent(error):
            self._since = None
        elif self._since is None:
            self._since = self._clock()

    def seconds(self) -> float:
        """Return the seconds since the first of these refusals."""
        return 0.0 if self._since is None else self._clock() - self._since


def permanent(error: BulkWriteError, refused_seconds: float) -> Sequence[WriteProblem]:
    """Return the write errors if all of them are permanent, otherwise raise the error.

    `refused_seconds` is the time for which attempts have failed in this way; see Refusals. Errors
    of a whole command, such as a missing right, are always raised: they are the deployment's.
    """
    if not _may_be_permanent(error):
        raise error
    problems: Sequence[WriteProblem] = error.details["writeErrors"]
    known = all(problem["code"] in _PERMANENT_AT_ONCE for problem in problems)
    if not known and refused_seconds < (
        OTHERS_ACCEPTED_SECONDS if _accepted_others(error) else NONE_ACCEPTED_SECONDS
    ):
        raise error
    return problems


def is_about_documents(error: Exception) -> bool:
    """Whether the documents of a write make it fail, in the client or the server.

    A document that the client cannot encode raises another error than PyMongoError.
    """
    if isinstance(error, BulkWriteError):
        return False
    if isinstance(error, OperationFailure):
        return error.code in _PERMANENT
    return not isinstance(error, PyMongoError | OSError | MemoryError)


def is_duplicate_id(problem: WriteProblem) -> bool:
    """Whether a document with this `_id` exists already."""
    return problem["code"] == DUPLICATE_KEY and problem.get("keyPattern") == {"_id": 1}


def describe(problem: WriteProblem) -> str:
    """Return code and message of a write error."""
    return f"MongoDB: {problem['code']}: {problem.get('errmsg', '')}"


def _may_be_permanent(error: BulkWriteError) -> bool:
    """Whether only documents were refused, none of them for a transient reason."""
    codes = {problem["code"] for problem in error.details["writeErrors"]}
    return bool(codes) and not error.details["writeConcernErrors"] and not codes & _TRANSIENT


def _accepted_others(error: BulkWriteError) -> bool:
    """Whether MongoDB stored other documents in this attempt or an earlier one."""
    details = error.details
    if any(details[kind] for kind in ("nInserted", "nUpserted", "nModified")):
        return True
    return any(is_duplicate_id(problem) for problem in details["writeErrors"])
