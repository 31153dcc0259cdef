"""Which Feeds the compactor is to use: the valid ones, of overlapping ones the oldest."""

import json
import random
from typing import Any

import pytest
from sensorpipe_operator.feeds import merge as merging
from sensorpipe_operator.feeds.merge import Merged, merge
from sensorpipe_schema.feed.manifest import Feed
from sensorpipe_schema.feed.topic import TopicTemplate
from support.kube.feed_bodies import feed_body

LATER = "2026-11-24T09:00:01Z"


def used(merged: Merged) -> list[str]:
    """Return the names of the files."""
    return sorted(merged.files)


def reasons(merged: Merged) -> dict[str, str]:
    return {name: verdict.reason for (_, name), verdict in merged.accepted.items()}


def test_each_accepted_feed_has_a_file_that_the_compactor_can_read() -> None:
    merged = merge([feed_body("a", scale=None), feed_body("b", namespace="yard")], {})
    assert used(merged) == ["plant.a.json", "yard.b.json"]
    parsed = Feed.parse(json.loads(merged.files["yard.b.json"]))
    assert (parsed.full_name, parsed.spec.topic.text) == ("yard/b", "b/+")
    assert all(verdict.holds for verdict in merged.accepted.values())


def test_the_result_does_not_depend_on_the_order_of_what_was_read() -> None:
    bodies = [feed_body(f"f{i}", f"{i % 7}/+") for i in range(30)]
    first = merge(bodies, {})
    for seed in range(5):
        random.Random(seed).shuffle(bodies)
        again = merge(bodies, {})
        assert (again.files, again.accepted) == (first.files, first.accepted)
        assert again.digest == first.digest
    assert len(first.files) == 7


def test_of_two_that_overlap_the_older_one_is_used_and_both_are_named() -> None:
    young = feed_body("a", "site/{device}", created=LATER)
    merged = merge([young, feed_body("z", "+/hall"), feed_body("other", "o/x/y")], {})
    assert used(merged) == ["plant.other.json", "plant.z.json"]
    verdict = merged.accepted["plant", "a"]
    assert (verdict.reason, verdict.holds) == ("Overlaps", False)
    assert "'site/{device}' of 'plant/a'" in verdict.text
    assert "'+/hall' of 'plant/z', which is older" in verdict.text


def test_of_two_of_the_same_age_the_first_by_name_is_used() -> None:
    merged = merge([feed_body("b", "x/+"), feed_body("a", "x/+")], {})
    assert used(merged) == ["plant.a.json"]


def test_a_wrong_one_stops_no_other_and_says_what_is_wrong() -> None:
    wrong = feed_body("wrong", timezone="Mars/Olympus", time={"at": "/at"}, identity=5)
    merged = merge([wrong, feed_body("right")], {})
    assert used(merged) == ["plant.right.json"]
    verdict = merged.accepted["plant", "wrong"]
    assert verdict.reason == "Invalid"
    assert "spec.timezone: must be the name of a time zone" in verdict.text
    assert "spec.identity: must be none, time, or a mapping of src and seq" in verdict.text


def test_a_field_of_a_newer_definition_is_passed_over() -> None:
    merged = merge([feed_body("a", location="roof")], {})
    assert reasons(merged) == {"a": "Accepted"}
    assert "location" not in merged.files["plant.a.json"]


def test_a_wrong_one_keeps_the_version_that_was_used_before() -> None:
    former = merge([feed_body("a")], {}).files
    wrong = feed_body("a", timezone="Mars/Olympus", time={"at": "/at"})
    assert merge([wrong], former).files == former
    assert merge([], former).files == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "Feed"}', "null"])
def test_a_former_file_that_is_none_is_left_out(text: str) -> None:
    wrong = feed_body("a", topic="{a")
    assert merge([wrong], {"plant.a.json": text}).files == {}


def test_a_former_version_never_stands_against_an_accepted_feed() -> None:
    former = merge([feed_body("a", "x/+", created=LATER)], {}).files
    bodies = [feed_body("a", "{x", created=LATER), feed_body("b", "x/1", created=LATER)]
    merged = merge(bodies, former)
    assert used(merged) == ["plant.b.json"]
    assert reasons(merged) == {"a": "Invalid", "b": "Accepted"}


def test_feeds_of_a_namespace_that_cannot_be_read_stay() -> None:
    former = merge([feed_body("a", "x/+"), feed_body("b", namespace="yard")], {}).files
    assert used(merge([], former, ["plant"])) == ["plant.a.json"]
    young = feed_body("c", "x/1", namespace="yard", created=LATER)
    old = feed_body("c", "x/1", namespace="yard", created="2026-01-01T00:00:00Z")
    assert used(merge([young], former, ["plant"])) == ["plant.a.json"]
    assert used(merge([old], former, ["plant"])) == ["yard.c.json"]


def test_a_suspended_one_is_accepted_and_not_used() -> None:
    merged = merge([feed_body("a", "x/+", suspend=True), feed_body("b", "x/+")], {})
    assert used(merged) == ["plant.b.json"]
    assert reasons(merged) == {"a": "Accepted", "b": "Accepted"}


def test_one_that_is_being_deleted_is_not_used() -> None:
    gone = feed_body("a")
    gone["metadata"]["deletionTimestamp"] = LATER
    assert merge([gone], merge([feed_body("a")], {}).files).files == {}


@pytest.mark.parametrize(("name", "limit"), [("MAX_FEEDS", 2), ("MAX_BYTES", 1_000)])
def test_there_is_room_for_the_oldest_ones_only(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(merging, name, limit)
    bodies = [feed_body(f"f{i}", created=f"2026-11-24T09:00:0{i}Z") for i in range(4)]
    merged = merge(bodies, {})
    assert used(merged) == ["plant.f0.json", "plant.f1.json"]
    assert [reason for reason in reasons(merged).values() if reason == "TooMany"] == ["TooMany"] * 2


def test_a_thousand_feeds_are_not_compared_each_with_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overlaps(one: TopicTemplate, other: TopicTemplate) -> bool:
        raise AssertionError(one, other)

    monkeypatch.setattr(TopicTemplate, "overlaps", overlaps)
    merged = merge([feed_body(f"f{i}", f"zigbee/f{i}/+") for i in range(1_000)], {})
    assert len(merged.files) == 1_000


def test_the_digest_is_that_of_the_files() -> None:
    def digest(*names: str, **spec: Any) -> str:
        return merge([feed_body(name, **spec) for name in names], {}).digest

    assert (
        len({digest(), digest("a"), digest("b"), digest("a", "b"), digest("a", ignore=["x"])}) == 5
    )
