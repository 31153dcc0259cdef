"""The run told in plain lines, for logs and pipes."""

from collections.abc import Iterator
from typing import Final

from sensorpipe_cli import words
from sensorpipe_cli.snapshot import Figures, PartState, Snapshot

_STATUS_SECONDS: Final = 5.0


class Teller:
    """Turns snapshots into lines: every change of state, and a status line every 5 s."""

    def __init__(self) -> None:
        self._phase = ""
        self._states: dict[str, str] = {}
        self._links_told = False
        self._status_at = 0.0

    def tell(self, snapshot: Snapshot) -> Iterator[str]:
        """Return what is new since the last snapshot."""
        yield from self._states_of(snapshot.parts)
        if snapshot.phase != self._phase:
            self._phase = snapshot.phase
            yield snapshot.phase
        if snapshot.elapsed and not self._links_told:
            self._links_told = True
            self._status_at = snapshot.elapsed
            yield from (f"{what}: {url}" for what, url in snapshot.links)
        if snapshot.elapsed - self._status_at >= _STATUS_SECONDS:
            self._status_at = snapshot.elapsed
            yield f"{words.clock(snapshot.elapsed)}: {status(snapshot.figures)}"

    def _states_of(self, parts: tuple[PartState, ...]) -> Iterator[str]:
        changed = [part for part in parts if self._states.get(part.name, "") != part.state]
        self._states.update((part.name, part.state) for part in changed)
        ready = [part for part in changed if part.state == "ready"]
        ended = [part for part in reversed(changed) if part.state in ("stopped", "failed")]
        yield from (f"{part.name}: ready at {part.address}" for part in ready)
        yield from (f"{part.name}: {part.state}" for part in ended)


def status(figures: Figures) -> str:
    """Return the figures in one line."""
    totals = figures.totals
    with_windows = sum(1 for latest in figures.facilities.values() if latest and latest.windows)
    return (
        f"{words.rate(figures.rate)} readings/s, "
        f"{figures.published} published, {figures.stored} stored, {figures.windows} windows "
        f"of {with_windows} facilities, "
        f"lost {totals.lost if totals else '?'}, duplicates {totals.duplicates if totals else '?'}"
    )
