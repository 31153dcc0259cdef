"""Applies watch events to the cache and queues the Sensors they change."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from sensorpipe_operator.cache import Cache
from sensorpipe_operator.names import Kind
from sensorpipe_operator.workqueue import WorkQueue


class EventSink:
    """Stores the object of each watch event in the cache, and queues its Sensor."""

    def __init__(self, cache: Cache, queue: WorkQueue) -> None:
        self._cache = cache
        self._queue = queue
        self._last_event = time.monotonic()
        self.list_needed = asyncio.Event()
        """Set when a watch has begun with a list: no event reports what was deleted before it."""

    @property
    def silence_seconds(self) -> float:
        """Seconds since the last event, or since the start."""
        return time.monotonic() - self._last_event

    def on_event(self, kind: Kind, event: Mapping[str, Any]) -> None:
        """Handle a watch event; its `type` is None for an item of the list a watch begins with."""
        self._last_event = time.monotonic()
        if event["type"] is None:
            self.list_needed.set()
        update = self._cache.drop if event["type"] == "DELETED" else self._cache.put
        key = update(kind, dict(event["object"]))
        if key is not None:
            self._queue.add(key)
