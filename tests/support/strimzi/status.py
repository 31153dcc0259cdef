"""The status of Strimzi's resources, written only when it changes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from support.strimzi.admin import RefusedError
from support.strimzi.api import Api
from support.strimzi.properties import UnknownError


def ready(api: Api, there: Mapping[str, Any], **more: Any) -> None:
    """Say of a resource that all it asks for is so."""
    write(api, there, [{"type": "Ready", "status": "True"}], **more)


def not_ready(api: Api, there: Mapping[str, Any], error: UnknownError | RefusedError) -> None:
    """Say of a resource why what it asks for is not so."""
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": error.reason,
        "message": str(error),
    }
    write(api, there, [condition])


def write(
    api: Api, there: Mapping[str, Any], conditions: list[dict[str, str]], **more: Any
) -> None:
    """Write a status of these conditions and fields, for the resource as it is now."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    old = there.get("status", {})
    wanted = {**more, "observedGeneration": there["metadata"]["generation"]}
    same = all(old.get(name) == value for name, value in wanted.items())
    if same and _timeless(old.get("conditions", [])) == conditions:
        return
    if conditions or old.get("conditions"):
        wanted["conditions"] = [{**one, "lastTransitionTime": now} for one in conditions]
    api.merge(dict(there), {"status": wanted}, "/status")


def _timeless(conditions: list[dict[str, str]]) -> list[dict[str, str]]:
    return [
        {name: value for name, value in one.items() if name != "lastTransitionTime"}
        for one in conditions
    ]
