"""A typed client of sensorpipe's HTTP API, for programs and notebooks.

    with Client("http://127.0.0.1:8080") as client:
        frame = client.series("hall_1", since="-24h").to_pandas()

`Client` blocks, `AsyncClient` is for asyncio; both have the same methods.
"""

from typing import TYPE_CHECKING

from sensorpipe_client.answers import (
    DeadLetter,
    DeadLetters,
    DeadLetterTopic,
    Facility,
    FacilityStats,
    Integrity,
    KafkaPlace,
    SensorStats,
    SetAside,
    Source,
    Span,
    Totals,
    Window,
)
from sensorpipe_client.calls import Retries
from sensorpipe_client.client import Client
from sensorpipe_client.errors import AnswerError, ApiError, ClientError, ConnectionFailedError
from sensorpipe_client.series import Row, Series

if TYPE_CHECKING:
    from sensorpipe_client.async_client import AsyncClient

__all__ = [
    "AnswerError",
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "DeadLetter",
    "DeadLetterTopic",
    "DeadLetters",
    "Facility",
    "FacilityStats",
    "Integrity",
    "KafkaPlace",
    "Retries",
    "Row",
    "SensorStats",
    "Series",
    "SetAside",
    "Source",
    "Span",
    "Totals",
    "Window",
]


def __getattr__(name: str) -> type["AsyncClient"]:
    """Import AsyncClient when it is asked for: a blocking program needs no asyncio."""
    if name != "AsyncClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sensorpipe_client.async_client import AsyncClient  # noqa: PLC0415  likewise

    return AsyncClient
