"""What the compactor keeps in memory: readings in windows, by sensor and source."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sensorpipe_schema.intervals import Interval

from sensorpipe_compactor.windowing.source import SeqKind, Source

_COUNT: Final = SeqKind.COUNT

_FEW_PORTIONS: Final = 4
"""Portions of a window that are searched one by one."""


class Arrivals(list[Interval]):
    """The `seq` of readings as intervals, in the order in which they came."""

    __slots__ = ()

    def add_range(self, first: int, last: int) -> None:
        """Append the interval `first … last`."""
        if self and self[-1][1] + 1 == first:
            self[-1] = (self[-1][0], last)
        else:
            self.append((first, last))

    def split(self, count: int) -> tuple["Arrivals", "Arrivals"]:
        """Return the first `count` readings, and all others."""
        one, other = Arrivals(), Arrivals()
        for first, last in self:
            end = min(last, first + count - 1)
            if end >= first:
                one.add_range(first, end)
                count -= end - first + 1
            if end < last:
                other.add_range(end + 1, last)
        return one, other


class Portion(msgspec.Struct, gc=False, eq=False):
    """The readings of one sensor and source in one window."""

    sensor: str
    src: str | None
    """None for readings without identity."""
    sparse: bool = False
    """Whether gaps between its `seq` mean nothing."""
    values: list[float] = msgspec.field(default_factory=list)
    first: int = 0
    last: int = 0
    """The `seq` of the readings of its first run, or 0 as long as none has ended."""
    further: Arrivals | None = None
    """Those of further runs, if there are any."""
    unit: str = ""
    """The unit of the values; empty if it is not known."""
    source: Source | None = None
    """The source whose run goes on in it, if one does."""

    @property
    def intervals(self) -> Arrivals:
        """The `seq` of the readings, in the order of the values, as far as their run has ended.

        None where they have no identity.
        """
        return Arrivals([(self.first, self.last), *(self.further or ())] if self.last else ())

    def add_range(self, first: int, last: int) -> None:
        """Note that the next values are those of the `seq` from `first` to `last`."""
        if not self.last:
            self.first, self.last = first, last
        elif self.further is not None:
            self.further.add_range(first, last)
        elif first == self.last + 1:
            self.last = last
        else:
            self.further = Arrivals([(first, last)])


class Window(msgspec.Struct, gc=False, eq=False):
    """The readings of one facility and one window that came since the last flush."""

    facility: str
    start_ms: int
    end_ms: int
    first_number: int
    """Number of its first message: none from this one on is acknowledged before it is durable."""
    opened_ms: int
    """Time of its first reading, in ms of the monotonic clock."""
    late: bool
    """Whether the window had been closed before: these readings came late."""
    itemized: bool = False
    """Whether it holds readings that may be durable already, each to be written with its `seq`."""
    portions: list[Portion] = msgspec.field(default_factory=list)
    """One for each sensor and source: most windows have few."""
    index: dict[tuple[str, str | None], Portion] | None = None
    """By sensor and source, where there are many."""
    place: int = 0
    """Where it is among all open windows, see `OpenWindows`; -1 if it is handed out."""

    @property
    def count(self) -> int:
        """Number of readings held."""
        if len(self.portions) == 1:
            return len(self.portions[0].values)
        return sum([len(portion.values) for portion in self.portions])

    def by_sensor(self) -> Sequence[Sequence[Portion]]:
        """Return the readings of each sensor, by source."""
        if len(self.portions) == 1:
            return (self.portions,)
        sensors: dict[str, list[Portion]] = {}
        for portion in self.portions:
            sensors.setdefault(portion.sensor, []).append(portion)
        return list(sensors.values())

    def portion(self, source: Source) -> Portion:
        """Return the portion of a source, which may be a new one."""
        sensor, src, portions = source.sensor, source.src, self.portions
        if self.index is not None:
            found = self.index.get((sensor, src))
            if found is not None:
                return found
        else:
            for each in portions:
                if each.src == src and each.sensor == sensor:
                    return each
        made = Portion(sensor, src, source.kind is not _COUNT)
        portions.append(made)
        if self.index is not None:
            self.index[sensor, src] = made
        elif len(portions) > _FEW_PORTIONS:
            self.index = {(each.sensor, each.src): each for each in portions}
        return made


class Facility(msgspec.Struct, gc=False, eq=False):
    """A facility's event time and open windows, which no other facility's clock affects."""

    name: str
    lateness_ms: int
    """How long its windows wait after their end, in ms."""
    newest_ms: int = 0
    """A `ts` in ms that it has reached. It may be behind within a run, which ends where a window
    is to close."""
    closed_ms: int = 0
    """The end of the latest window closed, in ms of event time."""
    active_ms: int = 0
    """Time of its latest reading, in ms of the monotonic clock."""
    step: int = 0
    """When its windows are looked at next, see `TimingWheel`."""
    source_count: int = 0
    """Number of its sources that are remembered."""
    windows: dict[int, Window] = msgspec.field(default_factory=dict)
    """By start; itemized ones by its complement, `~start`."""
