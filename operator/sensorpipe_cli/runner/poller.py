"""Polls the server and the generators of a run, about once a second."""

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import Iterable
from typing import Final

from sensorpipe_cli.client import api
from sensorpipe_cli.client.figures import Figures, Rate
from sensorpipe_cli.client.http import RequestError, get
from sensorpipe_cli.runner.pipeline import Part, State

_PERIOD_SECONDS: Final = 1.0
"""Time between two polls."""
_INTEGRITY_SHARE: Final = 10
"""Integrity requests, which read everything stored, take at most 1/10 of the time."""

_PUBLISHED: Final = "sensorpipe_generator_published_total"
_GIVEN_UP: Final = "sensorpipe_generator_given_up_total"
_REFUSED: Final = "sensorpipe_compactor_dead_letters_total"
_STARTED: Final = "Generator started"


class Poller:
    """Keeps `figures` up to date; while a process does not answer, its last numbers are kept."""

    def __init__(
        self,
        server: str,
        generators: list[Part],
        facilities: Iterable[str],
        compactor: Part | None = None,
    ) -> None:
        self._compactor = compactor
        self.figures = Figures(facilities=dict.fromkeys(facilities))
        self._server = server
        self._generators = generators
        self._counters = {part.name: (0, 0) for part in generators}
        self._srcs: dict[str, str] = {}
        """The `src` of each generator whose log has named it, by the name of its process."""
        self._rate = Rate()
        self._before: dict[api.Key, int] = {}
        self._unidentified_before = 0
        self._set_aside_before = api.SetAside()
        self._integrity_due = 0.0

    async def baseline(self) -> None:
        """Record the sources and dead letters of earlier runs; raise RequestError."""
        integrity = await asyncio.to_thread(api.integrity, self._server)
        self._before = {row.key: row.count for row in integrity.data}
        self._unidentified_before = integrity.totals.unidentified
        self._set_aside_before = integrity.set_aside.filled(self.figures.set_aside)
        self._update(set_aside=api.SetAside())
        self._update_integrity(integrity)

    async def forever(self) -> None:
        """Refresh the figures until cancelled."""
        while True:
            await self.counters()
            await self.refusals()
            if time.monotonic() >= self._integrity_due:
                await self.integrity()
            await self.windows()
            await asyncio.sleep(_PERIOD_SECONDS)

    async def counters(self) -> None:
        """Refresh the numbers of published and given-up readings."""
        for part in self._generators:
            if part.state is not State.READY:
                continue  # its port may be another process's by now
            try:
                text = (await asyncio.to_thread(get, str(part.metrics_url))).decode()
            except RequestError:
                continue
            self._counters[part.name] = (
                api.counter_total(text, _PUBLISHED),
                api.counter_total(text, _GIVEN_UP),
            )
        self._sum()

    async def refusals(self) -> None:
        """Refresh the numbers of messages that the compactor refused, by reason."""
        compactor = self._compactor
        if compactor is None or compactor.state is not State.READY:
            return
        with contextlib.suppress(RequestError):
            text = (await asyncio.to_thread(get, str(compactor.metrics_url))).decode()
            self._update(refused=api.counts_by_label(text, _REFUSED, "reason"))

    def final_counters(self) -> None:
        """Read the final counts from the logs of the exited generators."""
        for part in self._generators:
            published, given_up = self._counters[part.name]
            last = parse_final_counters(part.child.tail(50))
            self._counters[part.name] = (
                max(published, last.get("published", 0)),
                max(given_up, last.get("given_up", 0)),
            )
        self._sum()

    async def integrity(self) -> bool:
        """Refresh the totals; return False if the server gave no usable answer."""
        began = time.monotonic()
        try:
            integrity = await asyncio.to_thread(api.integrity, self._server)
        except RequestError:
            return False
        finally:
            now = time.monotonic()
            self._integrity_due = now + _INTEGRITY_SHARE * (now - began)
        self._update_integrity(integrity)
        return True

    async def windows(self) -> None:
        """Refresh the newest window of each facility."""
        try:
            found = dict.fromkeys(await asyncio.to_thread(api.facilities, self._server))
            known = self.figures.facilities
            facilities = {name: known.get(name) for name in [*known, *found]}
            for name in found:
                facilities[name] = await asyncio.to_thread(api.latest, self._server, name)
        except RequestError:
            return
        self._update(facilities=facilities)

    def _update_integrity(self, integrity: api.Integrity) -> None:
        srcs = self._own_srcs()
        own = sum(row.count for row in integrity.data if row.src in srcs)
        others = integrity.totals.unidentified - self._unidentified_before
        for row in integrity.data:
            if row.src not in srcs:
                others += row.count - self._before.get(row.key, 0)
        aside = integrity.set_aside.since(self._set_aside_before).filled(self.figures.set_aside)
        self._update(totals=integrity.totals, stored=own, others=max(0, others), set_aside=aside)

    def _own_srcs(self) -> set[str]:
        """Return the `src` of the generators, which are new at each start."""
        for part in self._generators:
            if part.name not in self._srcs and (src := parse_src(part.child.head(50))):
                self._srcs[part.name] = src
        return set(self._srcs.values())

    def _sum(self) -> None:
        published = sum(published for published, _ in self._counters.values())
        self._update(
            published=published,
            given_up=sum(given_up for _, given_up in self._counters.values()),
            rate=self._rate.observe(time.monotonic(), published),
        )

    def _update(self, **changes: object) -> None:
        self.figures = dataclasses.replace(self.figures, **changes)  # type: ignore[arg-type]


def parse_src(log: str) -> str | None:
    """Return the `src` that a generator names in the JSON line of its start; None without one."""
    for line in log.splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("message") == _STARTED:
            src = fields.get("src")
            return src if isinstance(src, str) else None
    return None


def parse_final_counters(log: str) -> dict[str, int]:
    """Return the integer fields of the last JSON log line with a `published` count."""
    for line in reversed(log.splitlines()):
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        if isinstance(fields, dict) and type(fields.get("published")) is int:
            return {key: value for key, value in fields.items() if type(value) is int}
    return {}
