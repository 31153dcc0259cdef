"""What the operator knows of the cluster: namespaces, the objects there, and events about them."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from sensorpipe_operator.names import Body, Key, Kind, key_of, owner_of
from sensorpipe_operator.slim import slim
from sensorpipe_operator.status.progress import relevant_fields
from sensorpipe_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

_Place = tuple[Kind, str]
"""Kind and name of an object, unique among those of one Sensor."""


class _Stored(NamedTuple):
    """An object, in a tenth of the memory that it takes as a dict."""

    version: int
    json: bytes
    """What is read of it."""

    @classmethod
    def of(cls, kind: Kind, body: Body) -> "_Stored":
        return cls(_version(body), msgspec.json.encode(slim(kind, body)))

    @property
    def body(self) -> Body:
        found: Body = msgspec.json.decode(self.json)
        return found


class Namespaces:
    """The configured namespaces; one without access does not affect the others.

    The operator has no access to a namespace while it lacks the rights there: for example
    after the namespace was deleted, and with it the operator's Role and RoleBinding.
    """

    def __init__(self, configured: Sequence[str]) -> None:
        self.configured: tuple[str | None, ...] = tuple(configured) or (None,)
        """All namespaces to watch; (None,) stands for the whole cluster."""
        self.changed = asyncio.Event()
        """Set when access to a namespace is lost or restored."""
        self._refused: dict[str, None] = {}

    @property
    def refused(self) -> tuple[str, ...]:
        """Namespaces without access; safe to read from any thread."""
        return tuple(self._refused)

    @property
    def accessible(self) -> tuple[str | None, ...]:
        """Namespaces with access; (None,) stands for the whole cluster."""
        return tuple(name for name in self.configured if name not in self._refused)

    def mark_refused(self, name: str, reason: str) -> None:
        """Record that access to a namespace was refused; `reason` is the API server's message."""
        if name not in self._refused:
            log.warning(
                "No access to a namespace; check that it and the operator's RoleBinding exist",
                extra={"namespace": name, "error": reason},
            )
            self._refused[name] = None
            self.changed.set()

    def mark_accessible(self, name: str | None) -> None:
        """Record that a namespace was read."""
        if name in self._refused:
            log.info("Access to a namespace is restored", extra={"namespace": name})
            del self._refused[str(name)]
            self.changed.set()


