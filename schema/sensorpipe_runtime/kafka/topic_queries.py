"""What Kafka says of a topic, asked over one connection that is kept between questions."""

import asyncio
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final, Protocol

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest

from sensorpipe_runtime.kafka.topic_metadata import NO_ID, TopicMetadataRequest

_ASK_SECONDS: Final = 10.0
"""Seconds within which Kafka must answer a question."""

_CONNECT_MS: Final = 5_000
"""Milliseconds within which a connection must be made."""

_IDLE_MS: Final = 60_000
"""Milliseconds after which an unused connection is closed."""

_UNKNOWN_TOPIC: Final = 3
_TOPIC_RESOURCE: Final = 2


class ClientSettings(Protocol):
    """How to reach Kafka."""

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments of an aiokafka client."""
        ...


class TopicQueries:
    """Asks Kafka about topics; for one task at a time.

    The connection is made by the first question and kept for the next. It is closed by
    `close`, by a question that failed, and after 60 s without questions.
    A question takes at most 10 s. It raises KafkaError, OSError or TimeoutError.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._connection: Any = None

    async def topic_id(self, topic: str) -> str | None:
        """Return the id of a topic, which another topic of the same name never has.

        Returns None if there is no such topic, and "" if the broker knows no ids of
        topics (before Kafka 2.8).
        """
        try:
            answer = await self._ask(TopicMetadataRequest(topic))
        except NotImplementedError:
            return ""
        [found] = answer.to_object()["topics"]
        if found["error_code"] == _UNKNOWN_TOPIC:
            return None
        _raise_for(found["error_code"], topic)
        return "" if found["id"] == NO_ID else str(found["id"])

    async def config(self, topic: str, key: str) -> str | None:
        """Return what a configuration of a topic is now, the broker's default included.

        Returns None if the broker does not know such a configuration, or keeps all to
        itself. Raises TopicAuthorizationFailedError without the right DescribeConfigs.
        """
        # all of them: the embedded broker hangs up on a question for one (Tansu 0.6)
        request = DescribeConfigsRequest([(_TOPIC_RESOURCE, topic, None)])
        try:
            answer = await self._ask(request)
        except (NotImplementedError, IncompatibleBrokerVersion):
            return None
        for code, _, _, _, entries in answer.resources:
            _raise_for(code, topic)
            for name, value, *_ in entries:
                if name == key:
                    return str(value)
        return None

    def close(self) -> None:
        """Close the connection; another question would make a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _ask(self, request: Any) -> Any:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                if self._connection is None or not self._connection.connected():
                    self.close()
                    self._connection = await _connect(self._settings.client_options())
                return await self._connection.send(request)
        except BaseException:
            self.close()
            raise


async def topic_id(settings: ClientSettings, topic: str) -> str | None:
    """Ask once for the id of a topic; see `TopicQueries.topic_id`."""
    with closing(TopicQueries(settings)) as queries:
        return await queries.topic_id(topic)


async def _connect(options: Mapping[str, Any]) -> Any:
    """Connect to whichever bootstrap server can be reached first; raise why the last cannot."""
    others = {name: value for name, value in options.items() if name != "bootstrap_servers"}
    problem: Exception = KafkaConnectionError("no bootstrap server is named")
    for host, port, _ in collect_hosts(options["bootstrap_servers"]):
        try:
            return await create_conn(
                host, port, request_timeout_ms=_CONNECT_MS, max_idle_ms=_IDLE_MS, **others
            )
        except (KafkaError, OSError) as error:  # TimeoutError is an OSError
            problem = error
    raise problem


def _raise_for(code: int, topic: str) -> None:
    if code:
        raise for_code(code)(f"Kafka does not tell about the topic {topic}")
