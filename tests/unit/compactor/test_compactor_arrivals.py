"""Simulated arrivals: our clock, sources that are late, and one whose clock is wrong."""

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_schema.reading import MAX_AHEAD_MS, Reading
from support.window_parts import NOW, buckets, of, take_all, when, windows

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SIMULATED = 5 * MINUTE
JITTER = 2_000
"""Milliseconds that readings of a punctual source may take."""

SLACK = 10_000
"""Milliseconds from the first reading until each source has sent one."""


@dataclass(frozen=True)
class Simulated:
    """A source that sends a reading each `period` ms from `begin` on."""

    src: str
    period: int
    begin: int
    wrong: int = 0
    """Milliseconds by which its clock is ahead of the true time."""
    late: int = 0
    """Milliseconds by which its first reading is late."""
    catching_up: float = 0
    """Milliseconds that it catches up in each, until it is punctual."""

    def readings(self) -> Iterator[tuple[int, Reading]]:
        """Yield when each reading comes, in ms after the start, and the reading.

        Its value is its `ts`, likewise in ms after the start.
        """
        for seq, at in enumerate(range(self.begin, SIMULATED, self.period), start=1):
            late = max(0, self.late - int(self.catching_up * at))
            jitter = seq * 7_919 % JITTER
            ts = at + self.wrong - max(late, jitter)
            yield at, Reading(NOW + ts, float(ts), self.src, seq)


@dataclass
class Outcome:
    """What became of simulated readings."""

    dead: set[str]
    """Sources of dead letters."""
    held: set[str]
    """Sources of readings that wait for our clock at the end."""
    certain: dict[str, float]
    """By source: the lowest `ts` that counts as certain, in ms after the start."""


def simulate(sources: list[Simulated], behind: int) -> Outcome:
    """Run the windows of a start that Kafka told nothing, with a clock `behind` the true time."""
    due: list[list[Reading]] = [[] for _ in range(0, SIMULATED, SECOND)]
    for one in sources:
        for at, reading in one.readings():
            due[at // SECOND].append(reading)
    taken = windows()
    taken.horizon = Horizon(is_known=False)
    outcome, before = Outcome(set(), set(), {}), 0
    for second, readings in enumerate(due):
        now = when(NOW + second * SECOND, -behind)
        taken.add([of(reading, reading.src or "") for reading in readings], before, now)
        before += len(readings)
        taken.judge_ahead(now)
        for window in take_all(taken):
            lowest = min(value for bucket in buckets(window).values() for value in bucket.values)
            if not window.itemized:
                known = outcome.certain.get(window.facility, lowest)
                outcome.certain[window.facility] = min(known, lowest)
        outcome.dead |= {letter.topic.split("/")[1] for letter in taken.take_dead_letters()}
    outcome.held = {each.message.topic.split("/")[1] for each in taken.ahead}
    return outcome


def punctual(number: int) -> st.SearchStrategy[Simulated]:
    """Return a source with the right time that sends its readings as it takes them."""
    period, begin = st.integers(1_000, 8_000), st.integers(0, SLACK - 1)
    return st.builds(Simulated, st.just(f"right{number}"), period, begin)


@st.composite
def odd(draw: st.DrawFn, count: int, behind: int) -> list[Simulated]:
    """Return sources that are late, often by as much as our clock is behind, and one that lies."""
    found = []
    for number in range(count):
        late = draw(st.one_of(st.just(max(behind, 0)), st.integers(0, 3 * HOUR)), label="late")
        found.append(
            Simulated(
                f"late{number}",
                draw(st.integers(1_000, 8_000)),
                draw(st.integers(0, SLACK - 1)),
                late=late,
                catching_up=draw(st.sampled_from([0, 0, 1, 20, 200])),
            )
        )
    lies = draw(st.booleans(), label="one lies")
    if found and lies:
        wrong = draw(
            st.one_of(st.just(-behind), st.integers(-3 * HOUR, 8_760 * HOUR)), label="wrong"
        )
        found[0] = Simulated("wrong", found[0].period, found[0].begin, wrong=wrong)
    return found


@st.composite
def worlds(draw: st.DrawFn, behind: st.SearchStrategy[int]) -> tuple[list[Simulated], int]:
    """Return sources of which most are right and punctual, and how far our clock is behind."""
    by = draw(behind, label="behind")
    right = draw(st.integers(2, 5), label="right")
    others = draw(odd(draw(st.integers(0, right - 1)), by))
    return [*(draw(punctual(number)) for number in range(right)), *others], by


@given(worlds(st.integers(-30 * MINUTE, 20 * SECOND)))
@settings(max_examples=60, deadline=None)
def test_a_clock_that_most_sources_agree_with_stops_nobody(world: tuple[list[Simulated], int]):
    outcome = simulate(*world)
    note(str(outcome))
    assert outcome.dead <= {"wrong"}
    assert not outcome.held
    if world[1] >= -MINUTE:  # a clock that is ahead has its horizon as far ahead
        assert any(src.startswith("right") for src in outcome.certain)


@given(worlds(st.integers(2 * MINUTE, 3 * HOUR)))
@settings(max_examples=60, deadline=None)
@example(
    (
        [
            Simulated("right0", 1_000, 5_000),
            Simulated("right1", 1_000, 6_000),
            Simulated("late0", 1_000, 0, late=HOUR),
        ],
        HOUR,
    )
)
def test_a_clock_behind_most_sources_costs_no_reading_and_is_not_confirmed(
    world: tuple[list[Simulated], int],
):
    """What former runs took ends a minute after the start: nothing before that is certain."""
    sources, behind = world
    outcome = simulate(sources, behind)
    note(str(outcome))
    assert outcome.dead <= {"wrong"}
    assert {one.src for one in sources if one.src.startswith("right")} <= outcome.held
    assert all(ts > MAX_AHEAD_MS for ts in outcome.certain.values())
