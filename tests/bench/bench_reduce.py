"""Part l: partials of few readings, made many at once and one by one."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from bench_result import Aim, Figure, Part
from sensorpipe_compactor.buffers import Portion, Window
from sensorpipe_compactor.partials.encoding import LARGE, encode_partials
from sensorpipe_compactor.partials.slices import slices
from sensorpipe_runtime.service import tune_garbage_collection
from sensorpipe_schema.partial import Origin
from support.one_by_one import encode_one_by_one

WINDOWS = 500
ROUNDS = 20
FIRST = Origin("sensorpipe-compactor-0", 0x5E25_01D3_77AA_4C19, 100_000, 1_790_000_010_000)
START_MS = 1_790_000_000_000

AIMS = {(1, 1): 4.0, (3, 1): 9.0, (3, 10): 12.0, (3, 100): 35.0}
"""Most µs for a partial, by (sensors, readings of each)."""

SHAPES = [*AIMS, (1, LARGE), (1, 10 * LARGE)]
"""Sensors, and readings of each; those from `LARGE` on are reduced one by one in both cases."""

HOLD_MS = 50
"""Milliseconds for which the event loop may do nothing else."""


async def run(_: Path) -> list[Part]:
    """Make partials both ways, in turn, and look at the longest slices."""
    part = Part(
        "l. Partials from windows",
        f"Up to {WINDOWS} windows of a source for each sensor, reduced and encoded; CPU µs for a "
        f"partial,\nthe least of {ROUNDS} rounds in turn.",
    )
    tune_garbage_collection()
    for sensors, readings in SHAPES:
        some = windows(sensors, readings)
        at_once, one_by_one = _least_us(encode_partials, some), _least_us(encode_one_by_one, some)
        what = f"{sensors} x {readings:,}"
        part.figures.append(Figure(f"{what}, one by one", one_by_one, "µs"))
        if bound := AIMS.get((sensors, readings)):
            part.aims.append(Aim(f"{what}, at once (µs)", at_once, bound, at_most=True))
        else:
            part.figures.append(Figure(f"{what}, at once", at_once, "µs"))
    for text, some in (
        ("10 sensors x 900", windows(10, 900, count=20)),
        ("100 sensors x 1", windows(100, 1, count=100)),
        ("1 x 900, each with a time as seq", windows(1, 900, step=2, count=50)),
    ):
        longest = max(_least_us(encode_partials, one) * len(one) for one in slices(some))
        aim = Aim(f"the longest slice of {text} (ms)", longest / 1000, HOLD_MS, at_most=True)
        part.aims.append(aim)
    return [part]


def windows(sensors: int, readings: int, *, step: int = 1, count: int = WINDOWS) -> list[Window]:
    """Return windows of 50,000 readings at most, or so many; the same ones for the same numbers."""
    pick = random.Random(1)
    made = []
    for number in range(min(count, max(5, 50_000 // (sensors * readings)))):
        end = START_MS + 10_000
        window = Window(f"facility-{number:06}", START_MS, end, 1, 0, late=False)
        for sensor in range(sensors):
            held = [pick.gauss(20, 2) for _ in range(readings)]
            portion = Portion(f"sensor_{sensor}", f"gen-{number}-{sensor}", values=held)
            for place in range(readings if step > 1 else 1):
                seq = 10_000 + number + step * place
                portion.add_range(seq, seq if step > 1 else seq + readings - 1)
            window.portions.append(portion)
        made.append(window)
    return made


def _least_us(encode: Callable[[list[Window], Origin], list[bytes]], some: list[Window]) -> float:
    """Return the CPU µs that a partial takes."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        encode(some, FIRST)
        least = min(least, time.thread_time_ns() - began)
    return least / 1000 / len(some)
