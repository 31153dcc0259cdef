"""The Kubernetes API as the operator uses it: the only module that imports the client."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import client, config
from sensorpipe_runtime.settings import SettingsError
from sensorpipe_schema.sensor import API_VERSION

from sensorpipe_operator.names import MANAGED_BY, MANAGER, Body, Kind, Resource

_EVENTS: Final = Resource("", "v1", "events")
_LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
_SECRETS: Final = Resource("", "v1", "secrets")
_TIMEOUT_SECONDS: Final = 20
"""Time limit for a request."""
_PAGE: Final = 500
"""Number of objects in one page of a list."""
_APPLY: Final = "application/apply-patch+yaml"
_MERGE_PATCH: Final = "application/merge-patch+json"
_JSON_PATCH: Final = "application/json-patch+json"
_NOT_FOUND: Final = 404
_UNPROCESSABLE: Final = 422


class ApiError(Exception):
    """A request to the API server failed.

    `status` is the HTTP status, or 0 if there was no response; `reason` and `message` are
    those of the Status object in the response.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def is_final(self) -> bool:
        """Whether the same request would fail in the same way again."""
        return self.status in (400, 403, 422)


class KubeApi:
    """Sends requests to the API server; every method raises ApiError if one fails.

    A request that takes more than 20 s fails, and so does a write that `may_write` forbids at
    that moment; those of the Lease are exempt.
    """

    def __init__(self, api: client.ApiClient, may_write: Callable[[], bool] = lambda: True) -> None:
        self._api = api
        self._may_write = may_write

    @classmethod
    @asynccontextmanager
    async def connect(cls, connections: int, may_write: Callable[[], bool]) -> AsyncIterator[Self]:
        """Connect as the pod's service account, or else by the kubeconfig.

        At most `connections` requests are sent at the same time. Raises SettingsError if the
        configuration cannot be used.
        """
        settings = client.Configuration()
        settings.connection_pool_maxsize = connections
        # as kopf does: otherwise each request reads proxies and passwords from files, in a thread
        settings.client_session_kwargs = {"trust_env": False}
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config(settings)
            else:
                await config.load_kube_config(client_configuration=settings)
            api = client.ApiClient(settings)
        except (config.ConfigException, OSError, ValueError) as error:
            text = f"KUBECONFIG: no cluster is configured: {error}"
            raise SettingsError([text]) from error
        async with api:
            yield cls(api, may_write)

    async def document(self, path: str) -> Body:
        """Return the JSON document at a path, of whatever media type."""
        return await self._call("GET", path, accept="*/*")

    async def create(self, body: Body) -> Body:
        """Create a child and return it as it is stored.

        Raises ApiError with the reason AlreadyExists if the name is taken.
        """
        path = Kind(body["kind"]).resource.path(body["metadata"]["namespace"])
        return await self._call("POST", path, {"fieldManager": MANAGER}, body)

    async def apply(self, body: Body, uid: str, version: str | None = None) -> Body:
        """Apply a child server-side, overriding changes that others made to its fields.

        Raises ApiError with status 409 if the object of that name has another uid, or is not at
        the resource version, where one is given.
        """
        path = _path_of(body)
        query = {"fieldManager": MANAGER, "force": "true"}
        metadata = {**body["metadata"], "uid": uid}
        if version is not None:
            metadata["resourceVersion"] = version
        body = {**body, "metadata": metadata}
        return await self._call("PATCH", path, query, body, _APPLY)

    async def take_ownership(self, live: Body, entry: int) -> None:
        """Mark the fields of one entry of `managedFields` as applied by the operator.

        Raises ApiError with status 409 if the object or the entry was replaced since it was
        read.
        """
        at = f"/metadata/managedFields/{entry}"
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": live["metadata"]["uid"]},
            {"op": "test", "path": f"{at}/manager", "value": MANAGER},
            {"op": "replace", "path": f"{at}/operation", "value": "Apply"},
        ]
        path = _path_of(live)
        try:
            await self._call("PATCH", path, {"fieldManager": MANAGER}, patch, _JSON_PATCH)
        except ApiError as error:
            if error.status != _UNPROCESSABLE:
                raise
            raise ApiError(409, "Conflict", error.message) from error

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return one object; raises ApiError with status 404 if it is absent."""
        return await self._call("GET", kind.resource.path(namespace, name))

    async def delete(self, body: Body) -> None:
        """Delete a child of exactly this uid and its dependents; succeeds if it is already gone."""
        metadata = body["metadata"]
        options = {
            "propagationPolicy": "Background",
            "preconditions": {"uid": metadata["uid"]},
        }
        try:
            await self._call("DELETE", _path_of(body), {}, options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def apply_status(
        self,
        body: Body,
        status: dict[str, Any],
        kind: Kind = Kind.SENSOR,
        *,
        unchanged: bool = False,
    ) -> Body:
        """Apply the operator's fields of an object's status; other managers' fields are kept.

        Raises ApiError with status 409 if the object of that name has another uid, or is to be
        `unchanged` and has another version than the body.
        """
        names = ("namespace", "name", "uid", *(["resourceVersion"] if unchanged else []))
        metadata = {name: body["metadata"][name] for name in names}
        body = {
            "apiVersion": API_VERSION,
            "kind": str(kind),
            "metadata": metadata,
            "status": status,
        }
        query = {"fieldManager": MANAGER, "force": "true"}
        return await self._call("PATCH", f"{_path_of(body)}/status", query, body, _APPLY)

    async def apply_data(self, namespace: str, name: str, data: dict[str, str]) -> None:
        """Apply the data of a ConfigMap server-side; create it if there is none."""
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        query = {"fieldManager": MANAGER, "force": "true"}
        await self._call("PATCH", _path_of(body), query, body, _APPLY)

    async def pods(self, namespace: str, selector: str) -> list[Body]:
        """Return the pods of a namespace that a label selector matches, as last cached."""
        query = {"labelSelector": selector, "resourceVersion": "0"}
        page = await self._call("GET", Kind.POD.resource.path(namespace), query)
        return list(page["items"])

    async def annotate_pod(self, pod: Body, name: str, value: str) -> None:
        """Set an annotation of a pod; raises ApiError with status 404 or 409 if it is gone."""
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"], "annotations": {name: value}}}
        path = Kind.POD.resource.path(metadata["namespace"], metadata["name"])
        await self._call("PATCH", path, {"fieldManager": MANAGER}, patch, _MERGE_PATCH)

    async def find_secret(self, namespace: str, name: str) -> Body | None:
        """Return a Secret, or None if it does not exist."""
        return await self._find(_SECRETS.path(namespace, name))

    async def create_secret(self, body: Body) -> None:
        """Create a Secret; ApiError's status is 409 if the name is taken."""
        path = _SECRETS.path(body["metadata"]["namespace"])
        await self._call("POST", path, {"fieldManager": MANAGER}, body)

    async def patch_secret(self, namespace: str, name: str, patch: Body) -> None:
        """Merge into a Secret; ApiError's status is 409 if it is of another version."""
        path = _SECRETS.path(namespace, name)
        await self._call("PATCH", path, {"fieldManager": MANAGER}, patch, _MERGE_PATCH)

    async def post_event(self, event: Body) -> None:
        """Create an Event."""
        await self._call("POST", _EVENTS.path(event["metadata"]["namespace"]), {}, event)

    async def pages(
        self, kind: Kind, namespace: str | None, limit: int = _PAGE
    ) -> AsyncIterator[tuple[Iterator[Body], int]]:
        """Yield all objects of a kind that concern the operator in pages, with the list's version.

        Without `namespace` they are those of the whole cluster. A page has at most `limit`
        objects, each decoded when it is taken: decoded together they took 20 times their text.
        """
        path = kind.resource.path(namespace)
        query = {"limit": str(limit)}
        if kind.is_child:
            query["labelSelector"] = MANAGED_BY
        while True:
            headers = {"Accept": "application/json"}
            content = await self._send("GET", path, query, None, headers)
            page = _decoded_page(content)
            query["continue"] = page.metadata.continued
            yield map(msgspec.json.decode, page.items), int(page.metadata.version)
            del content, page
            if not query["continue"]:
                return

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        """Return a Sensor, or None if it does not exist; needs only the right to list Sensors."""
        query = {"fieldSelector": f"metadata.name={name}", "limit": "1"}
        page = await self._call("GET", Kind.SENSOR.resource.path(namespace), query)
        return next(iter(page["items"]), None)

    async def first_sensor(self, namespace: str | None) -> Body | None:
        """Return any one Sensor of a namespace, or of the cluster; None if there are none."""
        page = await self._call("GET", Kind.SENSOR.resource.path(namespace), {"limit": "1"})
        return next(iter(page["items"]), None)

    async def find_lease(self, namespace: str, name: str) -> Body | None:
        """Return a Lease, or None if it does not exist."""
        return await self._find(_LEASES.path(namespace, name))

    async def write_lease(self, body: Body) -> Body:
        """Create a Lease, or replace exactly the version that has the body's resource version.

        Raises ApiError with status 409 if there is another version.
        """
        metadata = body["metadata"]
        replaces = "resourceVersion" in metadata
        path = _LEASES.path(metadata["namespace"], metadata["name"] if replaces else None)
        method, query = "PUT" if replaces else "POST", {"fieldManager": MANAGER}
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        return _decode(await self._send(method, path, query, body, headers))

    async def _find(self, path: str) -> Body | None:
        """Return the object at a path, or None if it does not exist."""
        try:
            return await self._call("GET", path)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Body | Sequence[Body] | None = None,
        content_type: str = "application/json",
        *,
        accept: str = "application/json",
    ) -> Body:
        if method != "GET" and not self._may_write():
            # a worker that is about to be cancelled, after the process was suspended for example
            raise ApiError(0, "NotHolder", "another operator may act: the Lease was not renewed")
        headers = {"Accept": accept, "Content-Type": content_type}
        return _decode(await self._send(method, path, query or {}, body, headers))

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Body | Sequence[Body] | None,
        headers: dict[str, str],
    ) -> bytes:
        """Return the content of a successful response; raise ApiError for any other."""
        url = f"{self._api.configuration.host}{path}?{urlencode(query)}"
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await self._api.update_params_for_auth(
                    headers, [], ["BearerToken"], path, method, body
                )
                response = await self._api.call_api(method, url, headers, body)
                content = await response.read()
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            text = str(error) or type(error).__name__
            raise ApiError(0, "Unreachable", f"no response to {method} {path}: {text}") from error
        if response.status >= 400:  # noqa: PLR2004  the first HTTP status of an error
            raise _error(response.status, content)
        return bytes(content)


def _path_of(body: Body) -> str:
    metadata = body["metadata"]
    return Kind(body["kind"]).resource.path(metadata["namespace"], metadata["name"])


def _decode(content: bytes) -> Body:
    """Return the object in a response; text that is no JSON becomes its `message`."""
    try:
        body: Body = msgspec.json.decode(content)
    except ValueError:
        body = {"message": content[:200].decode(errors="replace")}
    return body


def _error(status: int, content: bytes) -> ApiError:
    """Return the error that the Status object in a response describes."""
    body = _decode(content)
    return ApiError(status, str(body.get("reason", "Error")), str(body.get("message", "")))


class _ListMetadata(msgspec.Struct):
    version: str = msgspec.field(name="resourceVersion")
    continued: str = msgspec.field(name="continue", default="")


class _Page(msgspec.Struct):
    metadata: _ListMetadata
    items: list[msgspec.Raw]


def _decoded_page(content: bytes) -> _Page:
    """Return a page whose items are text still; raise ApiError if it is none."""
    try:
        return msgspec.json.decode(content, type=_Page)
    except msgspec.DecodeError as error:
        raise ApiError(0, "Malformed", f"a list is not understood: {error}") from error
