"""A generator whose readings neither move nor are tried for a minute is not alive."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from sensorpipe_generator.__main__ import _progress
from sensorpipe_generator.publishing import Totals
from sensorpipe_runtime.liveness import STALLED_AFTER, Progress

MOVES = ("attempts", "acknowledged", "refused", "given_up")


@dataclass
class Generator:
    """Stands for the publisher and what follows the schedule."""

    attempts: int = 1
    acknowledged: int = 0
    refused: int = 0
    unacknowledged: int = 0
    behind: bool = False
    totals: Totals = field(default_factory=Totals)

    def is_behind(self) -> bool:
        return self.behind

    def move(self, what: str) -> None:
        where = self.totals if what == "given_up" else self
        setattr(where, what, getattr(where, what) + 1)


class Rig:
    """What a probe hears at times that the test sets."""

    def __init__(self) -> None:
        self.it, self.now = Generator(), 0.0
        self.progress: Progress = _progress(cast("Any", self.it), cast("Any", self.it))
        self.progress._clock = lambda: self.now

    def alive_after(self, seconds: float) -> bool:
        self.now += seconds
        return self.progress.is_made()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_with_nothing_to_do_it_is_alive(rig):
    assert rig.alive_after(0)
    assert rig.alive_after(10 * STALLED_AFTER)


@pytest.mark.parametrize(("unacknowledged", "behind"), [(1, False), (0, True)])
def test_what_waits_a_minute_and_does_not_move_is_a_stall(rig, unacknowledged, behind):
    rig.it.unacknowledged, rig.it.behind = unacknowledged, behind
    assert rig.alive_after(0)
    assert rig.alive_after(STALLED_AFTER - 1)
    assert not rig.alive_after(1)
    rig.it.unacknowledged, rig.it.behind = 0, False
    assert rig.alive_after(1)


@pytest.mark.parametrize("what", MOVES)
def test_answers_giving_up_and_attempts_to_connect_are_progress(rig, what):
    rig.it.unacknowledged = 5
    assert rig.alive_after(0)
    for _ in range(3):
        rig.it.move(what)
        assert rig.alive_after(STALLED_AFTER - 1)
    assert not rig.alive_after(STALLED_AFTER)
