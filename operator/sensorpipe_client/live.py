"""The state of a live stream, without any I/O: where it goes on, and what was missed."""

from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

import httpx2
import msgspec

from sensorpipe_client.answers import Facility, Window, window_of
from sensorpipe_client.calls import Attempts, Outcome, Retries
from sensorpipe_client.errors import AnswerError
from sensorpipe_client.requests import Names, names_in

_WINDOW: Final = "window"
_GAP: Final = "gap"
_OPEN_WINDOWS: Final = 6
"""Number of windows before the newest one to which readings may still have been added."""

RETRIES: Final = Retries(times=100, seconds=600)
"""How long a live stream goes on without its server, unless said otherwise."""


class Gap(NamedTuple):
    """Events that the server could not keep: what was stored meanwhile has to be read."""

    reason: str


class LiveState:
    """What has come of a live stream of some facilities."""

    def __init__(self, facilities: Names, retries: Retries) -> None:
        self.last_id = ""
        """The id of the last event; "" before the first one."""
        self._retries = retries
        self._attempts = Attempts(retries)
        self._patterns = names_in(facilities)
        self._newest: dict[str, datetime] = {}
        self._began: datetime | None = None

    def connected(self, now: datetime) -> None:
        """Note that the stream was opened at this time, by the server's clock."""
        if self._began is None:
            self._began = now

    def take(self, event: httpx2.ServerSentEvent, url: str) -> Window | Gap | None:
        """Return what an event says; None if nothing that is known. Raise AnswerError.

        Any event, such as a heartbeat, shows that the stream works; a connection does not.
        """
        self._attempts = Attempts(self._retries)
        found: Window | Gap | None = None
        try:
            if event.event == _WINDOW:
                found = window_of(msgspec.json.decode(event.data, type=dict))
            elif event.event == _GAP:
                found = Gap(str(msgspec.json.decode(event.data, type=dict).get("reason", "")))
        except msgspec.MsgspecError as error:
            raise AnswerError(url, f"not an event of a sensorpipe server: {error}") from error
        if not event.id.isascii():
            raise AnswerError(url, "not an event of a sensorpipe server: its id is not ASCII")
        self.last_id = event.id or self.last_id
        if isinstance(found, Window):
            self.note(found)
        return found

    def note(self, window: Window) -> None:
        """Note that a window was passed on."""
        newest = self._newest.get(window.facility)
        if newest is None or newest < window.start:
            self._newest[window.facility] = window.start

    def since(self, facility: Facility) -> datetime | None:
        """Return from where on a facility's windows have to be read after a gap.

        That is some windows before the newest one that was passed on, or else before the stream
        was opened: these may have been open still.
        """
        newest = self._newest.get(facility.name, self._began)
        span = facility.last_window
        return newest and newest - _OPEN_WINDOWS * (span.end - span.start)

    def includes(self, facility: str) -> bool:
        """Whether the stream is of this facility."""
        patterns = self._patterns
        return not patterns or any(fnmatchcase(facility, each) for each in patterns)

    def pause_after(self, outcome: Outcome) -> float:
        """Return the seconds until the stream is opened again; raise ClientError if it is not."""
        return self._attempts.pause_after(outcome)


def check_stream(url: str, headers: Mapping[str, str]) -> None:
    """Raise AnswerError unless an answer is a stream of events."""
    if not headers.get("content-type", "").startswith("text/event-stream"):
        raise AnswerError(url, "not a stream of events of a sensorpipe server")
