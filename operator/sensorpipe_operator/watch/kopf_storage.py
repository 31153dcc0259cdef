"""Storages for kopf that store nothing: no handler depends on an object's previous state.

kopf's own storages copy each object several times per event, to compute what changed: more
than half of the operator's work when many Sensors are created at once.
"""

from typing import Any

import kopf


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
