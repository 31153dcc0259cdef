"""Requests of Kafka's protocol that administer users, ACLs and topics, over one connection."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_WAIT_SECONDS = 30.0


class AlterUserScramCredentialsResponse(Response):  # type: ignore[misc]  # aiokafka is untyped
    """What became of each user; the one answer that aiokafka lacks here."""

    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterUserScramCredentialsRequest(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    """Sets and removes salted passwords (KIP-554)."""

    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = AlterUserScramCredentialsResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class Wire:
    """One connection to a broker; the versions of all requests are those that Kafka 4 takes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")

    def ask(self, request: Any) -> Any:
        """Return the answer to a request."""
        header = request.build_request_header(1, "strimzi-stand-in")
        message = header.encode() + request.encode()
        self._connection.sendall(len(message).to_bytes(4, "big") + message)
        content = BytesIO(self._read(int.from_bytes(self._read(4), "big")))
        request.parse_response_header(content)
        return request.RESPONSE_TYPE.decode(content).to_object()

    def _read(self, size: int) -> bytes:
        content = self._stream.read(size)
        if len(content) < size:
            raise ConnectionError("Kafka has closed the connection")
        return content


@contextmanager
def connected(port: int) -> Iterator[Wire]:
    """Yield a connection to a broker on a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), timeout=_WAIT_SECONDS) as connection:
        yield Wire(connection)
