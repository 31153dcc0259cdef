"""Feeds as an API server takes or refuses them, and what the operator says of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_client import Cluster, KubectlError
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_schema.feed.manifest import Feed, FeedError
from sensorpipe_schema.sensor import API_VERSION
from support.bad_feeds import BAD
from support.feeds import SHIPPED, manifest
from support.kube import operator_process
from support.kube.operator_process import NAMESPACE, Namespace, Operator, explained
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]

LEFT_TO_THE_OPERATOR = ("must be the name of a", "must be unique; 'device__a'")
"""What no rule of the definition sees: whether a zone exists, and names once they are cleaned."""


def named(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Feed; its topic's first level is its name unless another is given."""
    rules = [{"sensor": "t", "at": "/t"}]
    made = manifest(**{"topic": f"{name}/{{device}}", "facility": "f", "readings": rules, **spec})
    return {**made, "metadata": {"name": name}}


async def test_wrong_feeds_are_refused_at_apply_with_the_field(
    cluster: Cluster, config_file: Path
) -> None:
    del config_file
    taken, asked = [], 0
    async with operator_process.api(cluster) as api:

        async def refusal(made: dict[str, Any]) -> str:
            path = f"/apis/{API_VERSION}/namespaces/default/feeds"
            query = {"dryRun": "All", "fieldValidation": "Strict"}
            try:
                await api._call("POST", path, query, made)
            except ApiError as error:
                return error.message
            return ""

        assert await refusal(named("good")) == ""
        for spec, field, message in BAD:
            made = {**manifest(**spec), "metadata": {"name": "bad"}}
            try:
                text = json.dumps(made, allow_nan=False)
            except ValueError:
                continue  # JSON cannot carry it
            if json.loads(text) != made or message.startswith(LEFT_TO_THE_OPERATOR):
                continue  # a key that was no text is one now
            asked += 1
            told = await refusal(json.loads(text))
            # a list's item is refused under the list's name where a rule spans several fields
            parts = ["time"] if message.startswith("needs spec.time") else field.split(".")
            if not any(part.split("[")[0] in told for part in (parts[-1], *parts[1:2])):
                taken.append((spec, field, told))
    assert taken == []
    assert asked >= 50


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"topic": "a/#"}, "spec.topic: Invalid value: \"a/#\": must be levels separated by '/'"),
        ({"topic": "{a...}/b"}, 'spec.topic: Invalid value: "{a...}/b": must be levels separated'),
        ({"topic": "{a}/{a}"}, "must have another name for each {x}"),
        ({"topic": "+/{a}/state"}, "must not overlap sensor_readings/#"),
        ({"readings": None}, "spec: Invalid value: must have either readings or numbers"),
        ({"numbers": {}}, "spec: Invalid value: must have either readings or numbers"),
        ({"facility": "{hall}"}, "spec.facility: Invalid value: must name levels of topic only"),
        ({"identity": "time"}, "spec.time: Required value"),
        ({"identity": "seq"}, 'spec.identity: Invalid value: "seq"'),
        ({"time": {"at": "/t"}, "identity": {"seq": "/n"}}, "spec.identity.src: Required value"),
        ({"timezone": "UTC"}, "spec.timezone: Invalid value: must not be without time"),
        (
            {"payload": "influx", "each": ""},
            "spec.each: Invalid value: must not be without payload",
        ),
        ({"payload": "number"}, "at must be empty with payload number"),
        ({"readings": [{"sensor": "t"}] * 2}, "spec.readings[1]: Duplicate value"),
    ],
)
def test_what_is_said_to_who_applies_a_wrong_combination(
    cluster: Cluster, config_file: Path, spec: dict[str, Any], sentence: str
) -> None:
    del config_file
    made = named("wrong", **spec)
    made["spec"] = {name: value for name, value in made["spec"].items() if value is not None}
    with pytest.raises(FeedError):
        Feed.parse(made)
    with pytest.raises(KubectlError) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(made))
    assert sentence in str(caught.value)


def test_the_shipped_feeds_are_taken(cluster: Cluster, config_file: Path) -> None:
    del config_file
    told = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(SHIPPED))
    assert told.count("created (server dry run)") == len(list(SHIPPED.glob("*.yaml"))) >= 14


def test_kubectl_explains_every_level(cluster: Cluster, config_file: Path) -> None:
    del config_file
    for at in ("", ".spec", ".spec.time", ".spec.readings", ".spec.numbers", ".spec.identity",
               ".status", ".status.lastRefused"):  # fmt: skip
        explained(cluster, f"feed{at}")


# --- with an operator that writes a ConfigMap, and no compactor ---