class Cache:
    """The informer cache: Sensors, their children and Feeds as the API server last reported them.

    Only what the operator reads is kept of them, see `slim`, and what is returned is a copy. Each
    object is stored once, under its Sensor, and a Feed under its own key; an older version
    never replaces a newer one.
    """

    def __init__(self) -> None:
        self._objects: dict[Key, dict[_Place, _Stored]] = defaultdict(dict)
        self.is_filled = asyncio.Event()
        """Set once all objects were listed."""
        self.feeds_changed = asyncio.Event()
        """Set when a Feed is new, was changed, or is gone; not when only its status changed."""

    def put(self, kind: Kind, body: Body) -> Key | None:
        """Store an object; return the key of its Sensor if anything relevant to it changed."""
        key = _place_of(kind, body)
        if key is None:
            return None
        place = (kind, body["metadata"]["name"])
        cached = self._objects[key].get(place)
        if cached is not None and cached.version >= _version(body):
            return None
        self._objects[key][place] = _Stored.of(kind, body)
        if cached is not None and _is_irrelevant(kind, cached, body):
            return None
        return self._changed(kind, key)

    def drop(self, kind: Kind, body: Body) -> Key | None:
        """Remove a deleted object; return the key of its Sensor if it was cached."""
        key = _place_of(kind, body)
        if key is None or key not in self._objects:
            return None
        place = (kind, body["metadata"]["name"])
        cached = self._objects[key].get(place)
        if cached is None or cached.version > _version(body):
            return None
        return self._remove(kind, key, place)

    def drop_sensor(self, key: Key) -> None:
        """Remove a Sensor; its children stay cached until they are deleted too."""
        if key in self._objects:
            self._objects[key].pop((Kind.SENSOR, key[1]), None)

    def sensor(self, key: Key) -> Body | None:
        """Return a Sensor, or None if it is not cached."""
        return self._body(key, Kind.SENSOR, key[1])

    def sensors(self) -> list[Key]:
        """Return the keys of all cached Sensors."""
        return [key for key in self._objects if (Kind.SENSOR, key[1]) in self._objects[key]]

    def feed(self, key: Key) -> Body | None:
        """Return a Feed, or None if it is not cached."""
        return self._body(key, Kind.FEED, key[1])

    def feeds(self) -> list[Body]:
        """Return all cached Feeds."""
        found = (objects.get((Kind.FEED, key[1])) for key, objects in self._objects.items())
        return [stored.body for stored in found if stored is not None]

    def child(self, key: Key, kind: Kind, name: str) -> Body | None:
        """Return one child of a Sensor, or None if it is not cached."""
        return self._body(key, kind, name)

    def children(self, key: Key, kind: Kind) -> dict[str, Body]:
        """Return a Sensor's children of one kind by their names."""
        objects = self._objects.get(key, {})
        return {name: stored.body for (of, name), stored in objects.items() if of == kind}

    def drop_missing(
        self, kind: Kind, present: AbstractSet[tuple[Key, str]], version: int, namespace: str | None
    ) -> Iterator[Key]:
        """Remove the objects of a kind that a list of that version does not have."""
        for key in self._keys(namespace):
            for of, name in list(self._objects[key]):
                cached = self._objects[key][of, name]
                if of == kind and (key, name) not in present and cached.version <= version:
                    changed = self._remove(kind, key, (of, name))
                    if changed is not None:
                        yield changed

    def drop_namespace(self, namespace: str) -> None:
        """Remove all objects of a namespace that can no longer be read."""
        for key in self._keys(namespace):
            del self._objects[key]
        self.feeds_changed.set()

    def version(self, key: Key) -> int | None:
        """Return the resource version of a cached Sensor, or None if it is not cached."""
        stored = self._objects.get(key, {}).get((Kind.SENSOR, key[1]))
        return None if stored is None else stored.version

    def _body(self, key: Key, kind: Kind, name: str) -> Body | None:
        stored = self._objects.get(key, {}).get((kind, name))
        return None if stored is None else stored.body

    def _remove(self, kind: Kind, key: Key, place: _Place) -> Key | None:
        del self._objects[key][place]
        if not self._objects[key]:
            del self._objects[key]
        return self._changed(kind, key)

    def _changed(self, kind: Kind, key: Key) -> Key | None:
        """Note a change of a Feed; return the key of the Sensor whose objects changed."""
        if kind is not Kind.FEED:
            return key
        self.feeds_changed.set()
        return None

    def _keys(self, namespace: str | None) -> list[Key]:
        return [key for key in self._objects if namespace in (None, key[0])]


class Listing:
    """Stores a complete list of one kind, object by object: of a namespace, or of all without."""

    def __init__(self, cache: Cache, kind: Kind, namespace: str | None) -> None:
        self._cache = cache
        self._kind = kind
        self._namespace = namespace
        self._present: set[tuple[Key, str]] = set()

    def put(self, body: Body) -> Key | None:
        """Store an object; return the key of its Sensor if anything relevant to it changed."""
        key = _place_of(self._kind, body)
        if key is not None:
            self._present.add((key, body["metadata"]["name"]))
        return self._cache.put(self._kind, body)

    def end(self, version: int) -> list[Key]:
        """Remove what the list lacks and is not of a later version; return the Sensors' keys."""
        missing = self._cache.drop_missing(self._kind, self._present, version, self._namespace)
        return list(missing)


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


def _place_of(kind: Kind, body: Body) -> Key | None:
    """Return the key that an object is stored under; None if it is nobody's."""
    return owner_of(body) if kind.is_child else key_of(body)


def _is_irrelevant(kind: Kind, cached: _Stored, body: Body) -> bool:
    """Whether the change from one version of an object to the next affects nothing else."""
    if kind is Kind.FEED:
        before = cached.body["metadata"]
        return all(
            before.get(name) == body["metadata"].get(name)
            for name in ("uid", "generation", "deletionTimestamp")
        )
    return kind is Kind.DEPLOYMENT and relevant_fields(cached.body) == relevant_fields(body)


def _version(body: Body) -> int:
    """Return the resource version, which Kubernetes lets clients compare as a number."""
    return int(body["metadata"].get("resourceVersion", 0))
