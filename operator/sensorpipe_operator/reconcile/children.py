"""Creates, applies and deletes a Sensor's children, but never an object of another owner."""

from typing import Final, Protocol

from sensorpipe_operator.desired.drift import matches
from sensorpipe_operator.desired.ownership import controller_of, created_entry, is_ours, is_owned
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import Body, Kind
from sensorpipe_operator.owners import mark_of

_GONE: Final = 404


class ChildApi(Protocol):
    """The requests to the API server that this module needs; every method raises ApiError."""

    async def create(self, body: Body) -> Body:
        """Create a child; ApiError's reason is AlreadyExists if the name is taken."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return an object including its managed fields."""

    async def take_ownership(self, live: Body, entry: int) -> None:
        """Mark the fields that the operator set by creating an object as applied."""

    async def apply(self, body: Body, uid: str, version: str | None = None) -> Body:
        """Apply a child to the object of that uid, and of that version where one is given."""

    async def delete(self, body: Body) -> None:
        """Delete a child; succeeds if it is already gone."""


class NameTakenError(Exception):
    """An object that does not belong to the Sensor has the name of one of its children."""


class OtherOperatorError(Exception):
    """A Sensor's ConfigMap has become that of another release's operator."""


async def write_child(
    api: ChildApi, child: Body, *, cached: bool, mark: str = ""
) -> tuple[Body, bool]:
    """Bring a child to its desired state; return the stored object and whether it was written.

    A child that is not `cached` is created, so that an object of another owner with that name
    is never overwritten. A ConfigMap may have the `mark` that it was seen with, the child's own,
    or none. Raises NameTakenError if the name is taken by an object of another owner,
    OtherOperatorError if a ConfigMap has another mark, and ApiError with status 409 if the child
    was deleted, replaced or marked meanwhile: retry then.
    """
    if not cached:
        try:
            return await api.create(child), True
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    metadata = child["metadata"]
    try:
        live = await api.get(Kind(child["kind"]), metadata["namespace"], metadata["name"])
        _check_owner(live, child, mark)
        if matches(live, child):
            return live, False
        entry = created_entry(live)
        if entry is not None:
            await api.take_ownership(live, entry)
        if mark_of(live) == mark_of(child):
            return await api.apply(child, live["metadata"]["uid"]), True
        return await _mark(api, child, mark), True
    except ApiError as error:
        if error.status != _GONE:
            raise
        text = f"{child['kind']} {metadata['name']} was deleted meanwhile"
        raise ApiError(409, "Conflict", text) from error  # callers take a 404 for the Sensor's


async def delete_surplus(api: ChildApi, live: Body, desired: Body) -> None:
    """Delete a Deployment that a Sensor no longer needs, unless it has another owner.

    `desired` is any desired child of the Sensor. A Deployment without a controller is read: it
    is the operator's if it is the orphan of a deleted Sensor of that name, whose generators
    would publish on. Raises ApiError.
    """
    sensor = controller_of(desired) or {}
    if not is_owned(live, sensor.get("uid", "")):
        if controller_of(live) is not None:
            return
        metadata = live["metadata"]
        try:
            live = await api.get(Kind.DEPLOYMENT, metadata["namespace"], metadata["name"])
        except ApiError as error:
            if error.status != _GONE:  # callers take a 404 for the Sensor's
                raise
            return
        if not is_ours(live, desired):
            return
    await api.delete({**live, "kind": Kind.DEPLOYMENT})


async def _mark(api: ChildApi, child: Body, mark: str) -> Body:
    """Apply a child that has another mark or none, if nobody changes it meanwhile."""
    metadata = child["metadata"]
    live = await api.get(Kind(child["kind"]), metadata["namespace"], metadata["name"])
    _check_owner(live, child, mark)
    return await api.apply(child, live["metadata"]["uid"], live["metadata"]["resourceVersion"])


def _check_owner(live: Body, child: Body, mark: str) -> None:
    if not is_ours(live, child):
        kind, name = child["kind"], child["metadata"]["name"]
        raise NameTakenError(
            f"{kind} {name} already exists and does not belong to this Sensor; it is left "
            f"unchanged: delete it, or give the Sensor another name"
        )
    if child["kind"] == Kind.CONFIG_MAP and mark_of(live) not in ("", mark, mark_of(child)):
        raise OtherOperatorError(mark_of(live))
