"""What the API has stored, as the ledger judges it: few facilities one by one, many at once."""

import json
import random
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from campaign_ledger import WINDOW_MS, Ledger, Verdict
from support.pipeline import windows

SAMPLE: Final = 50
"""Facilities of which the windows are asked one by one; of more, as many by chance."""

_AROUND_MS: Final = 300_000
"""How far before and after what was published the API is asked for what nobody published."""

_SECONDS: Final = 60.0


def judge(ledger: Ledger, api: str) -> Verdict:
    """Compare all that the API has with the ledger; raise OSError where it does not answer.

    Of many facilities, `/api/series` tells every window in one answer, and the windows themselves
    are compared for a few by chance: the two are read from MongoDB in different ways.
    """
    facilities = ledger.facilities
    sample = random.sample(facilities, min(SAMPLE, len(facilities)))
    sampled = ledger.judge({facility: windows(api, facility) for facility in sample}, sample)
    if len(sample) == len(facilities) or not sampled.clean:
        return sampled
    return ledger.judge(_series(ledger, api))


def by_facility(lines: Iterable[str | bytes]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of `/api/series`, one JSON object a line, in the form of windows."""
    found = defaultdict(list)
    for row in map(json.loads, lines):
        values = {f"{name}_{row['sensor']}": row[name] for name in ("count", "min", "max", "avg")}
        found[row["facility"]].append({"window": {"start_time": row["time"]}} | values)
    return dict(found)


def _series(ledger: Ledger, api: str) -> dict[str, list[dict[str, Any]]]:
    first, last = ledger.span
    since, until = _time(first - _AROUND_MS), _time(last + WINDOW_MS + _AROUND_MS)
    query = f"every={WINDOW_MS // 1000}s&format=ndjson&from={since}&to={until}"
    with urllib.request.urlopen(f"{api}/api/series?{query}", timeout=_SECONDS) as answer:
        asked, every = f"{WINDOW_MS // 1000}s", answer.headers["Sensorpipe-Every"]
        if every != asked:
            raise AssertionError(f"the API has buckets of {every}, not of {asked}")
        return by_facility(answer)


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
