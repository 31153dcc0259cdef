"""Topics of Feeds: what they match, what they subscribe to, and which of them overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.feed.topic import TopicTemplate
from sensorpipe_schema.mistakes import as_name
from sensorpipe_schema.names import is_name


@pytest.mark.parametrize(
    ("template", "topic", "found"),
    [
        ("zigbee2mqtt/{device}", "zigbee2mqtt/kitchen", {"device": "kitchen"}),
        ("zigbee2mqtt/{device}", "zigbee2mqtt/bridge/state", None),
        ("zigbee2mqtt/{device}", "zigbee2mqtt", None),
        ("zigbee2mqtt/{device}", "other/kitchen", None),
        ("tele/+/SENSOR", "tele/x/SENSOR", {}),
        ("N/{p}/{path...}", "N/a/b", {"p": "a", "path": "b"}),
        ("N/{p}/{path...}", "N/a/b/c/d", {"p": "a", "path": "b/c/d"}),
        ("N/{p}/{path...}", "N/a", None),
        ("homie/{d}/{n}/{s}", "homie/car/engine/$properties", None),
        ("homie/{d}/{n}/{s}", "homie/$broadcast/alert/x", None),
        ("homie/{d}/+/{s}", "homie/car/$fw/x", None),
        ("homie/{rest...}", "homie/car/$state", None),
        ("$app/{x}", "$app/1", {"x": "1"}),
        ("{device}/events/rpc", "sensor_readings/events/rpc", None),
    ],
)
def test_match(template: str, topic: str, found: dict[str, str] | None) -> None:
    assert TopicTemplate.parse(template).match(topic) == found


def test_filters() -> None:
    assert TopicTemplate.parse("a/{b}/+/c").filter == "a/+/+/c"
    assert TopicTemplate.parse("a/{b...}").filter == "a/#"


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a/{x}", "a/{y}", True),
        ("a/{x}", "a/b", True),
        ("a/{x}", "b/{x}", False),
        ("a/{x}", "a/{x}/{y}", False),
        ("a/{x...}", "a/b/c/{y}", True),
        ("a/{x...}", "a", True),  # the filter a/# covers a, too
        ("a/{x...}", "b/c", False),
        ("{x}/b/c", "a/{y}/c", True),
        ("{x}/b/c", "a/c/c", False),
    ],
)
def test_overlap(one: str, other: str, *, overlap: bool) -> None:
    templates = TopicTemplate.parse(one), TopicTemplate.parse(other)
    assert templates[0].overlaps(templates[1]) is overlap
    assert templates[1].overlaps(templates[0]) is overlap


LEVEL = st.sampled_from(["a", "b", "+", "{x}", "{y}"])
TEMPLATE = st.builds(
    lambda levels, rest: "/".join([*dict.fromkeys(levels), *rest]),
    st.lists(LEVEL, min_size=1, max_size=4),
    st.sampled_from([[], ["{rest...}"]]),
)
TOPIC = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5).map("/".join)


@given(TEMPLATE, TEMPLATE, TOPIC)
def test_two_templates_that_match_one_topic_overlap(one: str, other: str, topic: str) -> None:
    first, second = TopicTemplate.parse(one), TopicTemplate.parse(other)
    if first.match(topic) is not None and second.match(topic) is not None:
        assert first.overlaps(second)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Living Room", "living_room"),
        ("4C:33:A6", "4c_33_a6"),
        ("Küche", "k_che"),
        ("-_x_-", "x"),
        ("", ""),
        ("°°", ""),
        ("x" * 70, "x" * 63),
        ("x" * 62 + "-y", "x" * 62),
    ],
)
def test_names(text: str, name: str) -> None:
    assert as_name(text) == name


@given(st.text())
def test_what_is_made_a_name_is_one_or_nothing(text: str) -> None:
    name = as_name(text)
    assert not name or is_name(name)
    assert as_name(name) == name
