from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sensorpipe_schema.intervals import IntervalSet, join
from support.exact_audit import ExactAudit
from support.examples import examples

numbers = st.integers(1, 60)
intervals = st.tuples(numbers, st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair)))


def members(held) -> list[int]:
    return [number for first, last in held for number in range(first, last + 1)]


class AsAPlainSet(RuleBasedStateMachine):
    """Whatever is done to an IntervalSet, it holds what a plain set would hold."""

    def __init__(self) -> None:
        super().__init__()
        self.real = IntervalSet()
        self.model: set[int] = set()

    @rule(number=numbers)
    def add(self, number):
        assert self.real.add(number) == (number not in self.model)
        self.model.add(number)

    @rule(interval=intervals)
    def add_range(self, interval):
        self.real.add_range(*interval)
        self.model.update(members([interval]))

    @precondition(lambda self: self.model)
    @rule()
    def add_the_next(self):
        self.real.add(self.real.top + 1)
        self.model.add(max(self.model) + 1)

    @precondition(lambda self: self.model)
    @rule(count=st.integers(1, 3))
    def forget_lowest(self, count):
        self.model.difference_update(members(list(self.real)[:count]))
        self.real.forget_lowest(count)

    @rule()
    def rebuild(self):
        self.real = IntervalSet(self.real)

    @rule(number=numbers)
    def contains(self, number):
        assert (number in self.real) == (number in self.model)

    @invariant()
    def same_members_in_as_few_intervals_as_can_be(self):
        held = list(self.real)
        assert members(held) == sorted(self.model)
        assert len(held) == len(self.real)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(held))
        assert self.real.top == max(self.model, default=0)


TestIntervalSet = AsAPlainSet.TestCase
TestIntervalSet.settings = settings(examples(60), stateful_step_count=40)


def test_a_source_in_order_costs_one_interval():
    held = IntervalSet()
    for number in range(1, 10_001):
        assert held.add(number)
    assert list(held) == [(1, 10_000)]
    assert repr(held) == "IntervalSet([(1, 10000)])"


@given(st.lists(intervals))
@example([(1, 5), (3, 4), (5, 6)])
def test_joining_keeps_every_member_as_often_as_it_was_there(held):
    joined = join(held)
    assert Counter(members(joined)) == Counter(members(held))
    assert joined == sorted(joined)
    assert len(joined) <= len(held)


def test_joining_joins_what_touches_and_keeps_overlaps():
    assert join([(4, 6), (1, 3)]) == [(1, 6)]
    assert join([(1, 3), (3, 6)]) == [(1, 3), (3, 6)]
    assert join([(1, 3), (5, 6)]) == [(1, 3), (5, 6)]
    assert join([]) == []


@given(st.lists(intervals, min_size=1))
def test_an_audit_is_what_counting_one_by_one_gives(held):
    counts = Counter(members(held))
    first, last = min(counts), max(counts)
    assert ExactAudit.of(held) == ExactAudit(
        first,
        last,
        count=counts.total(),
        lost=sum(1 for number in range(first, last + 1) if number not in counts),
        duplicates=sum(count - 1 for count in counts.values()),
    )


@given(st.lists(intervals, min_size=1))
def test_joining_changes_no_audit(held):
    assert ExactAudit.of(join(held)) == ExactAudit.of(held)


@pytest.mark.parametrize(
    ("held", "lost", "duplicates"),
    [
        ([(1, 10)], 0, 0),
        ([(1, 4), (6, 10)], 1, 0),
        ([(1, 10), (5, 5)], 0, 1),
        ([(1, 4), (6, 10), (2, 2)], 1, 1),
        ([(1, 4), (6, 10), (10, 10)], 1, 1),
        ([(1, 3), (1, 3), (1, 3)], 0, 6),
        ([(10, 20), (1, 5)], 4, 0),
        ([(2**62, 2**62 + 1), (1, 1)], 2**62 - 2, 0),
    ],
)
def test_a_lost_and_a_duplicate_reading_are_two_faults(held, lost, duplicates):
    audit = ExactAudit.of(held)
    assert (audit.lost, audit.duplicates) == (lost, duplicates)
