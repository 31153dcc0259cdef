"""Asks the server and the generators how the run is doing, about once a second."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Iterable
from typing import Final

from sensorpipe_cli import api
from sensorpipe_cli.ask import AskError, get
from sensorpipe_cli.pipeline import Part, State
from sensorpipe_cli.snapshot import Figures, Rate

_PERIOD_SECONDS: Final = 1.0
_INTEGRITY_SHARE: Final = 10
"""The integrity, which reads all that is stored, takes at most one part in so many of the time."""

_PUBLISHED: Final = "sensorpipe_generator_published_total"
_GIVEN_UP: Final = "sensorpipe_generator_given_up_total"


class Poller:
    """Keeps `figures` fresh; what does not answer keeps its last figures."""

    def __init__(self, server: str, generators: list[Part], facilities: Iterable[str]) -> None:
        self.figures = Figures(facilities=dict.fromkeys(facilities))
        self._server = server
        self._generators = generators
        self._counters = {part.name: (0, 0) for part in generators}
        self._rate = Rate()
        self._before: frozenset[api.Key] = frozenset()
        self._integrity_due = 0.0

    async def baseline(self) -> None:
        """Note which sources the store has already, none of which is ours; raise AskError."""
        integrity = await asyncio.to_thread(api.integrity, self._server)
        self._before = frozenset(row.key for row in integrity.data)
        self._judge(integrity)

    async def forever(self) -> None:
        """Refresh the figures until cancelled."""
        while True:
            await self.counters()
            if time.monotonic() >= self._integrity_due:
                await self.integrity()
            await self.windows()
            await asyncio.sleep(_PERIOD_SECONDS)

    async def counters(self) -> None:
        """Refresh what the generators count."""
        for part in self._generators:
            if part.state is not State.READY:
                continue  # its port may be another process's by now
            try:
                text = (await asyncio.to_thread(get, f"{part.address}/metrics")).decode()
            except AskError:
                continue
            self._counters[part.name] = api.metric(text, _PUBLISHED), api.metric(text, _GIVEN_UP)
        self._sum()

    def final_counters(self) -> None:
        """Take the figures from the generators' last words, now that they have ended."""
        for part in self._generators:
            published, given_up = self._counters[part.name]
            last = last_words(part.child.tail(50))
            self._counters[part.name] = (
                max(published, last.get("published", 0)),
                max(given_up, last.get("given_up", 0)),
            )
        self._sum()

    async def integrity(self) -> bool:
        """Refresh the totals; False if the server did not say."""
        began = time.monotonic()
        try:
            integrity = await asyncio.to_thread(api.integrity, self._server)
        except AskError:
            return False
        finally:
            now = time.monotonic()
            self._integrity_due = now + _INTEGRITY_SHARE * (now - began)
        self._judge(integrity)
        return True

    async def windows(self) -> None:
        """Refresh the newest window of each facility."""
        try:
            found = dict.fromkeys(await asyncio.to_thread(api.facilities, self._server))
            known = self.figures.facilities
            facilities = {name: known.get(name) for name in [*known, *found]}
            for name in found:
                facilities[name] = await asyncio.to_thread(api.latest, self._server, name)
        except AskError:
            return
        self._update(facilities=facilities)

    def _judge(self, integrity: api.Integrity) -> None:
        ours = (row.count for row in integrity.data if row.key not in self._before)
        self._update(totals=integrity.totals, stored=sum(ours))

    def _sum(self) -> None:
        published = sum(published for published, _ in self._counters.values())
        self._update(
            published=published,
            given_up=sum(given_up for _, given_up in self._counters.values()),
            rate=self._rate.observe(time.monotonic(), published),
        )

    def _update(self, **changes: object) -> None:
        self.figures = dataclasses.replace(self.figures, **changes)  # type: ignore[arg-type]


def last_words(log: str) -> dict[str, int]:
    """Return the whole numbers of the last JSON line that says how many were published."""
    for line in reversed(log.splitlines()):
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and type(fields.get("published")) is int:
            return {key: value for key, value in fields.items() if type(value) is int}
    return {}