@pytest.fixture(scope="module")
def keeping(
    cluster: Cluster, config_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator that keeps the Feeds of the whole cluster in a ConfigMap."""
    variables = {"FEEDS_CONFIG_MAP": f"{NAMESPACE}/feeds", "GENERATOR_IMAGE": "none:1"}
    folder = tmp_path_factory.mktemp("keeping")
    with operator_process.running(cluster, folder, config_file, **variables) as it:
        yield it
    cluster.kubectl("-n", NAMESPACE, "delete", "configmap", "feeds", "--ignore-not-found")


@pytest.fixture
def place(cluster: Cluster, keeping: Operator) -> Iterator[Namespace]:
    """A namespace of a test."""
    del keeping
    with cluster.namespace() as name:
        yield Namespace(cluster, name)
    until(lambda: not any(file.startswith(f"{name}.") for file in files(cluster)))


def files(cluster: Cluster) -> dict[str, str]:
    """Return what the ConfigMap holds: nothing before the operator has made it."""
    where = ("-n", NAMESPACE, "configmap/feeds")
    found = cluster.kubectl("get", *where, "-o", "json", "--ignore-not-found") or "{}"
    return dict(json.loads(found).get("data") or {})


def condition(place: Namespace, name: str, kind: str) -> dict[str, Any]:
    status = place.get(f"feed/{name}").get("status", {})
    return next((c for c in status.get("conditions", []) if c["type"] == kind), {})


def wait_reason(place: Namespace, name: str, reason: str, kind: str = "Accepted") -> dict[str, Any]:
    until(lambda: condition(place, name, kind).get("reason") == reason)
    return condition(place, name, kind)


def test_accepted_feeds_are_merged_and_go_when_they_are_deleted(place: Namespace) -> None:
    place.apply(named("one"), named("two", suspend=True))
    until(lambda: f"{place.name}.one.json" in files(place.cluster))
    assert wait_reason(place, "one", "Accepted")["status"] == "True"
    written = json.loads(files(place.cluster)[f"{place.name}.one.json"])
    assert written["spec"]["topic"] == "one/{device}"
    assert Feed.parse(written).full_name == f"{place.name}/one"
    assert f"{place.name}.two.json" not in files(place.cluster)
    wait_reason(place, "two", "Suspended", "Ready")
    place.kubectl("delete", "feed", "one")
    until(lambda: f"{place.name}.one.json" not in files(place.cluster))


def test_an_overlap_names_both_and_the_older_one_stays(place: Namespace) -> None:
    place.apply(named("zoo", topic="site/{device}"))
    wait_reason(place, "zoo", "Accepted")
    until(lambda: place.get("feed/zoo")["status"].get("observedGeneration") == 1)
    # creation times have whole seconds; of two in one second the first by name would be the older
    created = place.get("feed/zoo")["metadata"]["creationTimestamp"]
    until(lambda: place.kubectl("create", "configmap", "clock", "--dry-run=server", "-o",
          "jsonpath={.metadata.creationTimestamp}") > created)  # fmt: skip
    place.apply(named("ant", topic="+/hall"), named("bee", topic="bee/{device}/state"))
    message = wait_reason(place, "ant", "Overlaps")["message"]
    assert f"'+/hall' of '{place.name}/ant'" in message
    assert f"'site/{{device}}' of '{place.name}/zoo', which is older" in message
    assert condition(place, "zoo", "Accepted")["status"] == "True"
    wait_reason(place, "bee", "Accepted")
    assert wait_reason(place, "ant", "NotAccepted", "Ready")["status"] == "False"
    assert f"{place.name}.ant.json" not in files(place.cluster)
    assert "Overlaps" in place.kubectl("get", "events")
    place.kubectl("delete", "feed", "zoo")
    wait_reason(place, "ant", "Accepted")
    until(lambda: f"{place.name}.ant.json" in files(place.cluster))


def test_what_slips_through_stops_no_other_and_keeps_what_was_right(place: Namespace) -> None:
    place.apply(named("one", time={"at": "/at"}))
    until(lambda: f"{place.name}.one.json" in files(place.cluster))
    before = files(place.cluster)[f"{place.name}.one.json"]
    place.apply(named("one", time={"at": "/at"}, timezone="Mars/Olympus"), named("two"))
    message = wait_reason(place, "one", "Invalid")["message"]
    assert message.startswith("spec.timezone: must be the name of a time zone")
    until(lambda: f"{place.name}.two.json" in files(place.cluster))
    assert files(place.cluster)[f"{place.name}.one.json"] == before
    ready = wait_reason(place, "one", "NotAccepted", "Ready")
    assert "the version before stays in use" in ready["message"]


def test_without_a_compactor_it_is_not_known_whether_a_feed_is_ready(place: Namespace) -> None:
    place.apply(named("one"))
    found = wait_reason(place, "one", "CompactorUnreachable", "Ready")
    assert (found["status"], "no pod of it runs" in found["message"]) == ("Unknown", True)


def test_what_kubectl_shows(place: Namespace) -> None:
    place.apply(named("one"))
    wait_reason(place, "one", "CompactorUnreachable", "Ready")
    head, line = place.kubectl("get", "feeds").splitlines()
    assert head.split() == [
        "NAME",
        "TOPIC",
        "READY",
        "TOPICS",
        "READINGS/S",
        "REFUSED",
        "REASON",
        "AGE",
    ]
    assert line.split()[:3] == ["one", "one/{device}", "Unknown"]
    assert "CompactorUnreachable" in line
    selected = place.kubectl("get", "feeds", "--field-selector", "spec.topic=one/{device}")
    assert "one" in selected
    assert "ACCEPTED" in place.kubectl("get", "fd", "-o", "wide")


def test_a_status_that_does_not_change_is_not_written(place: Namespace) -> None:
    place.apply(named("one"))
    wait_reason(place, "one", "CompactorUnreachable", "Ready")
    before = place.get("feed/one")["metadata"]["resourceVersion"]
    place.apply(named("two"))  # the operator looks at all of them
    wait_reason(place, "two", "CompactorUnreachable", "Ready")
    assert place.get("feed/one")["metadata"]["resourceVersion"] == before
