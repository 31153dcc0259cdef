"""How long to wait before the next attempt."""

import random
from collections.abc import Callable


class Backoff:
    """Doubling delays with jitter, so that many clients do not retry at the same time.

    Delays are seconds. The upper limit of a delay is `first`, then doubles up to `longest`; a
    delay is drawn between the share `least` (0 to 1) of that limit and the limit.
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
        """Return the next delay in seconds."""
        delay = self._uniform(self._ceiling * self._least, self._ceiling)
        self._ceiling = min(self._ceiling * 2, self._longest)
        return delay

    def reset(self) -> None:
        """Start again with the shortest delays, as after a success."""
        self._ceiling = self._first


def retry_backoff() -> Backoff:
    """Return delays that grow from at most 0.1 s to between 2.5 and 5 s: data waits meanwhile."""
    return Backoff(longest=5.0, least=0.5)
