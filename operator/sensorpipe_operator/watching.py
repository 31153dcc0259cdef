"""What becomes of each thing heard from a watch."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.work import WorkQueue


class Watching:
    """Notes what is heard in the mirror, and has the Sensor looked at."""

    def __init__(self, mirror: Mirror, queue: WorkQueue) -> None:
        self._mirror = mirror
        self._queue = queue
        self._heard = time.monotonic()
        self.began_anew = asyncio.Event()
        """Set when a watch has begun with a list: what went before it was told by nobody."""

    @property
    def silence_seconds(self) -> float:
        """Seconds since something was heard."""
        return time.monotonic() - self._heard

    def heard(self, kind: str, event: Mapping[str, Any]) -> None:
        """Take an event of a watch; one without a type is an item of a list."""
        self._heard = time.monotonic()
        if event["type"] is None:
            self.began_anew.set()
        take = self._mirror.drop if event["type"] == "DELETED" else self._mirror.put
        key = take(kind, dict(event["object"]))
        if key is not None:
            self._queue.add(key)
