"""Decides whether an object with the name of a Sensor's child belongs to the operator."""

from typing import Any

from sensorpipe_schema.sensor import KIND

from sensorpipe_operator.names import GROUP, MANAGER, Body


def controller_of(live: Body) -> Body | None:
    """Return the owner reference of an object's controller, or None if it has none."""
    owners: list[Body] = live["metadata"].get("ownerReferences", [])
    return next((owner for owner in owners if owner.get("controller")), None)


def is_owned(live: Body, uid: str) -> bool:
    """Whether the Sensor of that uid is an owner of the object."""
    owners: list[Body] = live["metadata"].get("ownerReferences", [])
    return any(owner.get("uid") == uid for owner in owners)


def is_ours(live: Body, child: Body) -> bool:
    """Whether the operator created an object, read with its managed fields, as this child.

    It did if the object's controller is the Sensor, or a deleted Sensor of the same name: that
    is how children of a Sensor which was created again or restored from a backup are found. An
    object without a controller (its Sensor was deleted with `--cascade=orphan`) is the
    operator's if the operator is among its field managers.
    """
    owner, sensor = controller_of(live), controller_of(child)
    if owner is None or sensor is None:
        return any(entry.get("manager") == MANAGER for entry in _managers(live))
    group = str(owner.get("apiVersion", "")).partition("/")[0]
    return (group, owner.get("kind"), owner.get("name")) == (GROUP, KIND, sensor["name"])


def created_entry(live: Body) -> int | None:
    """Return the index in `managedFields` of the entry from creating the object.

    None if the operator has applied the object since. An apply removes only fields of earlier
    applies, so it would keep fields that were created and are no longer desired.
    """
    entries = _managers(live)
    if any(entry.get("operation") == "Apply" for entry in entries if _is_own(entry)):
        return None
    return next((i for i, entry in enumerate(entries) if _is_own(entry)), None)


def _is_own(entry: Body) -> bool:
    return entry.get("manager") == MANAGER and not entry.get("subresource")


def _managers(live: Body) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = live["metadata"].get("managedFields", [])
    return entries
