"""What the operator knows of the cluster: the Sensors and their children, as last heard."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from sensorpipe_operator.names import Body, Key, key_of, owner_of
from sensorpipe_operator.progress import gist

KINDS: Final = ("Sensor", "Deployment", "ConfigMap", "Pod")

_Place = tuple[str, str]
"""Kind and name, within one Sensor."""


class Mirror:
    """Holds each object once, under its Sensor; an older version never replaces a newer one."""

    def __init__(self) -> None:
        self._held: dict[Key, dict[_Place, Body]] = defaultdict(dict)

    def put(self, kind: str, body: Body) -> Key | None:
        """Hold an object; return the Sensor it concerns if that was news to it."""
        key = _sensor_of(kind, body)
        if key is None:
            return None
        place = (kind, body["metadata"]["name"])
        held = self._held[key].get(place)
        if held is not None and _version(held) >= _version(body):
            return None
        self._held[key][place] = _trimmed(body)
        return None if held is not None and _says_the_same(kind, held, body) else key

    def drop(self, kind: str, body: Body) -> Key | None:
        """Forget an object that is gone; return the Sensor it concerns if that was news."""
        key = _sensor_of(kind, body)
        if key is None or key not in self._held:
            return None
        place = (kind, body["metadata"]["name"])
        held = self._held[key].get(place)
        if held is None or _version(held) > _version(body):
            return None
        del self._held[key][place]
        if not self._held[key]:
            del self._held[key]
        return key

    def forget(self, key: Key) -> None:
        """Forget a Sensor; what is known of its children stays until they go."""
        if key in self._held:
            self._held[key].pop(("Sensor", key[1]), None)

    def sensor(self, key: Key) -> Body | None:
        """Return a Sensor."""
        return self._held[key].get(("Sensor", key[1])) if key in self._held else None

    def sensors(self) -> list[Key]:
        """Return the keys of all Sensors."""
        return [key for key in self._held if ("Sensor", key[1]) in self._held[key]]

    def children(self, key: Key, kind: str) -> dict[str, Body]:
        """Return a Sensor's children of one kind by name."""
        held = self._held.get(key, {})
        return {name: body for (of, name), body in held.items() if of == kind}

    def replace(self, kind: str, bodies: Iterable[Body], version: int) -> set[Key]:
        """Take a complete list of one kind; return the Sensors of which it was news.

        What is held at a later version than the list's came after it.
        """
        listed = list(bodies)
        changed = {self.put(kind, body) for body in listed}
        there = {(_sensor_of(kind, body), body["metadata"]["name"]) for body in listed}
        for key in list(self._held):
            for of, name in list(self._held[key]):
                held = self._held[key][of, name]
                if of == kind and (key, name) not in there and _version(held) <= version:
                    changed.add(self.drop(kind, held))
        return {key for key in changed if key is not None}

    def count(self, kind: str) -> int:
        """Return how many objects of a kind are held."""
        return sum(of == kind for held in self._held.values() for of, _ in held)

    def version(self, key: Key) -> int | None:
        """Return the resource version at which a Sensor is held."""
        body = self.sensor(key)
        return None if body is None else _version(body)


def _sensor_of(kind: str, body: Body) -> Key | None:
    return key_of(body) if kind == "Sensor" else owner_of(body)


def _says_the_same(kind: str, held: Body, body: Body) -> bool:
    return kind == "Deployment" and gist(held) == gist(body)


def _version(body: Body) -> int:
    """Return the resource version, which Kubernetes lets clients compare as a number."""
    return int(body["metadata"].get("resourceVersion", 0))


def _trimmed(body: Body) -> Body:
    """Return the object without the bookkeeping that fills most of it."""
    metadata = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    return {**body, "metadata": metadata}
