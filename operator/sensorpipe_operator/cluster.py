"""The Kubernetes API, as far as the operator uses it; the only module that imports the client."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import client, config
from sensorpipe_schema.settings import SettingsError

from sensorpipe_operator.names import GROUP, MANAGED_BY, MANAGER, VERSION, Body

SENSORS: Final = (f"/apis/{GROUP}/{VERSION}", "sensors")
DEPLOYMENTS: Final = ("/apis/apps/v1", "deployments")
CONFIG_MAPS: Final = ("/api/v1", "configmaps")
PODS: Final = ("/api/v1", "pods")
EVENTS: Final = ("/api/v1", "events")

Resource = tuple[str, str]
_RESOURCES: Final = {"Deployment": DEPLOYMENTS, "ConfigMap": CONFIG_MAPS}
_TIMEOUT_SECONDS: Final = 20
_CHUNK: Final = 500


class ClusterError(Exception):
    """The API server did not do what was asked; `status` is 0 where it did not answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else message)
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def is_final(self) -> bool:
        """Whether asking again for the same would have the same answer."""
        return self.status in (400, 403, 409, 422)


class Cluster:
    """Asks the API server; every method raises ClusterError."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    @asynccontextmanager
    async def connect(cls, connections: int) -> AsyncIterator[Self]:
        """Connect as a pod's service account, or as the kubeconfig says."""
        settings = client.Configuration()
        settings.connection_pool_maxsize = connections
        # as for kopf; else each request looks for proxies and passwords in files, in a thread
        settings.client_session_kwargs = {"trust_env": False}
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config(settings)
            else:
                await config.load_kube_config(client_configuration=settings)
            api = client.ApiClient(settings)
        except (config.ConfigException, OSError, ValueError) as error:
            text = f"KUBECONFIG: there is no cluster to be reached: {error}"
            raise SettingsError([text]) from error
        async with api:
            yield cls(api)

    async def apply(self, body: Body, *, force: bool) -> Body:
        """Apply an object server-side; without force, not over what others have set."""
        path = _path(_RESOURCES[body["kind"]], body["metadata"])
        query = {"fieldManager": MANAGER, "force": str(force).lower()}
        return await self._call("PATCH", path, query, body, "application/apply-patch+yaml")

    async def get(self, kind: str, namespace: str, name: str) -> Body:
        """Return one object of a child's kind."""
        metadata = {"namespace": namespace, "name": name}
        return await self._call("GET", _path(_RESOURCES[kind], metadata))

    async def delete(self, body: Body) -> None:
        """Delete a child as it is known, with all it owns; one that is gone is no error."""
        metadata = body["metadata"]
        options = {
            "propagationPolicy": "Background",
            "preconditions": {"uid": metadata["uid"]},
        }
        path = _path(_RESOURCES[body["kind"]], metadata)
        try:
            await self._call("DELETE", path, {}, options)
        except ClusterError as error:
            if error.status not in (404, 409):
                raise

    async def patch_status(self, sensor: Body, status: dict[str, Any]) -> Body:
        """Replace the named parts of a Sensor's status."""
        path = f"{_path(SENSORS, sensor['metadata'])}/status"
        query = {"fieldManager": MANAGER}
        body = {"status": status}
        return await self._call("PATCH", path, query, body, "application/merge-patch+json")

    async def post_event(self, event: Body) -> None:
        """Tell an event."""
        namespace = event["metadata"]["namespace"]
        await self._call("POST", _path(EVENTS, {"namespace": namespace}), {}, event)

    async def list(
        self, resource: Resource, namespace: str | None, limit: int = _CHUNK
    ) -> tuple[list[Body], int]:
        """Return all objects that concern the operator, and the version the list was taken at."""
        path = _path(resource, {"namespace": namespace} if namespace else {})
        query = {"limit": str(limit)}
        if resource != SENSORS:
            query["labelSelector"] = MANAGED_BY
        bodies: list[Body] = []
        while True:
            page = await self._call("GET", path, query)
            bodies += page["items"]
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return bodies, int(page["metadata"]["resourceVersion"])

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        """Return a Sensor if it is there, by the right to list them."""
        query = {"fieldSelector": f"metadata.name={name}", "limit": "1"}
        page = await self._call("GET", _path(SENSORS, {"namespace": namespace}), query)
        return next(iter(page["items"]), None)

    async def first_sensor(self, namespace: str | None) -> Body | None:
        """Return any one Sensor, to see that the API server answers."""
        path = _path(SENSORS, {"namespace": namespace} if namespace else {})
        page = await self._call("GET", path, {"limit": "1"})
        return next(iter(page["items"]), None)

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Body:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        url = f"{self._api.configuration.host}{path}?{urlencode(query or {})}"
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await self._api.update_params_for_auth(
                    headers, [], ["BearerToken"], path, method, body
                )
                response = await self._api.call_api(method, url, headers, body)
                content = await response.read()
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            text = str(error) or type(error).__name__
            raise ClusterError(0, "Unreachable", f"no answer to {method} {path}: {text}") from error
        return _answer(response.status, content)


def _path(resource: Resource, metadata: Body) -> str:
    api, plural = resource
    parts = [api]
    if namespace := metadata.get("namespace"):
        parts += ["namespaces", namespace]
    parts.append(plural)
    if name := metadata.get("name"):
        parts.append(name)
    return "/".join(parts)


def _answer(status: int, content: bytes) -> Body:
    """Return the object of an answer, or raise what the Status in it says."""
    try:
        body: Body = msgspec.json.decode(content)
    except ValueError:
        body = {"message": content[:200].decode(errors="replace")}
    if status >= 400:  # noqa: PLR2004  where HTTP's errors begin
        reason, message = str(body.get("reason", "Error")), str(body.get("message", ""))
        raise ClusterError(status, reason, message)
    return body
