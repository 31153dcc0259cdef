"""One start of a compactor in the model of `claim_log`."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sensorpipe_compactor.clock_check import ClockCheck, Instant
from sensorpipe_compactor.epoch import horizon, tail
from sensorpipe_compactor.epoch.claim import new_run
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_runtime.mqtt.inbox import Inbox
from sensorpipe_schema.partial import Origin, Partial
from support.claim_log import NAME, SPAN, made


class Instance:
    """One start of a compactor: what its parts do, without the network."""

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self.run, self.number, self.newest = new_run(), 0, 0
        self.horizon = Horizon()
        self.ends: dict[int, int] = {}
        self.inbox = Inbox()
        self.seen: set[int] = set()
        self.windows: dict[tuple[int, bool], tuple[int, list[int]]] = {}

    def take(self, sent: list[int]) -> None:
        before = self.inbox.received
        self.inbox.take([1] * len(sent))
        for number, reading in enumerate(sent, before + 1):
            if reading not in self.seen:
                self.seen.add(reading)
                key = reading // SPAN, reading < self.horizon.ms
                self.windows.setdefault(key, (number, []))[1].append(reading)

    def partials(self, windows: list[tuple[int, bool]]) -> list[Partial]:
        """Hand out windows as partials."""
        handed = []
        self.newest = max(
            [self.newest, self.horizon.newest_ms, *(SPAN * (window + 1) for window, _ in windows)]
        )
        for window, itemized in windows:
            _, readings = self.windows.pop((window, itemized))
            self.number += 1
            origin = Origin(self.name, self.run, self.number, self.newest)
            handed.append(made(window, origin, readings, itemized=itemized))
        return handed

    def acknowledgeable(self) -> int:
        lowest = min((number for number, _ in self.windows.values()), default=None)
        return self.inbox.received if lowest is None else lowest - 1


class Agreeing(ClockCheck):
    """Sources that agree with our clock."""

    def agrees(self, _: Instant) -> bool:
        return True


@contextmanager
def scaled_down() -> Iterator[None]:
    """Read back record by record, and let sources confirm the clock without a minute's wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tail, "_CHUNK", 1)
        patch.setattr(horizon, "MAX_AHEAD_MS", 0)
        patch.setattr(horizon, "_AGREED_MS", 0)
        yield
