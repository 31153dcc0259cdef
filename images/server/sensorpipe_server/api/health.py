"""`/healthz`, `/readyz` and `/metrics`."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import pymongo
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api.answers import json
from sensorpipe_server.api.problems import problem
from sensorpipe_server.database import Database

PING_SECONDS = 2.0

Check = Callable[[], bool]


class Health:
    """Answers probes."""

    def __init__(self, db: Database, *, consuming: Check, assigned: Check) -> None:
        self._db = db
        self._consuming = consuming
        self._assigned = assigned

    async def healthz(self, request: Request) -> Response:
        """Answer 200 while the loop runs (or nobody would answer) and the consumer lives."""
        if self._consuming():
            return json({"status": "ok"})
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "The consumer has ended")

    async def readyz(self, request: Request) -> Response:
        """Answer 200 while MongoDB answers and the consumer has its partitions."""
        waiting = []
        try:
            async with asyncio.timeout(PING_SECONDS + 1):
                with pymongo.timeout(PING_SECONDS):
                    await self._db.command("ping")
        except (PyMongoError, TimeoutError):
            waiting.append("MongoDB does not answer")
        if not self._assigned():
            waiting.append("Kafka has not assigned partitions")
        if waiting:
            return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(waiting))
        return json({"status": "ready"})


async def metrics(_request: Request) -> Response:
    """Answer Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
