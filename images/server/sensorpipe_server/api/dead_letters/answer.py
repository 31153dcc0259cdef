"""Answers requests for dead letters."""

import logging
from http import HTTPStatus
from typing import Final, Protocol

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from sensorpipe_schema.names import DEAD_COMPACTED, DEAD_READINGS
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.dead_letters.newest import Newest, Wanted
from sensorpipe_server.api.http.answers import encoded, json
from sensorpipe_server.api.http.limits import RETRY_AFTER_SECONDS
from sensorpipe_server.api.http.problems import problem
from sensorpipe_server.api.openapi.answers import DeadLetters, DeadLetterTopic
from sensorpipe_server.api.params import Params
from sensorpipe_server.storage.documents import END_OF_TIME_MS, date


class Source(Protocol):
    """Where dead letters are found."""

    @property
    def topics(self) -> tuple[str, str]:
        """The topics of dead letters, the compactor's and the server's own."""

    async def search(self, wanted: Wanted) -> Newest:
        """Return the newest dead letters; raise KafkaError, OSError or TimeoutError."""


class Nowhere:
    """Stands for a Kafka that is not configured."""

    topics = (DEAD_READINGS, DEAD_COMPACTED)

    async def search(self, _wanted: Wanted) -> Newest:
        """Raise ConnectionError."""
        raise ConnectionError("this server has no Kafka")


_NO_ANSWER: Final = (
    "Kafka, which holds the dead letters, does not answer; check that it runs and what the "
    "server's log says of it, then try again"
)
_NOT_ALLOWED: Final = (
    "The server may not read the dead letters: give its Kafka user Read on {} and {}, "
    "then try again"
)

log = logging.getLogger(__name__)


class DeadLetterList:
    """Answers with the newest dead letters."""

    def __init__(self, source: Source | None) -> None:
        self._source = source or Nowhere()

    async def answer(self, request: Request) -> Response:
        """Answer with the newest dead letters, or with 503 where Kafka does not answer."""
        params = Params(request, operations.DEAD_LETTERS)
        wanted = Wanted(params.letters(), params.word("reason"), params.word("feed"))
        params.check()
        try:
            newest = await self._source.search(wanted)
        except (KafkaError, OSError, TimeoutError) as error:
            log.info("dead letters cannot be read", extra={"error": repr(error)})
            denied = TopicAuthorizationFailedError.__name__ in repr(error)
            return problem(
                request,
                HTTPStatus.SERVICE_UNAVAILABLE,
                _NOT_ALLOWED.format(*self._source.topics) if denied else _NO_ANSWER,
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        since_ms = newest.since_ms
        topics = [DeadLetterTopic(name, newest.held(name)) for name in self._source.topics]
        return json(
            DeadLetters(
                await encoded(newest.letters),
                newest.is_complete and all(each.held is not None for each in topics),
                None if since_ms is None else date(min(max(since_ms, 0), END_OF_TIME_MS - 1)),
                newest.records,
                topics,
            )
        )
