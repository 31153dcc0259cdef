"""Which topics two MQTT filters have in common."""

from itertools import product

import pytest
from sensorpipe_schema.topic_filters import covers, overlap, overlapping

LEVELS = ("a", "b", "+")
FILTERS = [
    "/".join([*levels, *end])
    for size in range(3)
    for levels in product(LEVELS, repeat=size)
    for end in ((), ("#",))
    if levels or end
]
TOPICS = ["/".join(levels) for size in (1, 2, 3) for levels in product("abc", repeat=size)]


def matches(pattern: str, topic: str) -> bool:
    """Return whether a filter matches a topic, by the text of the standard (4.7.1)."""
    levels, parts = pattern.split("/"), topic.split("/")
    if levels[-1] == "#":
        levels.pop()
        if len(parts) < len(levels):
            return False
        parts = parts[: len(levels)]
    return len(levels) == len(parts) and all(
        a in {"+", b} for a, b in zip(levels, parts, strict=True)
    )


@pytest.mark.parametrize("one", FILTERS)
def test_filters_compare_as_the_topics_that_they_match(one: str):
    for other in FILTERS:
        of_one = {topic for topic in TOPICS if matches(one, topic)}
        of_other = {topic for topic in TOPICS if matches(other, topic)}
        assert overlap(one.split("/"), other.split("/")) == bool(of_one & of_other), other
        if (one, other) != ("+/#", "#"):  # the only pair that differs in how it is written
            assert covers(one, other) == (of_one >= of_other), other


def test_the_first_two_that_overlap_are_named():
    assert overlapping(["a/b", "b/#", "a/+", "b/c"]) == ("a/b", "a/+")
    assert overlapping(["a/b", "b/#", "a/c"]) is None
