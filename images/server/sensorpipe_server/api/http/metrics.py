"""Metrics of the API's process, which the monitoring port exports with those of the server."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, ProcessCollector

REGISTRY: Final = CollectorRegistry()
"""Registry of the API's process; the default one has the metrics of the server's process."""

HTTP_REFUSED: Final = Counter(
    "sensorpipe_server_http_refused",
    "HTTP requests and connections refused, by the status of the answer (none: no answer).",
    ["status"],
    registry=REGISTRY,
)

ACCESS_REFUSED: Final = Counter(
    "sensorpipe_server_access_refused",
    "Requests refused for want of access, by reason.",
    ["reason"],
    registry=REGISTRY,
)

ACCESS_KEY_FETCHES: Final = Counter(
    "sensorpipe_server_access_key_fetches",
    "Fetches of the keys of an issuer of tokens, by result (fetched, failed).",
    ["result"],
    registry=REGISTRY,
)

ProcessCollector(namespace="sensorpipe_server_api", registry=REGISTRY)
