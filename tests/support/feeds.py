"""Feeds for tests, and messages of devices as their vendors document them."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from sensorpipe_schema.feed.decoder import FeedDecoder, Readings
from sensorpipe_schema.feed.manifest import Feed
from sensorpipe_schema.manifest_files import load_manifests
from sensorpipe_schema.sensor import API_VERSION

SHIPPED = Path(__file__).parents[2] / "manifests/feeds"
NOW = 1_800_000_000_000
"""When the messages of tests arrive, in Unix milliseconds."""

GOOD: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "Feed",
    "metadata": {"name": "test"},
    "spec": {
        "topic": "plant/{device}",
        "facility": "{device}",
        "time": {"at": "/time"},
        "readings": [
            {"sensor": "temperature", "at": "/t", "unit": "°C"},
            {"sensor": "power", "at": "/p", "scale": 0.001},
        ],
    },
}


def manifest(**spec: Any) -> dict[str, Any]:
    """Return a manifest with this spec."""
    return {**deepcopy(GOOD), "spec": spec}


def feed(**spec: Any) -> Feed:
    """Return a Feed with this spec; topic and facility have defaults."""
    return Feed.parse(manifest(**{"topic": "d/{device}", "facility": "{device}", **spec}))


def decoded(message: str, where: str = "d/x", **spec: Any) -> list[Readings]:
    """Return what a Feed with this spec makes of a message."""
    return FeedDecoder(feed(**spec)).decode(where, message.encode(), NOW)


def values(message: str, where: str = "d/x", **spec: Any) -> dict[str, float]:
    """Return sensors and values of a message that has one group of readings, or none."""
    found = decoded(message, where, **spec)
    return dict(found[0].values) if found else {}


def shipped(name: str) -> Feed:
    """Return a Feed of manifests/feeds."""
    (found,) = load_manifests([SHIPPED / f"{name}.yaml"]).feeds
    return found


def captures() -> list[dict[str, Any]]:
    """Return messages of devices, with their sources and the readings that must come out."""
    found: list[dict[str, Any]] = yaml.safe_load(
        (Path(__file__).parent / "feed_captures.yaml").read_text(encoding="utf-8")
    )
    return found
