"""How far back a new start must read: whatever a broker may still send again.

Acknowledgements go out in the order of receipt. So within one epoch, only the
partials made during the last messages received can hold a reading that the
broker has not got acknowledged: as many as it can have in flight. MQTT says
65,535, but Mosquitto 2.0.11 exceeds that, and sends on until our sockets are
full; so eight times as many are read back, which is more than we ever hold. An
epoch that received twice that many has seen everything settled that the epochs
before it left open: nothing older is needed.
"""

from typing import Final

from sensorpipe_schema.partial import REPEATABLE, Origin

SETTLING: Final = 2 * REPEATABLE


class Horizon:
    """Collects the origins of our own messages and says which of them are too old to matter."""

    def __init__(self) -> None:
        self._received: dict[int, int] = {}

    @property
    def last_epoch(self) -> int:
        """The highest epoch seen; 0 if none."""
        return max(self._received, default=0)

    @property
    def since(self) -> int:
        """The last epoch that settled all epochs before it; 0 if none is known."""
        settled = [epoch for epoch, received in self._received.items() if received >= SETTLING]
        return max(settled, default=0)

    def add(self, origin: Origin) -> None:
        """Take note of one own message, partial or fence."""
        self._received[origin.epoch] = max(self._received.get(origin.epoch, 0), origin.received)

    def is_beyond(self, origin: Origin) -> bool:
        """Whether nothing that lies before this message in its partition can matter.

        A message of an earlier epoch is no sign of that: a former instance may
        have written it late. Every partition has a fence of each epoch, where
        the search ends at the latest.
        """
        since = self.since
        if not since or origin.epoch != since:
            return False
        return origin.received < self._received[since] - REPEATABLE
