"""The windows that hold readings, and when each is to close: what that costs does not grow."""

import heapq
from collections import deque
from typing import Final
from zlib import crc32

from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.windowing.buffers import Facility, Window
from sensorpipe_compactor.windowing.places import Places
from sensorpipe_compactor.windowing.timing_wheel import TimingWheel

_LONGEST: Final = 2
"""Longest time that a window stays open, as a multiple of window and lateness. Otherwise a facility
whose event time stands still would keep it, and every PUBACK behind it, back."""

_NEVER: Final = 2**63

_MOST_LOOKED: Final = 5_000
"""Facilities that are looked at without a pause: most may turn out not to be due."""

_SPREAD: Final = 10
"""The part of a window's length, one tenth, over which the windows of many facilities close, so
that not all do at once."""

_SPREAD_BY: Final = 10
"""Facilities for each millisecond of that: a few close together."""


class OpenWindows:
    """All windows that are open, of all facilities. The caller says what time it is.

    A window is looked at when it may be due at the earliest, by what is known until then:
    readings that come meanwhile postpone that, and it is looked at again. Only event time that
    passes the end of a window brings it forward, and `reached` tells of that.
    """

    def __init__(self, window_ms: int, lateness_ms: int) -> None:
        self.late = 0
        """Readings of windows that had been closed before."""
        self._window_ms = window_ms
        self._lateness_ms = lateness_ms
        self._longest_ms = _LONGEST * (window_ms + lateness_ms)
        self._facilities: dict[str, Facility] = {}
        self._wheel: TimingWheel[Facility] = TimingWheel()
        self._expired: deque[Facility] = deque()
        """Facilities to be looked at now."""
        self._in_order: Places[Window] = Places()
        """By the number of the message that opened each: ascending, but for those in `_before`."""
        self._highest_number = 0
        self._before: list[tuple[int, int, Window]] = []
        """A heap of windows that got a lower number later, or were opened with one; some may be
        handed out already."""

    def __len__(self) -> int:
        return len(self._in_order)

    # Opening windows.

    def add_source(self, facility: str) -> Facility:
        """Return a facility, which has one more source from now on."""
        home = self._facilities.get(facility)
        if home is None:
            spread = min(self._window_ms // _SPREAD, len(self._facilities) // _SPREAD_BY)
            apart = crc32(facility.encode()) % (spread + 1)
            home = self._facilities[facility] = Facility(facility, self._lateness_ms + apart)
        home.source_count += 1
        return home

    def remove_source(self, facility: Facility) -> None:
        """Take note that one of its sources is forgotten."""
        facility.source_count -= 1
        self._forget_if_idle(facility)

    def window(
        self, facility: Facility, ts: int, number: int, now: Instant, horizon_ms: int
    ) -> Window:
        """Return the window of a reading, which its message `number` may open.

        It is itemized where `ts` is before `horizon_ms`.
        """
        start = ts - ts % self._window_ms
        key = ~start if ts < horizon_ms else start
        window = facility.windows.get(key)
        if window is None:
            return self._opened(facility, start, number, now, key)
        if number < window.first_number:  # it was ahead of our clock
            window.first_number = number
            self._note_before(window)
        return window

    def reached(self, facility: Facility, ts: int) -> int:
        """Take note of event time; return the next `ts` from which on it must be told again.

        That is the earliest one at which another of the facility's windows is to close.
        """
        if ts > facility.newest_ms:
            facility.newest_ms = ts
        following = ts + self._window_ms + facility.lateness_ms
        if len(facility.windows) == 1:  # that of the reading
            return following
        for window in facility.windows.values():
            closing = window.end_ms + facility.lateness_ms
            if closing <= ts:
                self._wheel.add(facility, window.opened_ms + facility.lateness_ms)
            elif closing < following:
                following = closing
        return following

    def _opened(
        self, facility: Facility, start: int, number: int, now: Instant, key: int
    ) -> Window:
        end, steady_ms = start + self._window_ms, now.steady_ms
        late = end <= facility.closed_ms
        window = Window(facility.name, start, end, number, steady_ms, late, key != start)
        for other in facility.windows.values():
            if other.start_ms > start:
                _stop_runs(other)  # they are to end where this one is to close
        facility.windows[key] = window
        facility.active_ms = steady_ms
        self._in_order.append(window)
        if number < self._highest_number:  # its message was ahead of our clock
            self._note_before(window)
        else:
            self._highest_number = number
        self._wheel.add(facility, self._due_at(facility, window, now))
        return window

    def _note_before(self, window: Window) -> None:
        heapq.heappush(self._before, (window.first_number, id(window), window))

    # Handing out windows.

    def lowest_number(self) -> int | None:
        """Return the lowest number of a message in a window; None if none is open."""
        window = self._lowest()
        return None if window is None else window.first_number

    @property
    def is_behind(self) -> bool:
        """Whether `take_due` has not looked at all that was to be looked at."""
        return bool(self._expired)

    def take_due(self, now: Instant, most: int) -> list[Window]:
        """Remove and return windows that time has closed, at most `most`.

        There may be more, also if there are none: see `is_behind`.
        """
        self._expired.extend(self._wheel.expired(now.steady_ms))
        taken: list[Window] = []
        looked = 0
        while self._expired and len(taken) < most and looked < _MOST_LOOKED:
            looked += 1
            facility = self._expired[0]  # many have none: an early flush has taken them
            if not facility.windows or self._take_due_of(facility, now, taken, most):
                self._expired.popleft()
        return taken

    def take_oldest(self, most: int, through: int) -> list[Window]:
        """Remove and return the windows with the lowest numbers up to `through`, at most `most`.

        Those that are not closed go on as new ones.
        """
        taken: list[Window] = []
        while len(taken) < most:
            window = self._lowest()
            if window is None or window.first_number > through:
                break
            self._remove(self._facilities[window.facility], window)
            taken.append(window)
        return taken

    def _take_due_of(
        self, facility: Facility, now: Instant, taken: list[Window], most: int
    ) -> bool:
        """Take the windows of a facility that are due; return whether these were all of them."""
        steady_ms, next_ms = now.steady_ms, _NEVER
        for window in tuple(facility.windows.values()):
            due_ms = self._due_at(facility, window, now)
            longest_ms = window.opened_ms + self._longest_ms
            if due_ms > steady_ms and longest_ms > steady_ms:
                next_ms = min(due_ms, longest_ms, next_ms)
            elif len(taken) == most:
                return False
            else:
                if due_ms <= steady_ms and window.end_ms > facility.closed_ms:
                    facility.closed_ms = window.end_ms  # else it is not closed: it goes on as new
                self._remove(facility, window)
                taken.append(window)
        if next_ms < _NEVER:
            self._wheel.add(facility, next_ms)
        return True

    def _due_at(self, facility: Facility, window: Window, now: Instant) -> int:
        """Return when a window is due, on the monotonic clock, if nothing more comes.

        Event time has passed it, or the facility has fallen silent.
        """
        lateness_ms = facility.lateness_ms
        silent_ms, ended_ms = facility.active_ms + lateness_ms, window.end_ms + lateness_ms
        due_ms = ended_ms - now.wall_ms + now.steady_ms
        if due_ms < silent_ms:
            due_ms = silent_ms
        elif due_ms > silent_ms + self._window_ms:
            due_ms = silent_ms + self._window_ms
        if facility.newest_ms >= ended_ms and window.opened_ms + lateness_ms < due_ms:
            # a late window waits, too, for what else comes late
            due_ms = window.opened_ms + lateness_ms
        return due_ms

    def _lowest(self) -> Window | None:
        first, before = self._in_order.first(), self._before
        while before and (before[0][2].place < 0 or before[0][2].first_number != before[0][0]):
            heapq.heappop(before)
        if before and first is not None and before[0][0] < first.first_number:
            return before[0][2]
        return first

    def _remove(self, facility: Facility, window: Window) -> None:
        del facility.windows[~window.start_ms if window.itemized else window.start_ms]
        self._in_order.remove(window)
        _stop_runs(window)
        if window.late:
            self.late += window.count
        if not facility.source_count:
            self._forget_if_idle(facility)

    def _forget_if_idle(self, facility: Facility) -> None:
        if not facility.source_count and not facility.windows:
            self._facilities.pop(facility.name, None)


def _stop_runs(window: Window) -> None:
    for portion in window.portions:
        source = portion.source
        if source is not None:
            source.stop()
