"""Compares objects in the cluster with the desired ones."""

from typing import Any, Final

from sensorpipe_schema.shape import quantity

_KEYS: Final = ("name", "uid", "key")
"""Fields that identify the items of a list."""


def matches(live: Any, desired: Any) -> bool:
    """Whether `live` has every desired field; defaults and fields that others added are ignored."""
    match desired:
        case dict():
            return isinstance(live, dict) and all(
                name in live and matches(live[name], value) for name, value in desired.items()
            )
        case list():
            return isinstance(live, list) and _list_matches(live, desired)
        case str() if isinstance(live, str) and live != desired:
            return _same_quantity(live, desired)
        case _:
            return bool(live == desired)


def _list_matches(live: list[Any], desired: list[Any]) -> bool:
    """Whether items of the same key match, or without unique keys those at the same position."""
    key = next((key for key in _KEYS if _identifies(key, desired)), None)
    if key is None:
        return len(live) == len(desired) and all(map(matches, live, desired))
    found = {item.get(key): item for item in live if isinstance(item, dict)}
    return all(matches(found.get(item[key]), item) for item in desired)


def _identifies(key: str, desired: list[Any]) -> bool:
    """Whether all items have the field, each with another value."""
    if not all(isinstance(item, dict) and key in item for item in desired):
        return False
    # tolerations of one taint, or mounts of one volume, may have the same
    return len({item[key] for item in desired}) == len(desired)


def _same_quantity(live: str, desired: str) -> bool:
    """Whether two texts are the same quantity: the API server stores `1000m` as `1`."""
    try:
        return quantity.parse(live) == quantity.parse(desired)
    except ValueError:
        return False
