"""Whether an object in the cluster still says what was applied."""

from typing import Any, Final

from sensorpipe_schema import quantity

_KEYS: Final = ("name", "uid", "key")
"""What tells the items of a list apart."""


def covers(live: Any, desired: Any) -> bool:
    """Whether all that is desired is there; defaults and others' additions do not matter."""
    match desired:
        case dict():
            return isinstance(live, dict) and all(
                name in live and covers(live[name], value) for name, value in desired.items()
            )
        case list():
            return isinstance(live, list) and _covers_list(live, desired)
        case str() if isinstance(live, str) and live != desired:
            return _same_quantity(live, desired)
        case _:
            return bool(live == desired)


def _covers_list(live: list[Any], desired: list[Any]) -> bool:
    key = next((k for k in _KEYS if all(isinstance(d, dict) and k in d for d in desired)), None)
    if key is None:
        return len(live) == len(desired) and all(map(covers, live, desired))
    found = {item.get(key): item for item in live if isinstance(item, dict)}
    return all(covers(found.get(item[key]), item) for item in desired)


def _same_quantity(live: str, desired: str) -> bool:
    """Whether two texts are one amount: the API server writes `1000m` as `1`."""
    try:
        return quantity.parse(live) == quantity.parse(desired)
    except ValueError:
        return False
