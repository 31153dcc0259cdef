"""Computes a Feed's status, and when its numbers are worth a write: pure."""

import math
from collections import deque
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from sensorpipe_schema.feed.report import FeedReport

from sensorpipe_operator.names import Body, Key
from sensorpipe_operator.status.conditions import Verdict, condition

RATE_SECONDS: Final = 60.0
"""Seconds over which the rate of readings is taken."""

NUMBERS_SECONDS: Final = 30.0
"""Least number of seconds between two writes of a Feed's numbers alone."""

_NUMBERS: Final = ("topics", "readingsPerSecond", "refused", "lastRefused")


def build_feed_status(
    body: Body,
    verdicts: Mapping[str, Verdict],
    report: FeedReport | None,
    rate: float | None,
    now: datetime,
    *,
    mark: str = "",
) -> dict[str, Any]:
    """Return a Feed's status: its conditions by their types, and the compactor's numbers.

    `mark` says which release's operator writes it; empty for none. Without a report the old
    numbers stay; so does an old rate if there is none yet.
    """
    old = body.get("status", {})
    generation: int = body["metadata"]["generation"]
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    numbers = {name: old[name] for name in _NUMBERS if name in old}
    if report is not None:
        numbers = {
            "topics": report.topics,
            "readingsPerSecond": old.get("readingsPerSecond", 0) if rate is None else rate,
            "refused": report.refused,
        }
        if (last := report.last_refused) is not None:
            numbers["lastRefused"] = {
                "at": last.at,
                "topic": last.topic,
                "reason": last.reason,
                "detail": last.detail,
            }
    return {
        "observedGeneration": generation,
        **({"operator": mark} if mark else {}),
        **numbers,
        "conditions": [
            condition(old.get("conditions", []), kind, verdict, generation=generation, now=at)
            for kind, verdict in verdicts.items()
        ],
    }


def differs_only_in_numbers(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether conditions and generation are the same."""

    def rest(status: Mapping[str, Any]) -> dict[str, Any]:
        conditions = {each["type"]: each for each in status.get("conditions", [])}
        kept = {name: value for name, value in status.items() if name not in _NUMBERS}
        return {**kept, "conditions": conditions}

    return rest(old) == rest(new)


class Rates:
    """Readings per second of each Feed over the last minute, from its counter."""

    def __init__(self) -> None:
        self._seen: dict[Key, deque[tuple[float, int]]] = {}

    def note(self, key: Key, readings: int, at: float) -> float | None:
        """Return the rate now that the counter is seen at a monotonic time, in seconds.

        It has two digits, so that it stays the same while it hardly changes. None while the
        counter was seen only once; a counter that went down begins anew.
        """
        seen = self._seen.setdefault(key, deque())
        if seen and readings < seen[-1][1]:
            seen.clear()
        seen.append((at, readings))
        while len(seen) > 2 and seen[1][0] <= at - RATE_SECONDS:  # noqa: PLR2004  two make a rate
            seen.popleft()
        since, before = seen[0]
        return two_digits((readings - before) / (at - since)) if at > since else None

    def keep(self, keys: Collection[Key]) -> None:
        """Forget all Feeds but these."""
        for key in set(self._seen) - set(keys):
            del self._seen[key]


def two_digits(number: float) -> float | int:
    """Return a number rounded to two digits, as an int if it is one."""
    if number <= 0:
        return 0
    rounded = round(number, 1 - math.floor(math.log10(number)))
    return int(rounded) if rounded == int(rounded) else rounded
