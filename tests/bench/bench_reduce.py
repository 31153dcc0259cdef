"""Part l: partials of few readings, made many at once and one by one."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from bench_result import Aim, Figure, Part
from sensorpipe_compactor.partials.encoding import LARGE, encode_partials
from sensorpipe_compactor.partials.slices import MAX_READINGS, slices
from sensorpipe_compactor.windowing.buffers import Portion, Window
from sensorpipe_runtime.service import tune_garbage_collection
from sensorpipe_schema.partial import Origin
from support.one_by_one import encode_one_by_one

WINDOWS = 500
ROUNDS = 20
FIRST = Origin("sensorpipe-compactor-0", 0x5E25_01D3_77AA_4C19, 100_000, 1_790_000_010_000)
START_MS = 1_790_000_000_000

AIMS = {(1, 1): 4.0, (3, 1): 9.0, (3, 10): 12.0, (3, 100): 35.0}
"""Most µs for a partial, by (sensors, readings of each)."""

SHAPES = [*AIMS, (1, LARGE // 3), (1, LARGE - 1), (1, LARGE), (1, 10 * LARGE)]
"""Sensors, and readings of each; from `LARGE` on, each sensor is reduced by itself."""

HOLD_MS = 50
"""Milliseconds for which the event loop may do nothing else."""


async def run(_: Path) -> list[Part]:
    """Make partials both ways, in turn, and look at the longest slices."""
    part = Part(
        "l. Partials from windows",
        f"A slice of up to {WINDOWS} windows, a source for each sensor, reduced and encoded; CPU "
        f"for a partial,\nthe least of {ROUNDS} rounds.",
    )
    tune_garbage_collection()
    for sensors, readings in SHAPES:
        some = next(slices(windows(sensors, readings, count=_count(sensors, readings))))
        at_once, one_by_one = _least_us(encode_partials, some), _least_us(encode_one_by_one, some)
        what = f"{sensors} x {readings:,}"
        part.figures.append(Figure(f"{what}, one by one", one_by_one, "µs"))
        if bound := AIMS.get((sensors, readings)):
            part.aims.append(Aim(f"{what}, at once (µs)", at_once, bound, at_most=True))
        else:
            part.figures.append(Figure(f"{what}, at once", at_once, "µs"))
    part.aims += [
        Aim(f"the longest slice of {text} (ms)", _longest_ms(some), HOLD_MS, at_most=True)
        for text, some in {
            "10 x 900": windows(10, 900, count=20),
            "100 x 1": windows(100, 1, count=100),
            "1 x 900 with times as seq": windows(1, 900, step=2, count=50),
            "1 x 900 of 600 orders of magnitude": windows(1, 900, count=50, value=_wild),
            "1 x 2,000 of 600 orders of magnitude": windows(1, 2_000, count=50, value=_wild),
        }.items()
    ]
    return [part]


def _count(sensors: int, readings: int) -> int:
    """Return so many windows that there is at least a slice."""
    return min(WINDOWS, MAX_READINGS // (sensors * readings) + 1)


def _usual(pick: random.Random) -> float:
    return pick.gauss(20, 2)


def _wild(pick: random.Random) -> float:
    return float(pick.choice((-1, 1)) * 10 ** pick.uniform(-300, 300))


def windows(
    sensors: int,
    readings: int,
    *,
    step: int = 1,
    count: int,
    value: Callable[[random.Random], float] = _usual,
) -> list[Window]:
    """Return so many windows; the same ones for the same numbers."""
    pick = random.Random(1)
    made = []
    for number in range(count):
        window = Window(f"facility-{number:06}", START_MS, START_MS + 10_000, 1, 0, late=False)
        for sensor in range(sensors):
            held = [value(pick) for _ in range(readings)]
            portion = Portion(f"sensor_{sensor}", f"gen-{number}-{sensor}", values=held)
            for place in range(readings):
                seq = START_MS + number + step * place
                portion.add_range(seq, seq)
            window.portions.append(portion)
        made.append(window)
    return made


def _longest_ms(some: list[Window]) -> float:
    return max(_least_us(encode_partials, one) * len(one) for one in slices(some)) / 1000


def _least_us(encode: Callable[[list[Window], Origin], list[bytes]], some: list[Window]) -> float:
    """Return the CPU µs that a partial takes."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        encode(some, FIRST)
        least = min(least, time.thread_time_ns() - began)
    return least / 1000 / len(some)
