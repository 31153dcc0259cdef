"""Health and readiness of the server, independent of load on the API."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import pymongo
from pymongo.errors import PyMongoError
from sensorpipe_runtime.liveness import Heartbeat

from sensorpipe_server.storage.mongodb.database import Database

PING_SECONDS: Final = 2.0
"""Seconds within which MongoDB has to answer a ping."""

NO_DATABASE: Final = "MongoDB does not answer"
NOT_ASSIGNED: Final = "Kafka has not assigned partitions"
API_BLOCKED: Final = "The event loop of the API is blocked"

Check = Callable[[], bool]

_INTERVAL_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 10.0


async def answers(db: Database) -> bool:
    """Whether MongoDB answers now."""
    try:
        async with asyncio.timeout(PING_SECONDS + 1):
            with pymongo.timeout(PING_SECONDS):
                await db.command("ping")
    except (PyMongoError, TimeoutError):
        return False
    return True


class Probes:
    """Answers probes, thread-safe; pings MongoDB every 2 s, and an answer counts for 10 s."""

    def __init__(
        self, db: Database, *, is_consuming: Check, is_assigned: Check, is_answering: Check
    ) -> None:
        self.heartbeat = Heartbeat()
        self._db = db
        self._is_consuming = is_consuming
        self._is_assigned = is_assigned
        self._is_answering = is_answering
        self._answered_at: float | None = None

    async def ask(self) -> None:
        """Ping MongoDB until cancelled."""
        while True:
            self._answered_at = time.monotonic() if await answers(self._db) else None
            await asyncio.sleep(_INTERVAL_SECONDS)

    def healthy(self) -> bool | str:
        """Return True while both event loops run and the consumer progresses; else the reason."""
        if not self.heartbeat.is_beating():
            return "The event loop is blocked"
        if not self._is_answering():
            return API_BLOCKED
        return self._is_consuming() or "The consumer has ended or makes no progress"

    def ready(self) -> bool | str:
        """Return True while API and MongoDB answer and partitions are assigned; else the reason."""
        waiting = []
        at = self._answered_at
        if at is None or time.monotonic() - at > _STALE_SECONDS:
            waiting.append(NO_DATABASE)
        if not self._is_assigned():
            waiting.append(NOT_ASSIGNED)
        if not self._is_answering():
            waiting.append(API_BLOCKED)
        return "; ".join(waiting) or True
