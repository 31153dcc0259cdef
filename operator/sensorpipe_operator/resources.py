"""Compute resources of a generator: the defaults, and what a Sensor says over them."""

from typing import Final

from sensorpipe_schema import quantity
from sensorpipe_schema.sensor import Amounts, Resources

DEFAULT_REQUESTS: Final = Amounts(cpu="50m", memory="96Mi", ephemeral_storage=None)
DEFAULT_LIMITS: Final = Amounts(cpu="1", memory="256Mi", ephemeral_storage=None)
_NAMES: Final = {"cpu": "cpu", "memory": "memory", "ephemeral_storage": "ephemeral-storage"}

Amount = str | int | None


def resources(given: Resources | None) -> dict[str, dict[str, str]]:
    """Return a container's resources; a default gives way where it contradicts what is given."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for attribute, name in _NAMES.items():
        request, limit = _amounts(given, attribute)
        if request is not None:
            requests[name] = str(request)
        if limit is not None:
            limits[name] = str(limit)
    return {"requests": requests, "limits": limits}


def _amounts(given: Resources | None, attribute: str) -> tuple[Amount, Amount]:
    asked: Amount = getattr(given.requests, attribute) if given and given.requests else None
    most: Amount = getattr(given.limits, attribute) if given and given.limits else None
    request: Amount = asked if asked is not None else getattr(DEFAULT_REQUESTS, attribute)
    limit: Amount = most if most is not None else getattr(DEFAULT_LIMITS, attribute)
    if request is None or limit is None or quantity.parse(request) <= quantity.parse(limit):
        return request, limit
    return (request, request) if most is None else (limit, limit)
