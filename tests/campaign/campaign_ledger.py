"""What a broker has acknowledged, and what must come out of it; imports nothing of the product."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

WINDOW_MS: Final = 10_000
"""Length of a window, in milliseconds of the readings' own time."""

RELATIVE: Final = 1e-9
"""How far an average may be from the exact one, as a share of the largest value."""


class Reading(NamedTuple):
    """One reading as it was published; `ts` in unix milliseconds."""

    facility: str
    sensor: str
    src: str
    seq: int
    ts: int
    value: float


class Message(NamedTuple):
    """What a device sends, and the readings that must come of it."""

    topic: str
    body: str
    readings: tuple[Reading, ...]


@dataclass(slots=True)
class Verdict:
    """How the answers differ from the ledger; all empty or zero if they do not."""

    acknowledged: int
    lost: int = 0
    duplicates: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether each acknowledged reading is counted as often as it must be, with its value."""
        return not (self.lost or self.duplicates or self.wrong)


class Ledger:
    """Holds the acknowledged readings by facility, window and sensor."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, int, str], list[float]] = defaultdict(list)
        self.acknowledged = 0
        self.repeatable: set[str] = set()
        """Facilities whose readings have no identity: they may be counted more than once."""

    def note(self, reading: Reading) -> None:
        """Add a reading whose acknowledgement has come."""
        window = reading.ts - reading.ts % WINDOW_MS
        self._values[reading.facility, window, reading.sensor].append(reading.value)
        self.acknowledged += 1

    @property
    def facilities(self) -> list[str]:
        """The facilities that readings were acknowledged for, sorted."""
        return sorted({facility for facility, _, _ in self._values})

    @property
    def span(self) -> tuple[int, int]:
        """Where the first and the last window start that readings were acknowledged for."""
        starts = {start for _, start, _ in self._values}
        return min(starts), max(starts)

    def judge(
        self,
        answers: Mapping[str, Iterable[dict[str, Any]]],
        facilities: Collection[str] | None = None,
    ) -> Verdict:
        """Compare the windows of each facility, as `/api/sensors/{facility}` shows them.

        Without `facilities`, those of all facilities must be there.
        """
        verdict = Verdict(self.acknowledged)
        left = {
            key: values
            for key, values in list(self._values.items())
            if facilities is None or key[0] in facilities
        }
        for facility, windows in answers.items():
            for window in windows:
                began = datetime.fromisoformat(window["window"]["start_time"])
                start = round(began.timestamp() * 1000)
                sensors = [key[6:] for key in window if key.startswith("count_")]
                for sensor in sensors:
                    values = left.pop((facility, start, sensor), [])
                    if facility in self.repeatable and window[f"count_{sensor}"] > len(values):
                        continue
                    _compare(verdict, values, window, sensor, f"{facility} {start} {sensor}")
        verdict.lost += sum(len(values) for values in left.values())
        return verdict


def _compare(
    verdict: Verdict, values: list[float], window: dict[str, Any], sensor: str, where: str
) -> None:
    found = window[f"count_{sensor}"]
    verdict.lost += max(0, len(values) - found)
    verdict.duplicates += max(0, found - len(values))
    if found != len(values):
        return
    scale = max(map(abs, values))
    exact = math.fsum(values) / len(values)
    wrong = [
        name
        for name, value in (("min", min(values)), ("max", max(values)), ("avg", exact))
        if abs(window[f"{name}_{sensor}"] - value) > (RELATIVE * scale if name == "avg" else 0)
    ]
    verdict.wrong += [f"{where}: {name}" for name in wrong]
