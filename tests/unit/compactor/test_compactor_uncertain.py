"""Readings that may be durable already are written one by one, and no others."""

import pytest
from sensorpipe_compactor.output.dividing import halves, parts
from sensorpipe_compactor.partials.encoding import encode_partials
from sensorpipe_compactor.windowing.buffers import Arrivals, Window
from sensorpipe_compactor.windows import Windows
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.partial import Origin
from sensorpipe_schema.reading import Reading
from support.partials import decode
from support.window_parts import NOW, WINDOW, buckets, of, remembering, take_all, when, windows

START = NOW - NOW % WINDOW
END = START + WINDOW


def run(first: int, count: int, ts: int, src: str = "a", step: int = 1) -> list[Message]:
    return [of(Reading(ts + step * n, float(first + n), src, first + n)) for n in range(count)]


def begun(horizon_ms: int, sources: int = 10, max_intervals: int = 100) -> Windows:
    """Return the windows of a start that found this horizon."""
    made = windows(remembering(sources, max_intervals))
    made.sources.new_source_horizon_ms = horizon_ms
    return made


def split(handed: list[Window]) -> tuple[list[int], list[int]]:
    """Return the `seq` of certain readings and of uncertain ones, each as they came."""
    seqs: dict[bool, list[int]] = {False: [], True: []}
    for window in handed:
        for bucket in buckets(window).values():
            for intervals in bucket.intervals_by_src.values():
                for first, last in intervals:
                    seqs[window.itemized] += range(first, last + 1)
    return seqs[False], seqs[True]


def test_a_run_that_crosses_the_line_is_uncertain_up_to_it():
    taken = begun(START + 500)
    taken.add(run(1, 1_000, START), 0, when(NOW))
    certain, uncertain = split(take_all(taken))
    assert (uncertain, certain) == ([*range(1, 501)], [*range(501, 1_001)])


def test_a_run_that_goes_back_behind_the_line_is_uncertain_there():
    taken = begun(START + 500)
    taken.add(run(1, 10, START + 500) + run(11, 10, START + 480), 0, when(NOW))
    certain, uncertain = split(take_all(taken))
    assert (certain, uncertain) == ([*range(1, 11)], [*range(11, 21)])


def test_an_uncertain_reading_that_comes_twice_is_taken_once():
    taken = begun(END)
    taken.add(run(1, 10, START) * 2, 0, when(NOW))
    assert split(take_all(taken)) == ([], [*range(1, 11)])
    assert taken.duplicates == 10


def test_readings_without_identity_are_never_itemized():
    taken = begun(END)
    taken.add([of(Reading(START, 1.0)), of(Reading(START, 1.0, "a", 0))] * 3, 0, when(NOW))
    (window,) = take_all(taken)
    assert (window.itemized, window.count) == (False, 6)


def test_an_itemized_partial_lists_each_value_with_its_seq_as_they_came():
    taken = begun(END)
    order = [5, 6, 7, 2, 1, 9, 3]
    taken.add([of(Reading(START, 10.0 * seq, "a", seq)) for seq in order], 0, when(NOW))
    taken.add([of(Reading(START, 1.0, "b", 4))], 7, when(NOW))
    (window,) = take_all(taken)
    made = decode(*encode_partials([window], Origin("c", 1, 1, END)))
    assert made.itemized
    summary = made.sensors["s"]
    assert summary.sources == {"a": [(5, 7), (2, 2), (1, 1), (9, 9), (3, 3)], "b": [(4, 4)]}
    assert summary.values == {"a": [10.0 * seq for seq in order], "b": [1.0]}
    assert summary.moments.count == 8


def test_a_forgotten_source_has_its_horizon_behind_its_newest_window():
    taken = begun(0, sources=1)
    taken.add(run(1, 3, START), 0, when(NOW))
    taken.add(run(1, 3, START, "b"), 3, when(NOW))  # forgets a
    taken.add(run(1, 3, START) + run(4, 2, END), 6, when(NOW))
    certain, uncertain = split(take_all(taken))
    assert uncertain == [1, 2, 3]  # once they were counted again
    assert sorted(certain) == [1, 1, 2, 2, 3, 3, 4, 5]


def test_forgotten_intervals_give_their_source_a_horizon_of_its_own():
    taken = begun(0, max_intervals=4)
    taken.add([of(Reading(START, 1.0, "a", 2 * n)) for n in range(1, 6)], 0, when(NOW))
    taken.add([of(Reading(START, 1.0, "a", 2))], 5, when(NOW))
    taken.add(run(11, 3, END) + run(1, 3, START, "b"), 6, when(NOW))
    certain, uncertain = split(take_all(taken))
    assert uncertain == [2]
    assert sorted(certain) == [1, 2, 2, 3, 4, 6, 8, 10, 11, 12, 13]


def test_sources_that_come_again_and_again_beyond_the_bound_stay_uncertain():
    """60 sources where 50 are remembered: each is forgotten before it goes on."""
    taken = begun(0, sources=50)
    for seq in range(1, 4):
        for n in range(60):
            taken.add(run(seq, 1, START, f"run-{n}"), 0, when(NOW))
    certain, uncertain = split(take_all(taken))
    assert len(certain) == 51
    assert len(uncertain) == 129


@pytest.mark.parametrize("count", range(6))
def test_arrivals_are_divided_where_the_values_are(count: int):
    one, other = Arrivals([(5, 7), (2, 2), (9, 9)]).split(count)
    seqs = [seq for first, last in [*one, *other] for seq in range(first, last + 1)]
    assert seqs == [5, 6, 7, 2, 9]
    assert sum(last - first + 1 for first, last in one) == count


def test_an_itemized_window_is_divided_down_to_single_readings():
    taken = begun(END)
    taken.add(run(1, 5, START), 0, when(NOW))
    (window,) = take_all(taken)
    left, ones = [window], []
    while left:
        divided = halves(one := left.pop())
        if divided is None:
            ones.append(one)
        left += divided or ()
    assert sorted(split([one])[1][0] for one in ones) == [1, 2, 3, 4, 5]
    assert all(buckets(one)["s"].values == [float(split([one])[1][0])] for one in ones)


def test_many_uncertain_readings_of_one_source_fit_into_kafka():
    taken = begun(END)
    taken.add(run(1, 50_000, START, step=0), 0, when(NOW))
    (window,) = take_all(taken)
    made = encode_partials(list(parts(window, 100_000)), Origin("c", 1, 1))
    assert len(made) == 8
    assert max(map(len, made)) < 100_000
    assert sum(decode(each).sensors["s"].moments.count for each in made) == 50_000
