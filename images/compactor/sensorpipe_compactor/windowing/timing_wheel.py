"""What is to be looked at when, however much there is: adding and looking cost the same.

Varghese and Lauck: "Hashed and Hierarchical Timing Wheels" (1987), scheme 4 with a slot for each
step of time that has something in it.
"""

from typing import Final, Generic, Protocol, TypeVar

STEP_MS: Final = 50
"""Milliseconds of one step: as often as the flush loop looks."""


class Timed(Protocol):
    """An item that knows the step at which it is looked at next; 0 if at none."""

    step: int


T = TypeVar("T", bound=Timed)


class TimingWheel(Generic[T]):
    """Items by the time at which they are to be looked at, in ms of the monotonic clock."""

    def __init__(self) -> None:
        self._slots: dict[int, list[T]] = {}
        self._past: list[T] = []
        """Items whose time had come already when they were added."""
        self._reached: int | None = None

    def add(self, item: T, at_ms: int) -> None:
        """Look at an item at this time, or up to 50 ms later, unless that is done sooner."""
        step = -(-at_ms // STEP_MS)
        if item.step and item.step <= step:
            return
        item.step = step
        if self._reached is not None and step <= self._reached:
            self._past.append(item)
            return
        slot = self._slots.get(step)
        if slot is None:
            self._slots[step] = [item]
        else:
            slot.append(item)

    def expired(self, now_ms: int) -> list[T]:
        """Remove and return the items whose time has come."""
        until = now_ms // STEP_MS
        if self._reached is None or until - self._reached > len(self._slots):
            steps = sorted(step for step in self._slots if step <= until)
        else:
            steps = list(range(self._reached + 1, until + 1))
        self._reached = until if self._reached is None else max(self._reached, until)
        items, self._past = self._past, []
        for step in steps:
            # one that was moved to an earlier step has been returned then
            items += [item for item in self._slots.pop(step, ()) if item.step == step]
        for item in items:
            item.step = 0
        return items
