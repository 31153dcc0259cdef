"""Answers that are sent while they are made."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sensorpipe_server.api.http.scans import cancel, wait_for_disconnect

log: Final = logging.getLogger(__name__)


class Stream(Response):
    """An answer in pieces, whose making ends when its client disconnects.

    If it fails after the first piece, the connection is closed before the answer is complete,
    which clients of HTTP/1.1 notice.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes], media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        sending = asyncio.create_task(self._send(send, scope["path"]), name="send a stream")
        disconnect = asyncio.create_task(wait_for_disconnect(receive), name="wait for a disconnect")
        try:
            await asyncio.wait({sending, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            await cancel(sending, disconnect)

    async def _send(self, send: Send, path: str) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        async with aclosing(self._pieces) as pieces:
            await send(start)
            try:
                async for piece in pieces:
                    body = {"type": "http.response.body", "body": piece, "more_body": True}
                    await send(body)
            except Exception as error:
                log.exception("an answer was cut off", extra={"path": path, "error": str(error)})
                return  # without the last piece: the connection is closed
        await send({"type": "http.response.body", "body": b"", "more_body": False})
