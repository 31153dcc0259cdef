"""The Kubernetes API of one namespace, asked through `kubectl proxy`: no JVM, no kubectl a call."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from cluster_client import Cluster

MANAGER = "strimzi-stand-in"
_WAIT_SECONDS = 30.0
_GROUPS = {"v1": "/api/v1", "apps/v1": "/apis/apps/v1"}
_STRIMZI = "kafka.strimzi.io/v1"

Object = dict[str, Any]


class ApiError(RuntimeError):
    """The API server refused; the text is what it said."""


class Api:
    """What there is in one namespace, and changes to it."""

    def __init__(self, url: str, namespace: str) -> None:
        self.namespace = namespace
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def items(self, version: str, plural: str, selector: str = "") -> list[Object]:
        """Return all objects of a kind, none if the cluster has no such kind (any more)."""
        found = self._ask("GET", f"{self._path(version, plural)}?labelSelector={quote(selector)}")
        items: list[Object] = (found or {}).get("items", [])
        return items

    def get(self, version: str, plural: str, name: str) -> Object | None:
        """Return one object, or None."""
        found: Object | None = self._ask("GET", f"{self._path(version, plural)}/{name}")
        return found

    def apply(self, wanted: Object) -> None:
        """Create or change an object, server-side."""
        path = self._path(wanted["apiVersion"], _plural(wanted["kind"]))
        query = urlencode({"fieldManager": MANAGER, "force": "true"})
        content = "application/apply-patch+yaml"
        self._ask("PATCH", f"{path}/{wanted['metadata']['name']}?{query}", wanted, content)

    def merge(self, there: Object, change: Object, part: str = "") -> None:
        """Merge a change into an object, one of Strimzi's if it says no version, or its status."""
        path = self._path(there.get("apiVersion", _STRIMZI), _plural(there["kind"]))
        content = "application/merge-patch+json"
        self._ask("PATCH", f"{path}/{there['metadata']['name']}{part}", change, content)

    def strimzi(self, kind: str, cluster: str | None = None) -> list[Object]:
        """Return all of one kind of Strimzi's, or those that belong to a cluster."""
        selector = "" if cluster is None else f"strimzi.io/cluster={cluster}"
        found = self.items(_STRIMZI, f"{kind.lower()}s", selector)
        return [{**item, "kind": kind} for item in found]

    def _path(self, version: str, plural: str) -> str:
        root = _GROUPS.get(version, f"/apis/{version}")
        return f"{root}/namespaces/{self.namespace}/{plural}"

    def _ask(self, method: str, path: str, body: object = None, content: str = "") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method=method)
        if content:
            request.add_header("Content-Type", content)
        try:
            with self._opener.open(request, timeout=_WAIT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                said = error.read().decode(errors="replace")
            raise ApiError(f"{method} {path}: {error.code} {said[:2000]}") from error


def _plural(kind: str) -> str:
    return f"{kind.lower()}s".replace("policys", "policies")


@contextmanager
def proxied(cluster: Cluster, namespace: str) -> Iterator[Api]:
    """Yield a namespace's API for as long as `kubectl proxy` runs."""
    kubectl = "kubectl" if cluster.programs is None else str(cluster.programs / "kubectl")
    with subprocess.Popen(
        [kubectl, "proxy", "--port=0"], stdout=subprocess.PIPE, env=cluster.environ, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()  # Starting to serve on 127.0.0.1:PORT
            if "127.0.0.1:" not in said:
                raise ApiError(f"kubectl proxy said {said!r}; its error is above")
            yield Api(f"http://{said.split()[-1]}", namespace)
        finally:
            process.kill()
