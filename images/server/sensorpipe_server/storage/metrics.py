"""Metrics of what is stored: documents removed, sensors that are not listed."""

from typing import Final

from prometheus_client import Counter

REMOVED: Final = Counter(
    "sensorpipe_server_removed_documents",
    "Documents removed after their retention: windows, or rollups of a level.",
    ["level"],
)
UNLISTED: Final = Counter(
    "sensorpipe_server_unlisted_sensors",
    "Sensors not listed because their facility has too many; each is counted once a start.",
)
