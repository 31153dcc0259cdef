"""Random partials of some facilities, with all that makes adding them up difficult."""

import random
from collections.abc import Iterator
from typing import Any

from sensorpipe_schema.partial import Origin, Partial, encode
from sensorpipe_server.storage.documents import date
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.store import Store
from support.server_parts import batch_of, summary


class Publishers:
    """Makes partials of random readings of some sources, which have gaps and duplicates."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._next: dict[tuple[str, str, str], int] = {}
        self._number = 0

    def partials(self, start: int, end: int, windows: int) -> Iterator[bytes]:
        """Yield partials of random windows in a range."""
        for _ in range(windows):
            at = self.random.randrange(start, end, 10_000)
            facility = self.random.choice(("hall_1", "hall_2"))
            for _ in range(self.random.choice((1, 1, 1, 2, 6))):
                yield self._partial(facility, at, itemized=self.random.random() < 0.1)

    def _partial(self, facility: str, at: int, *, itemized: bool) -> bytes:
        self._number += 1
        names = self.random.sample(("t", "u", "v"), self.random.choice((1, 1, 2)))
        sensors = {name: self._summary(facility, name, itemized=itemized) for name in names}
        origin = Origin("c", 7, self._number)
        return encode(Partial(facility, at, at + 10_000, origin, sensors, itemized))

    def _summary(self, facility: str, name: str, *, itemized: bool) -> Any:
        key = (facility, name, self.random.choice("ab"))
        seq = self._next.get(key, 1) + self.random.choice((0, 0, 0, 0, 1, -1, -2))
        readings = [(n, float(n * n % 89) - 11) for n in range(max(1, seq), max(1, seq) + 4)]
        self._next[key] = readings[-1][0] + 1
        found = summary(readings, key[2] if itemized or self.random.random() < 0.9 else None)
        if itemized:
            found.sources = {key[2]: [(n, n) for n, _ in readings]}
            found.values = {key[2]: [value for _, value in readings]}
        return found


def text(unix_ms: int) -> str:
    return date(unix_ms).isoformat().replace("+00:00", "Z")


async def put(db: database.Database, *messages: bytes) -> None:
    outcome = await Store(db, Past(db)).write(batch_of(*messages).partials)
    assert not outcome.refused
