"""What a Feed may say, and what is said about one that is wrong."""

from typing import Any

import pytest
from sensorpipe_schema.feed.manifest import Feed, FeedError
from support.bad_feeds import BAD
from support.feeds import GOOD, SHIPPED, manifest, shipped


@pytest.mark.parametrize(("spec", "field", "message"), BAD)
def test_a_bad_feed_is_refused_with_field_and_reason(
    spec: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(FeedError) as caught:
        Feed.parse(manifest(**spec))
    assert message in dict(caught.value.problems)[field]
    assert {problem.field for problem in caught.value.problems} == {field}


def test_all_that_is_wrong_is_reported_at_once() -> None:
    bad = manifest(topic="d/#", facility=7, readings=[{"sensor": "t", "at": "t"}], ignore="x")
    bad["metadata"]["name"] = "Zigbee"
    with pytest.raises(FeedError) as caught:
        Feed.parse(bad)
    assert {problem.field for problem in caught.value.problems} == {
        "metadata.name",
        "spec.topic",
        "spec.facility",
        "spec.readings[0].at",
        "spec.ignore",
    }


def test_all_that_does_not_fit_together_is_reported_at_once() -> None:
    with pytest.raises(FeedError) as caught:
        Feed.parse(manifest(topic="d/{a}", facility="{b}", timezone="UTC", identity="time"))
    assert [problem.field for problem in caught.value.problems] == [
        "spec",
        "spec.facility",
        "spec.identity",
        "spec.timezone",
    ]


def test_defaults() -> None:
    spec = Feed.parse(manifest(topic="d/+", facility="hall", readings=[{"sensor": "t"}])).spec
    assert (spec.payload, spec.time, spec.each, spec.ignore) == ("json", None, None, ())
    assert (spec.identity, spec.suspend, spec.numbers) == ("none", False, None)
    assert spec.readings is not None
    (reading,) = spec.readings
    assert (reading.at, reading.scale, reading.offset, reading.values) == ((), 1.0, 0.0, None)


@pytest.mark.parametrize("name", [*sorted(file.stem for file in SHIPPED.iterdir()), ""])
def test_a_written_manifest_is_read_again(name: str) -> None:
    feed = shipped(name) if name else Feed.parse(GOOD)
    assert Feed.parse(feed.to_manifest()) == feed


def test_only_a_feed_is_taken() -> None:
    with pytest.raises(FeedError, match=r"^only kind: Feed of sensorpipe\.dev/v1alpha1 is taken"):
        Feed.parse({**GOOD, "kind": "Sensor"})


def test_a_newer_definition_may_have_fields_that_are_unknown() -> None:
    spec = {**GOOD["spec"], "newer": 1}
    assert Feed.parse(manifest(**spec), strict=False) == Feed.parse(GOOD)
