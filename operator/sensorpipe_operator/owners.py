"""Tells which release's operator a Sensor or Feed belongs to, by a mark on what was written."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from sensorpipe_operator.desired.ownership import is_owned
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import OPERATOR_ANNOTATION, Body, Key, Kind

LOOK_SECONDS: Final = 30.0
"""Seconds after which a Lease of another release, and a Sensor of its own, is looked at again."""
_MAX_KNOWN: Final = 1_000
_FORBIDDEN: Final = 403

log = logging.getLogger(__name__)


class LeaseReader(Protocol):
    """The request to the API server that this module needs; it raises ApiError."""

    async def find_lease(self, namespace: str, name: str) -> Body | None:
        """Return a Lease, or None if it does not exist."""


class Owners:
    """Knows which objects of a kind are another release's, and whether that is still there.

    A release is named by its Lease, `NAMESPACE/NAME`, which goes where it is uninstalled. One whose
    operator is down or cannot be asked for keeps what is marked as its own: to take it over would
    restart the generators, perhaps with another broker.
    """

    def __init__(
        self,
        api: LeaseReader,
        own: str,
        kind: Kind = Kind.SENSOR,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._kind = kind
        self._own = own
        self._clock = clock
        self._gone: dict[str, tuple[float, bool]] = {}
        """Of each other release: when its Lease was looked at, and whether it is gone."""
        self._others: dict[Key, str] = {}
        """Objects of other releases, and whose they are."""
        self._logged: set[tuple[str, str]] = set()

    @property
    def own(self) -> str:
        """The mark of this operator's release; empty if it marks nothing and heeds no marks."""
        return self._own

    def others(self, keys: Iterable[Key]) -> int:
        """Return how many of these objects are another release's."""
        return sum(key in self._others for key in list(keys))

    async def other(self, key: Key, mark: str) -> str | None:
        """Return the other release whose object this is; None where this one is to keep it.

        `mark` is that of what was written for it, empty for none. Raises ApiError.
        """
        if self._own and mark not in ("", self._own) and not await self._is_gone(mark):
            return mark
        self._others.pop(key, None)
        return None

    def note(self, key: Key, other: str) -> bool:
        """Note that an object is another release's; return whether that was not known."""
        is_new = self._others.get(key) != other
        self._others[key] = other
        if (key[0], other) not in self._logged and len(self._logged) < _MAX_KNOWN:
            self._logged.add((key[0], other))
            log.warning(
                "Objects of a namespace are another operator's, and are left to it",
                extra={"kind": str(self._kind), "namespace": key[0], "operator": other},
            )
        return is_new

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._others.pop(key, None)

    async def _is_gone(self, mark: str) -> bool:
        at, gone = self._gone.get(mark, (None, False))
        if at is not None and self._clock() - at < LOOK_SECONDS:
            return gone
        namespace, slash, name = mark.partition("/")
        try:
            gone = bool(slash) and await self._api.find_lease(namespace, name) is None
        except ApiError as error:
            if error.status != _FORBIDDEN:
                raise
            gone = False
        if len(self._gone) >= _MAX_KNOWN:
            self._gone.clear()
        self._gone[mark] = self._clock(), gone
        return gone


def mark_of(live: Body | None) -> str:
    """Return the mark on an object: which release's operator it is; empty for none."""
    annotations = {} if live is None else live["metadata"].get("annotations") or {}
    return str(annotations.get(OPERATOR_ANNOTATION, ""))


def mark_of_children(uid: str, config_map: Body | None, deployments: Iterable[Body]) -> str:
    """Return whose a Sensor of a uid is, by its ConfigMap, or by a Deployment where it has none.

    The ConfigMap is created, marked and taken over first, so that its mark decides.
    """
    if config_map is not None and is_owned(config_map, uid):
        return mark_of(config_map)
    marks = (mark_of(live) for live in deployments if is_owned(live, uid))
    return next(filter(None, marks), "")
