"""Which faults hit what, and when: all of it follows from the seed of a run."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TARGETS: Final = {
    "kill": ("compactor", "server", "kafka", "mongodb"),
    "restart": ("compactor", "server", "kafka", "mongodb", "mosquitto"),
    "stop": ("compactor", "server", "kafka", "mongodb", "mosquitto"),
    "cut": ("mosquitto", "mongodb"),
    "stall": ("mosquitto", "mongodb"),
    "step down": ("mongodb",),
    "second": ("compactor",),
    "clock": ("compactor", "server"),
    "remake": ("topic",),
    "fill disk": ("kafka", "mongodb"),
}
"""Kinds of fault, and the parts that each may hit."""

CLOCK_STEPS: Final = (-3600, -30, 30, 7200)
"""Seconds by which a clock is stepped."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `after` seconds of undisturbed load, lasting `seconds`, with a clock's `step`."""

    after: float
    kind: str
    target: str
    seconds: float
    step: int = 0

    def __str__(self) -> str:
        step = f" by {self.step:+d} s" if self.kind == "clock" else ""
        return f"after {self.after:.2f} s: {self.kind} {self.target}{step} for {self.seconds:.2f} s"


def schedule(seed: int, faults: int, kinds: Sequence[str] = tuple(TARGETS)) -> list[Fault]:
    """Return the faults of a run: the same for the same arguments, whatever ran before."""
    chance = random.Random(seed)
    return [_fault(chance, chance.choice(kinds)) for _ in range(faults)]


def _fault(chance: random.Random, kind: str) -> Fault:
    return Fault(
        after=chance.uniform(0.2, 3),
        kind=kind,
        target=chance.choice(TARGETS[kind]),
        seconds=chance.uniform(0.5, 6),
        step=chance.choice(CLOCK_STEPS),
    )
