"""One point in time on the two clocks that the compactor needs."""

from typing import NamedTuple


class Instant(NamedTuple):
    """One point in time, in milliseconds on two clocks.

    Readings are compared with the wall clock, which can be stepped; how long something
    has waited is measured on the monotonic clock, which cannot.
    """

    wall_ms: int
    """Unix time."""
    steady_ms: int
    """Monotonic time, from an arbitrary beginning."""
