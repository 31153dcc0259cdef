"""Which faults hit what, and when: all of it follows from the seed of a run."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

USUAL: Final = {
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
    "feed": ("add", "change", "break", "remove"),
}
"""Kinds of fault that a run tries, and the parts that each may hit, or what befalls a Feed."""

LASTING: Final = {
    "partitions": ("topic", "server"),
    "resend": ("devices",),
    "expire": ("topic",),
    "ahead": ("compactor",),
    "forget": ("compactor",),
    "anew": ("kafka",),
}
"""Kinds of fault that take from a program what it could still know of readings counted before."""

TARGETS: Final = USUAL | LASTING

CLOCK_STEPS: Final = (-3600, -30, 30, 7200)
"""Seconds by which a clock is stepped."""

AHEAD_STEPS: Final = (3000, 7200, 36_000)
"""Seconds by which a clock is ahead from a program's start; Kafka takes up to an hour."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `after` seconds of undisturbed load, lasting `seconds`, with a clock's `step`."""

    after: float
    kind: str
    target: str
    seconds: float
    step: int = 0

    def __str__(self) -> str:
        step = f" by {self.step:+d} s" if self.kind in {"clock", "ahead"} else ""
        return f"after {self.after:.2f} s: {self.kind} {self.target}{step} for {self.seconds:.2f} s"


def schedule(seed: int, faults: int, kinds: Sequence[str] = tuple(USUAL)) -> list[Fault]:
    """Return the faults of a run: the same for the same arguments, whatever ran before."""
    chance = random.Random(seed)
    return [_fault(chance, chance.choice(kinds)) for _ in range(faults)]


def _fault(chance: random.Random, kind: str) -> Fault:
    return Fault(
        after=chance.uniform(0.2, 3),
        kind=kind,
        target=chance.choice(TARGETS[kind]),
        seconds=chance.uniform(0.5, 6),
        step=chance.choice(AHEAD_STEPS if kind == "ahead" else CLOCK_STEPS),
    )
