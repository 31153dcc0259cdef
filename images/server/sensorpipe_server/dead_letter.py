"""Dead letters: what cannot be decoded or stored goes on to a topic of its own."""

import asyncio
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from sensorpipe_server.window import Refused

MAX_DETAIL: Final = 500
"""Characters."""

Headers = list[tuple[str, bytes]]


class DeadLetters(Protocol):
    """Takes refused records."""

    async def send(self, refused: list[Refused]) -> None:
        """Return once all are durable."""


class KafkaDeadLetters:
    """Sends refused records to the dead-letter topic; they are durable when `send` returns."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def send(self, refused: list[Refused]) -> None:
        """Send original key and bytes with the reason and the place they came from."""
        await asyncio.gather(*(self._send_one(letter) for letter in refused))

    async def _send_one(self, letter: Refused) -> None:
        record, headers = letter.record, headers_of(letter)
        value = record.value or b""
        try:
            await self._producer.send_and_wait(self._topic, value, key=record.key, headers=headers)
        except MessageSizeTooLargeError:
            # with these headers it no longer fits; its place says where the whole of it is
            headers.append(("left_out", f"{len(value)} bytes".encode()))
            await self._producer.send_and_wait(self._topic, b"", key=record.key, headers=headers)


def headers_of(letter: Refused) -> Headers:
    """Return why a record was refused and where it came from."""
    record = letter.record
    return [
        ("reason", letter.reason.encode()),
        ("detail", letter.detail[:MAX_DETAIL].encode("utf-8", "replace")),
        ("topic", record.topic.encode()),
        ("partition", str(record.partition).encode()),
        ("offset", str(record.offset).encode()),
    ]
