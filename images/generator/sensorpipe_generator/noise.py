"""Normally distributed noise with random access to the values of any tick."""

import hashlib
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray


class Noise:
    """Standard normal values by (tick, device), the same for the same seed and names.

    A counter-based generator (Salmon et al.: "Parallel Random Numbers: As Easy as 1, 2, 3",
    2011): the key is a hash of the names, the tick is the counter's upper half, so the
    streams of two ticks never overlap. NumPy versions may compute other values from the same
    stream (NEP 19): to compute published values again, use the version that published them.
    """

    def __init__(self, *names: object) -> None:
        digest = hashlib.blake2b(repr(names).encode(), digest_size=16).digest()
        self._philox = Philox(key=np.frombuffer(digest, dtype="<u8").astype(np.uint64))
        self._generator = Generator(self._philox)
        self._state: Any = self._philox.state

    def at(self, tick: int, count: int) -> NDArray[np.float64]:
        """Return the values of devices 0 to count - 1; they do not depend on `count`."""
        # four times as fast as a new Philox for each tick
        self._state["state"]["counter"][:] = (0, 0, tick, 0)
        self._philox.state = self._state
        return self._generator.standard_normal(count)
