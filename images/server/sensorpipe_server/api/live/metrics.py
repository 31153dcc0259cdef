"""Metrics of live events."""

from typing import Final

from prometheus_client import Counter, Gauge

from sensorpipe_server.api.http.metrics import REGISTRY

CLIENTS: Final = Gauge(
    "sensorpipe_server_live_clients",
    "Clients of /api/live now.",
    registry=REGISTRY,
)

EVENTS: Final = Counter(
    "sensorpipe_server_live_events",
    "Events of windows sent to clients of /api/live, over all clients.",
    registry=REGISTRY,
)

GAPS: Final = Counter(
    "sensorpipe_server_live_gaps",
    "Times that a client of /api/live was told that it missed events.",
    registry=REGISTRY,
)
