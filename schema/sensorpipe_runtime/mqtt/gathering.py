"""How long to wait between two reads of a connection, so that each finds enough: pure."""

from typing import Final

LONGEST_SECONDS: Final = 0.04
SHORTEST_SECONDS: Final = 0.01
"""Bounds of a pause. One by one, messages cost several times as much for waking up as for what is
done with them."""

ENOUGH_BYTES: Final = 48 * 1024
"""Bytes of a read from which on the next pause is half as long, and below half of which it is twice
as long. The kernel keeps somewhat more for us, by default; while that is full, the broker stands
still. Where even the shortest pause brings so many, there is a backlog (50,000 readings a second,
of 95 bytes). Then there is no pause: Mosquitto takes half as long again for each message once it
has found the connection full."""

FEW_BYTES: Final = 128 * 1024
"""Bytes in the time of the longest pause below which a backlog is over."""


class Gathering:
    """The pause after each read, by how much the reads before have brought."""

    def __init__(self) -> None:
        self._seconds = SHORTEST_SECONDS
        """The pause; 0 with a backlog."""
        self._period_ends = 0.0
        self._bytes = 0
        """Bytes of this period."""

    def pause(self, read: int, now: float) -> float:
        """Return for how many seconds to wait after a read of so many bytes, at `now` in seconds.

        A backlog is over when a period in which something came had few: a broker makes pauses,
        too, while it waits for acknowledgements.
        """
        if now >= self._period_ends:
            if not self._seconds and self._bytes < FEW_BYTES:
                self._seconds = SHORTEST_SECONDS
            self._bytes, self._period_ends = 0, now + LONGEST_SECONDS
        self._bytes += read
        if not self._seconds:
            return 0.0
        if read >= ENOUGH_BYTES:
            shorter = self._seconds / 2
            self._seconds = shorter if shorter >= SHORTEST_SECONDS else 0.0
        elif read < ENOUGH_BYTES / 2:
            self._seconds = min(2 * self._seconds, LONGEST_SECONDS)
        return self._seconds
