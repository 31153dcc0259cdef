"""Compute resources of a generator: defaults that a Sensor can override."""

from typing import Final

from sensorpipe_schema.sensor import Amounts, Resources
from sensorpipe_schema.shape import quantity

DEFAULT_REQUESTS: Final = Amounts(cpu="50m", memory="96Mi", ephemeral_storage="50Mi")
"""Requests of a generator whose Sensor sets none."""
DEFAULT_LIMITS: Final = Amounts(cpu="1", memory="256Mi", ephemeral_storage="2Gi")
"""Limits of a generator whose Sensor sets none."""
_NAMES: Final = {"cpu": "cpu", "memory": "memory", "ephemeral_storage": "ephemeral-storage"}

Amount = str | int | None


def resources(custom: Resources | None) -> dict[str, dict[str, str]]:
    """Return a container's requests and limits: those of the Sensor, else the defaults.

    A default that contradicts what the Sensor sets (a request above a limit) is adjusted to it.
    """
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for attribute, name in _NAMES.items():
        request, limit = _amounts(custom, attribute)
        if request is not None:
            requests[name] = str(request)
        if limit is not None:
            limits[name] = str(limit)
    return {"requests": requests, "limits": limits}


def _amounts(custom: Resources | None, attribute: str) -> tuple[Amount, Amount]:
    own_request: Amount = (
        getattr(custom.requests, attribute) if custom and custom.requests else None
    )
    own_limit: Amount = getattr(custom.limits, attribute) if custom and custom.limits else None
    request = own_request if own_request is not None else getattr(DEFAULT_REQUESTS, attribute)
    limit = own_limit if own_limit is not None else getattr(DEFAULT_LIMITS, attribute)
    if request is None or limit is None or quantity.parse(request) <= quantity.parse(limit):
        return request, limit
    return (request, request) if own_limit is None else (limit, limit)
