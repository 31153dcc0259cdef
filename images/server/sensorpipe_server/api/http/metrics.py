"""What the API's process counts and measures; the metrics at the monitoring port hold it."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, ProcessCollector

REGISTRY: Final = CollectorRegistry()
"""The metrics of the API's process, which has a registry of its own besides the default one."""

HTTP_REFUSED: Final = Counter(
    "sensorpipe_server_http_refused",
    "HTTP requests and connections beyond a limit, by the status of the answer (none: no answer).",
    ["status"],
    registry=REGISTRY,
)

ProcessCollector(namespace="sensorpipe_server_api", registry=REGISTRY)
