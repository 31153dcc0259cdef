"""The progress of a run in plain lines, for logs and pipes."""

from collections.abc import Iterator
from typing import Final

from sensorpipe_cli.client.figures import Figures, Snapshot
from sensorpipe_cli.views.formatting import by_reason, clock, rate

_STATUS_SECONDS: Final = 5.0
"""Time between two status lines."""


class StatusLines:
    """Turns snapshots into lines: every event, the links once, and a status line every 5 s."""

    def __init__(self) -> None:
        self._events_shown = 0
        self._links_shown = False
        self._status_at = 0.0

    def update(self, snapshot: Snapshot) -> Iterator[str]:
        """Return the lines that are new since the last snapshot."""
        yield from snapshot.events[self._events_shown :]
        self._events_shown = len(snapshot.events)
        if snapshot.elapsed and not self._links_shown:
            self._links_shown = True
            self._status_at = snapshot.elapsed
            yield from (f"{what}: {url}" for what, url in snapshot.links)
        if snapshot.elapsed - self._status_at >= _STATUS_SECONDS:
            self._status_at = snapshot.elapsed
            yield f"{clock(snapshot.elapsed)}: {status(snapshot.figures)}"


def status(figures: Figures) -> str:
    """Return the numbers of a run in one line."""
    totals = figures.totals
    with_windows = sum(1 for latest in figures.facilities.values() if latest and latest.windows)
    return (
        f"{rate(figures.rate)} readings/s, "
        f"{figures.published} published, {figures.stored} stored, "
        f"{f'{figures.others} of others, ' if figures.others else ''}{figures.windows} windows "
        f"of {with_windows} facilities, "
        f"lost {totals.lost if totals else '?'}, duplicates {totals.duplicates if totals else '?'}"
        f"{f', refused {by_reason(figures.refused)}' if figures.refused else ''}"
    )
