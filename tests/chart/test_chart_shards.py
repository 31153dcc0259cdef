"""Several compactors of one release: apart from each other, and topics moved in steps."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from sensorpipe_schema.topic_filters import overlap
from support.chart.lookup import render_in
from support.chart.parts import COMPACTOR, EXTERNAL, environ, files, policy
from support.chart.passwords import plan
from support.chart.render import Object, RefusedError, manifest, of_kind, one, render

Shard = dict[str, Any]
B = {"name": "b", "topic": ["sensor_readings/hall_3/#", "sensor_readings/hall_4/+"]}
FAR = {
    "name": "far",
    "topic": "sensor_readings/#",
    "brokerSecret": "second-broker",
    "caKey": "ca.crt",
    "existingSecret": "far-session",
    "resources": {"limits": {"cpu": "2"}},
}
HALLS = ["sensor_readings/hall_1/#", "sensor_readings/hall_2/#"]


def values(
    folder: Path, *shards: Shard, topic: list[str] | str = HALLS, taking_over: bool = False
) -> tuple[Path]:
    """Return a file of values with these shards, and the topics of the compactor beside them."""
    number = len(list(folder.glob("*.values")))
    file = folder / f"{number}.values"
    compactor = {"topic": topic, "takingOver": taking_over, "shards": list(shards)}
    file.write_text(yaml.safe_dump({"compactor": compactor}))
    return (file,)


def pods(objects: list[Object]) -> dict[str, dict[str, str]]:
    """Return the labels of the pods of all Deployments."""
    return {
        name: found["spec"]["template"]["metadata"]["labels"]
        for name, found in of_kind(objects, "Deployment").items()
    }


def selected(objects: list[Object], labels: dict[str, str]) -> list[str]:
    return [name for name, found in pods(objects).items() if labels.items() <= found.items()]


def test_each_shard_has_a_name_a_session_and_topics_of_its_own(tmp_path: Path):
    objects = render(values=values(tmp_path, B, FAR))
    names = [COMPACTOR, f"{COMPACTOR}-b", f"{COMPACTOR}-far"]
    found = [environ(objects, name) for name in names]
    assert [each["SENSORPIPE_MQTT_TOPIC"].split(",") for each in found] == [
        HALLS,
        B["topic"],
        [FAR["topic"]],
    ]
    assert [each["SENSORPIPE_COMPACTOR_NAME"] for each in found] == [
        "sensorpipe-compactor",
        "sensorpipe-compactor-b",
        "sensorpipe-compactor-far",
    ]
    sessions = [files(objects, name)["mqtt-client-id"] for name in names]
    broker = "demo-sensorpipe-mosquitto"
    assert sessions == [
        (broker, "compactor-client-id"),
        (broker, "compactor-client-id-b"),
        ("far-session", "client-id"),
    ]
    (secret,) = (each for each in json.loads(plan(objects))["secrets"] if each["name"] == broker)
    assert [key for key in secret["made"] if "client-id" in key] == [
        "compactor-client-id",
        "compactor-client-id-b",
    ]
    urls = [files(objects, name)["mqtt-url"] for name in names]
    assert urls == [(broker, "compactor-url"), (broker, "compactor-url"), ("second-broker", "url")]
    assert files(objects, names[2])["mqtt-ca.crt"] == ("second-broker", "ca.crt")


def test_all_else_is_as_of_the_one_that_is_always_there(tmp_path: Path):
    objects = render(values=values(tmp_path, {**B, "takingOver": True}))
    first, second = environ(objects, COMPACTOR), environ(objects, f"{COMPACTOR}-b")
    differing = {
        name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
    }
    assert differing == {
        "SENSORPIPE_COMPACTOR_NAME",
        "SENSORPIPE_MQTT_TOPIC",
        "SENSORPIPE_TAKING_OVER",
        "SENSORPIPE_FEEDS",
    }
    assert second["SENSORPIPE_TAKING_OVER"] == "true"
    assert "SENSORPIPE_FEEDS" not in second, "both would count the messages of the same Feeds"
    spec = one(objects, "Deployment", f"{COMPACTOR}-b")["spec"]
    assert spec["strategy"] == {"type": "Recreate"}


def test_no_selector_takes_the_pod_of_another_compactor(tmp_path: Path):
    objects = render(values=values(tmp_path, B, FAR))
    for name, found in of_kind(objects, "Deployment").items():
        assert selected(objects, found["spec"]["selector"]["matchLabels"]) == [name]
    asked = dict(
        pair.split("=")
        for pair in environ(objects, "demo-sensorpipe-operator")["SENSORPIPE_COMPACTOR_PODS"].split(
            ","
        )
    )
    assert selected(objects, asked) == [COMPACTOR], "it alone has Feeds"


def test_network_policies_let_each_shard_to_its_broker_and_kafka(tmp_path: Path):
    objects = render("networkPolicy.metricsFrom[0].podSelector.matchLabels.a=b",
                     values=values(tmp_path, B, FAR))  # fmt: skip
    shards = {f"{COMPACTOR}-b", f"{COMPACTOR}-far"}
    kafka = one(objects, "Kafka", "demo-sensorpipe")["spec"]["kafka"]["listeners"][0]
    for peers in (policy(objects, "mosquitto")["ingress"][0]["from"], kafka["networkPolicyPeers"]):
        let_in = {
            name
            for peer in peers
            for name in selected(objects, peer["podSelector"].get("matchLabels", {"": ""}))
        }
        assert let_in >= {COMPACTOR, *shards}
    near, far = policy(objects, "compactor-b"), policy(objects, "compactor-far")
    assert [rule["ports"][0]["port"] for rule in near["egress"]] == [53, 1883, 9093]
    assert far["egress"][1] == {"ports": [{"port": 1, "endPort": 65535, "protocol": "TCP"}]}
    for found in (near, far):
        assert [rule["ports"] for rule in found["ingress"]] == [[{"port": 9090, "protocol": "TCP"}]]
        assert selected(objects, found["podSelector"]["matchLabels"]) in [[s] for s in shards]


def test_without_a_secret_of_the_charts_a_client_id_is_made_of_the_names(tmp_path: Path):
    objects = render(*EXTERNAL, values=values(tmp_path, B))
    found = environ(objects, f"{COMPACTOR}-b")
    assert found["SENSORPIPE_MQTT_CLIENT_ID"] == "sensorpipe-compactor-b"
    assert files(objects, f"{COMPACTOR}-b")["mqtt-ca.crt"] == ("mqtt-in", "ca.crt")


def test_metrics_and_alerts_tell_the_shards_apart(tmp_path: Path):
    sets = ("monitoring.podMonitor.enabled=true", "monitoring.rules.enabled=true")
    objects = render(*sets, values=values(tmp_path, B))
    monitor = one(objects, "PodMonitor", "demo-sensorpipe")["spec"]
    assert "compactor-shard" in monitor["selector"]["matchExpressions"][0]["values"]
    labels = {each["targetLabel"] for each in monitor["podMetricsEndpoints"][0]["relabelings"][1:]}
    assert labels == {"component", "shard"}
    groups = one(objects, "PrometheusRule", "demo-sensorpipe")["spec"]["groups"]
    down = [
        rule["expr"]
        for group in groups
        for rule in group["rules"]
        if rule["alert"] == "SensorpipeComponentDown" and "compactor" in rule["expr"]
    ]
    job = 'job="sensors/demo-sensorpipe", component="compactor"'
    assert down == [
        f'absent(up{{{job}, shard=""}} == 1)',
        f'absent(up{{{job}, shard="b"}} == 1)',
    ]


# --- what does not fit ---

FILTERS = [
    "a", "a/b", "a/c", "a/+", "a/#", "a/b/c", "a/+/c", "+/b", "+/+", "+", "+/#", "b/#", "a/b/#",
]  # fmt: skip


def problems(folder: Path, *shards: Shard, **more: Any) -> list[str]:
    with pytest.raises(RefusedError) as error:
        render(values=values(folder, *shards, **more))
    return said_in(error.value)


def said_in(error: RefusedError) -> list[str]:
    """Return the problems, which some versions of Helm print twice."""
    lines = [line[2:] for line in str(error).splitlines() if line.startswith("- ")]
    return list(dict.fromkeys(lines))


def test_topics_that_overlap_are_refused_as_the_standard_has_it(tmp_path: Path):
    shards = [{"name": f"s{n}", "topic": each} for n, each in enumerate(FILTERS)]
    said = problems(tmp_path, *shards, topic="#", taking_over=True)
    overlapping = [
        f"compactor.shards[{one['name']}].topic and compactor.shards[{other['name']}].topic: "
        f"`{one['topic']}` and `{other['topic']}` overlap"
        for one, other in combinations(shards, 2)
        if overlap(one["topic"].split("/"), other["topic"].split("/"))
    ]
    assert [line.partition(",")[0] for line in said] == overlapping


def test_the_default_topic_leaves_none_to_a_shard(tmp_path: Path):
    (said,) = problems(tmp_path, B, topic="sensor_readings/#")
    assert said.startswith(
        "compactor.topic and compactor.shards[b].topic: "
        "`sensor_readings/#` and `sensor_readings/hall_3/#` overlap, and both would count"
    )
    render(values=values(tmp_path, {**B, "takingOver": True}, topic="sensor_readings/#"))
    render(values=values(tmp_path, B, topic="sensor_readings/#", taking_over=True))


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        ([B, {**B, "topic": "x"}], "compactor.shards: the name `b` is there twice"),
        (
            [{"name": "b", "topic": ["x/+", "x/y"]}],
            "compactor.shards[b].topic: `x/+` and `x/y` overlap; the broker could deliver",
        ),
        (
            [{"name": "b", "topic": "x", "caKey": "ca.crt"}],
            "compactor.shards[b].caKey: is a key of its brokerSecret, which is empty",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, shards: list[Shard], said: str):
    assert problems(tmp_path, *shards)[0].startswith(said)


def test_without_shards_nothing_mentions_them():
    assert "shard" not in manifest("monitoring.podMonitor.enabled=true")


# --- topics that move, in a cluster that holds the step before ---


def live(*shards: Shard, folder: Path, unready: str = "", **more: Any) -> list[Object]:
    """Return what a release with these shards holds, all ready but for one."""
    found = render(values=values(folder, *shards, **more))
    kinds = {"Secret", "StatefulSet", "Deployment", "KafkaNodePool", "KafkaTopic"}
    held = [each for each in found if each["kind"] in kinds]
    for each in held:
        is_ready = each["metadata"]["name"] != unready
        each["metadata"] = {**each["metadata"], "generation": 2}
        each["status"] = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}
        if is_ready:
            each["status"]["readyReplicas"] = 1
    return held


HALL_2 = "sensor_readings/hall_2/#"
BEFORE = {"name": "b", "topic": ["sensor_readings/hall_3/#"]}
BOTH = {"name": "b", "topic": ["sensor_readings/hall_3/#", HALL_2], "takingOver": True}
AFTER = {**BOTH, "takingOver": False}
STEPS: list[tuple[Shard, list[str]]] = [
    (BEFORE, HALLS),
    (BOTH, HALLS),
    (BOTH, HALLS[:1]),
    (AFTER, HALLS[:1]),
]


def upgrade(folder: Path, before: int, after: int, unready: str = "") -> list[str]:
    """Go from one of the steps to another; return what is said against it."""
    shard, topic = STEPS[before]
    held = live(shard, folder=folder, topic=topic, unready=unready)
    shard, topic = STEPS[after]
    try:
        render_in(folder, held, values=values(folder, shard, topic=topic))
    except RefusedError as error:
        return said_in(error)
    return []


@pytest.mark.parametrize("step", [0, 1, 2])
def test_topics_move_in_steps_forth_and_back(tmp_path: Path, step: int):
    assert upgrade(tmp_path, step, step + 1) == []
    assert upgrade(tmp_path, step, step) == []


def test_a_step_that_is_left_out_is_refused(tmp_path: Path):
    for before, after in ((0, 2), (0, 3)):
        (said,) = upgrade(tmp_path, before, after)
        assert said.startswith(
            f"compactor.topic: gives up `{HALL_2}` in the same upgrade in which "
            f"compactor.shards[b] begins to take `{HALL_2}`; readings in between would be lost"
        )
    (said,) = upgrade(tmp_path, 1, 3)
    assert said.startswith("compactor.shards[b].takingOver: compactor still takes its topics")


def test_a_step_waits_for_the_one_before(tmp_path: Path):
    (said,) = upgrade(tmp_path, 1, 2, unready=f"{COMPACTOR}-b")
    assert said.endswith("is not ready yet; readings in between would be lost. Wait until it is")
    (said,) = upgrade(tmp_path, 2, 3, unready=COMPACTOR)
    assert said == (
        "compactor.shards[b].takingOver: compactor is not ready, and may not have unsubscribed "
        "yet. Wait until it is"
    )
