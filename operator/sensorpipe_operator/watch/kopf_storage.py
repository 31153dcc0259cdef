"""Storages for kopf that store nothing: no handler depends on an object's previous state.

kopf's own storages copy each object several times per event, to compute what changed: more
than half of the operator's work when many Sensors are created at once.
"""

from typing import Any

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory


class NoDiffBase(kopf.DiffBaseStorage):
    """Stores no last-handled state of objects."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return an empty state: nothing is compared."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Return None: no state is stored."""
        return None

    def store(self, **_: Any) -> None:
        """Do nothing."""


class NoProgress(kopf.ProgressStorage):
    """Stores no progress of handlers: none can be interrupted halfway."""

    def fetch(self, **_: Any) -> None:
        """Return None: no progress is stored."""

    def store(self, **_: Any) -> None:
        """Do nothing."""

    def purge(self, **_: Any) -> None:
        """Do nothing."""

    def touch(self, **_: Any) -> None:
        """Do nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return the state unchanged: it holds no progress."""
        return essence


class NoMemories(ResourceMemories):
    """Remembers no object: kopf would keep 2 KB of each that there is."""

    async def recall(self, *_: Any, memobase: Any = None, **__: Any) -> ResourceMemory:
        """Return what is forgotten after the event."""
        return ResourceMemory(memo=memobase)
