"""Metrics of what is stored: documents removed, sensors that are not listed."""

from typing import Final

from prometheus_client import Counter

REMOVED: Final = Counter(
    "sensorpipe_server_removed_documents",
    "Documents removed by retention, by level: windows, or rollups of 5m, 1h or 1d.",
    ["level"],
)
UNLISTED: Final = Counter(
    "sensorpipe_server_unlisted_sensors",
    "Sensors not listed because their facility has too many; each counts once per start.",
)
