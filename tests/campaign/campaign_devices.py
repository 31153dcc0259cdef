"""Devices of the campaign with messages of their own, and the Feeds that take them."""

import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from campaign_ledger import Message, Reading

DEVICES: Final = 3
"""Devices of each Feed."""

_SKIPPED: Final = 0.1
"""Share of messages that the radio loses: nothing follows from their numbers."""


@dataclass(slots=True)
class Devices:
    """The devices of one Feed."""

    name: str
    identity: str
    """`time`, `counter`, or `none`."""
    run: str
    version: int = 1
    """How often the Feed has been changed, from 1 on: so many sensors it takes."""
    sensors: int = 0
    """How many sensors the messages have: no more than the Feed that is surely in use takes."""
    _counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _used: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    @property
    def feed(self) -> str:
        """The name of the Feed; another one with each change."""
        return f"{self.name}-{self.version}"

    @property
    def facilities(self) -> list[str]:
        """The facility of each device."""
        return [f"{self.name}-{number}" for number in range(DEVICES)]

    def manifest(self) -> str:
        """Return the Feed's manifest, as JSON, which is YAML."""
        identity: Any = {"src": ["/eui"], "seq": "/n"} if self.identity == "counter" else None
        spec = {
            "topic": f"campaign/{self.name}/{{device}}",
            "facility": f"{self.name}-{{device}}",
            "time": {"at": "/at", "format": "ms"},
            "readings": [{"sensor": f"s{n}", "at": f"/v/{_key(n)}"} for n in range(self.version)],
            "identity": identity or self.identity,
        }
        metadata = {"name": self.feed}
        return json.dumps(
            {
                "apiVersion": "sensorpipe.dev/v1alpha1",
                "kind": "Feed",
                "metadata": metadata,
                "spec": spec,
            }
        )

    def message(self, chance: random.Random, ts: int) -> Message:
        """Return a message of one of the devices, made at about `ts` (unix milliseconds)."""
        number = chance.randrange(DEVICES)
        facility = self.facilities[number]
        while ts in self._used[facility]:  # what has the same time is the same
            ts += 1
        self._used[facility].add(ts)
        while chance.random() < _SKIPPED:
            self._counts[facility] += 1
        count = self._counts[facility]
        self._counts[facility] += 1
        values = [round(chance.gauss(20, 5), 6) for _ in range(self.sensors)]
        body: dict[str, Any] = {"at": ts, "v": {_key(n): v for n, v in enumerate(values)}}
        if self.identity == "counter":
            body |= {"eui": f"{number:016x}-{self.run}", "n": count}
        readings = [
            Reading(facility, f"s{n}", self.run, count, ts, value) for n, value in enumerate(values)
        ]
        return Message(f"campaign/{self.name}/{number}", json.dumps(body), tuple(readings))


def steady(run: str) -> list[Devices]:
    """Return the devices whose Feeds are there from the start, one of each identity."""
    return [Devices(f"{name}s", name, run, sensors=1) for name in ("time", "counter", "none")]


def _key(number: int) -> str:
    return f"value {number}"
