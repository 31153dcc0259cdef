"""Contenders doing the same work in turn, and the table of what each took."""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median

REPEATS = 10

Work = Callable[[], Awaitable[int]]
"""Does an operation many times; returns how many."""


@dataclass
class Contest:
    """One operation by several contenders; the first is what this project uses."""

    title: str
    contenders: dict[str, Work]
    before: Callable[[], Awaitable[object]] | None = None
    """Runs before each work, outside the measurement."""
    runs: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """For each operation: µs by the clock, and of CPU of all threads of this process."""

    async def hold(self) -> None:
        """Measure all in turn, to and fro, once to warm up and then REPEATS times."""
        order = list(self.contenders.items())
        for turn in range(REPEATS + 1):
            order.reverse()
            for name, work in order:
                if self.before is not None:
                    await self.before()
                wall, cpu = time.perf_counter(), time.process_time()
                done = await work() / 1e6
                taken = (time.perf_counter() - wall) / done, (time.process_time() - cpu) / done
                if turn:
                    self.runs[name].append(taken)

    def text(self) -> str:
        """Return the medians, how many times the first one's they are, and the CPU's range."""
        head = f"{'wall µs':>10}{'ratio':>7}{'CPU µs':>10}{'ratio':>7}{'all runs':>14}"
        lines = [f"\n{self.title:44}{head}"]
        first = self._medians(next(iter(self.contenders)))
        for name in self.contenders:
            pairs = zip(self._medians(name), first, strict=True)
            figures = "".join(f"{us:10,.1f}{us / of:7.2f}" for us, of in pairs)
            cpu = [run[1] for run in self.runs[name]]
            lines.append(f"  {name:42}{figures}{f'{min(cpu):,.0f}-{max(cpu):,.0f}':>14}")
        return "\n".join(lines)

    def _medians(self, name: str) -> list[float]:
        return [median(column) for column in zip(*self.runs[name], strict=True)]
