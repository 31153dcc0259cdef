"""Closes Kafka clients within bounded time, whatever state they are in."""

import asyncio
import logging
from typing import Any, Final

from aiokafka.errors import KafkaError

from sensorpipe_runtime.aio import is_being_cancelled

CLOSE_SECONDS: Final = 3.0
"""Longest time to wait for a client to close, in seconds."""

log = logging.getLogger(__name__)
_closing: set[asyncio.Task[None]] = set()


async def close_client(client: Any, seconds: float = CLOSE_SECONDS) -> None:
    """Stop an aiokafka consumer or producer, also one that is not fully started.

    Waits at most `seconds`. A client that waits for a broker goes on closing in the background
    until its requests time out: a producer that was cancelled would never stop sending.
    Errors are logged and not raised.
    """
    closing = asyncio.create_task(_stop(client), name="close a Kafka client")
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)
    await asyncio.wait([closing], timeout=seconds)


async def _stop(client: Any) -> None:
    """Stop a client.

    aiokafka cancels its own tasks and awaits them. A task that never ran raises CancelledError
    here, as if this task were cancelled (aio-libs/aiokafka#647).
    """
    await asyncio.sleep(0)  # lets the tasks that `start` made begin
    try:
        await client.stop()
    except asyncio.CancelledError:
        if is_being_cancelled():
            raise
        log.info("Kafka client cancelled itself while closing")
        connections = getattr(client, "_client", None) or getattr(client, "client", None)
        if connections is not None:
            await connections.close()  # `stop` left them open
    except (KafkaError, OSError) as error:
        log.info("Kafka client closed with an error", extra={"error": repr(error)})
