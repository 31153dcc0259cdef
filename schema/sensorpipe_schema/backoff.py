"""How long to wait before trying again."""

import random
from collections.abc import Callable


class Backoff:
    """Doubling delays with jitter, so that a fleet does not come back in step.

    Brooker: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    def __init__(
        self,
        first: float = 0.1,
        longest: float = 10.0,
        least: float = 0.1,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._longest = longest
        self._least = least
        self._uniform = uniform
        self._ceiling = first

    def next(self) -> float:
        """Return the next delay in seconds, at least the share `least` of its ceiling."""
        delay = self._uniform(self._ceiling * self._least, self._ceiling)
        self._ceiling = min(self._ceiling * 2, self._longest)
        return delay

    def reset(self) -> None:
        """Begin again with short delays."""
        self._ceiling = self._first
