"""An API server that has Secrets and nothing else, and what the Job for passwords makes there."""

import json
from base64 import b64decode, b64encode
from collections.abc import Coroutine, Mapping
from typing import Any

from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import Body
from sensorpipe_operator.passwords.keeper import keep
from sensorpipe_operator.passwords.plan import Plan


class SecretStore:
    """Keeps Secrets as an API server does, and can be told to fail."""

    def __init__(self, *held: Body) -> None:
        self.held = {_key(body["metadata"]): body for body in held}
        self.failures: list[ApiError] = []
        self.meanwhile: list[Body] = []
        """What another creates between a read and the write that follows."""
        self.writes = 0

    async def find_secret(self, namespace: str, name: str) -> Body | None:
        """Return a copy of a Secret, or None if it does not exist."""
        if self.failures:
            raise self.failures.pop(0)
        found = self.held.get((namespace, name))
        return json.loads(json.dumps(found)) if found else None

    async def create_secret(self, body: Body) -> None:
        """Create a Secret."""
        self.held |= {_key(other["metadata"]): other for other in self.meanwhile}
        self.meanwhile.clear()
        if (key := _key(body["metadata"])) in self.held:
            raise ApiError(409, "AlreadyExists", "exists")
        self.held[key] = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        self.writes += 1

    async def patch_secret(self, namespace: str, name: str, patch: Body) -> None:
        """Merge into a Secret of the version that the patch names."""
        held = self.held[namespace, name]
        metadata = held["metadata"]
        if patch["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise ApiError(409, "Conflict", "changed")
        annotations = (metadata.get("annotations") or {}) | patch["metadata"]["annotations"]
        version = str(int(metadata["resourceVersion"]) + 1)
        held["metadata"] = metadata | {"annotations": annotations, "resourceVersion": version}
        held["data"] = (held.get("data") or {}) | patch.get("data", {})
        self.writes += 1

    def values(self, namespace: str, name: str) -> dict[str, str]:
        """Return what a Secret holds, as text."""
        data: dict[str, str] = self.held[namespace, name]["data"]
        return {key: b64decode(value).decode() for key, value in data.items()}

    def annotations(self, namespace: str, name: str) -> dict[str, str]:
        """Return a Secret's annotations."""
        found: dict[str, str] = self.held[namespace, name]["metadata"]["annotations"]
        return found

    def run(self, plan: str) -> None:
        """Do what the Job does that is given this plan."""
        at_once(keep(self, Plan.parse(plan)))


def encoded(values: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return values as a Secret has them."""
    raw = {key: text if isinstance(text, bytes) else text.encode() for key, text in values.items()}
    return {key: b64encode(value).decode() for key, value in raw.items()}


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits, with or without an event loop."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise AssertionError("it waited")


def _key(metadata: Body) -> tuple[str, str]:
    return metadata["namespace"], metadata["name"]
