"""The index of topics finds just what a comparison of each with each finds."""

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.feed.topic import TopicTemplate
from sensorpipe_schema.feed.topic_index import TopicIndex


def template(levels: list[str], *, rest: bool) -> TopicTemplate:
    named = [f"{{n{i}}}" if level == "{}" else level for i, level in enumerate(levels)]
    return TopicTemplate.parse("/".join([*named, "{rest...}"] if rest else named))


LEVELS = st.lists(st.sampled_from(["a", "b", "", "+", "{}"]), min_size=1, max_size=4)
TOPICS = st.builds(
    lambda levels, rest: template(levels, rest=rest),
    LEVELS.filter(lambda levels: levels != [""]),
    st.booleans(),
)


@given(st.lists(TOPICS, max_size=12), TOPICS)
def test_it_finds_what_overlaps_and_nothing_else(
    topics: list[TopicTemplate], wanted: TopicTemplate
) -> None:
    index: TopicIndex[int] = TopicIndex()
    for number, topic in enumerate(topics):
        index.add(topic, number)
    expected = [(other, i) for i, other in enumerate(topics) if wanted.overlaps(other)]
    assert index.overlapping(wanted) == expected


def test_the_rest_stands_for_no_level_too() -> None:
    index: TopicIndex[str] = TopicIndex()
    index.add(TopicTemplate.parse("a/{rest...}"), "rest")
    index.add(TopicTemplate.parse("a"), "a")
    index.add(TopicTemplate.parse("b"), "b")
    assert [owner for _, owner in index.overlapping(TopicTemplate.parse("a"))] == ["rest", "a"]
    found = index.overlapping(TopicTemplate.parse("a/{x...}"))
    assert [owner for _, owner in found] == ["rest", "a"]
