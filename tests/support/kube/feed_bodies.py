"""Feeds as an API server hands them out."""

from typing import Any

from sensorpipe_operator.names import Body
from sensorpipe_schema.sensor import API_VERSION

RULES = [{"sensor": "t", "at": "/t"}]


def feed_body(
    name: str,
    topic: str = "",
    *,
    namespace: str = "plant",
    created: str = "2026-11-24T09:00:00Z",
    generation: int = 1,
    version: int = 1,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> Body:
    """Return a Feed as it is in a cluster; without `topic`, one that overlaps no other name's."""
    made: Body = {
        "apiVersion": API_VERSION,
        "kind": "Feed",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"u-{namespace}-{name}",
            "generation": generation,
            "creationTimestamp": created,
            "resourceVersion": str(version),
        },
        "spec": {"topic": topic or f"{name}/+", "facility": "f", "readings": RULES, **spec},
    }
    return made if status is None else {**made, "status": status}
