"""Kafka, database and broker as the chart has them made: what a user relies on, as rendered."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity
from pymongo.uri_parser import parse_uri
from sensorpipe_operator import names as operator_names
from sensorpipe_runtime import duration
from sensorpipe_schema import names
from sensorpipe_server.provision.settings import Settings
from support.chart.parts import EXTERNAL, policy
from support.chart.passwords import made
from support.chart.render import CHART, Object, containers, of_kind, one, pods, render
from support.strimzi import labels as strimzi_labels

PRODUCTION = CHART / "profiles/production.yaml"
KEPT = {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "CustomResourceDefinition"}
_COMPONENTS = ("kafka", "entity-operator")
BROKER, DATABASE = "demo-sensorpipe-mosquitto", "demo-sensorpipe-mongodb"


def template(objects: list[Object], name: str) -> Object:
    """Return the pod template of a StatefulSet."""
    found: Object = one(objects, "StatefulSet", name)["spec"]["template"]
    return found


# --- all three ---


def test_what_holds_data_and_what_opens_it_outlive_the_release():
    for found in render():
        kept = found["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
        assert kept == (found["kind"] in KEPT), found["metadata"]["name"]


def test_secrets_of_ones_own_take_the_place_of_those_made():
    objects = render(
        "mosquitto.existingSecret=one,kafka.existingSecret=two,mongodb.existingSecret=three"
    )
    assert not {found["kind"] for found in objects} & {"Secret", "Job"}
    text = yaml.safe_dump(objects)
    for name in ("one", "two", "three"):
        assert re.search(rf"(secretN|n)ame: {name}\n", text)


def test_nothing_of_it_is_made_where_it_is_elsewhere():
    for files, sets in (((), EXTERNAL), ((CHART / "profiles/external.yaml",), ())):
        objects = render(*sets, values=files)
        assert not {o["kind"] for o in objects} & {"StatefulSet", "Job", "Kafka", "KafkaUser"}


@pytest.mark.parametrize(
    ("name", "annotation", "change"),
    [
        (BROKER, "checksum/config", "mosquitto.queueBytes=5000"),
        (BROKER, "checksum/secrets", "mosquitto.existingSecret=other"),
        (DATABASE, "checksum/secrets", "mongodb.existingSecret=other"),
    ],
)
def test_pods_restart_with_what_they_read(name: str, annotation: str, change: str):
    before, after = template(render(), name), template(render(change), name)
    assert (
        before["metadata"]["annotations"][annotation]
        != (after["metadata"]["annotations"][annotation])
    )


def test_a_version_of_the_chart_restarts_no_pod_and_changes_no_volume():
    def tells_a_version(found: Object) -> bool:
        labels = found["metadata"].get("labels", {})
        return bool(labels.keys() & {"helm.sh/chart", "app.kubernetes.io/version"})

    objects = render()
    for found in objects:
        claims = found.get("spec", {}).get("volumeClaimTemplates", [])
        assert not [claim for claim in claims if tells_a_version(claim)]
        if found["kind"] in ("Kafka", "KafkaNodePool"):  # which hand their labels on to the pods
            assert not tells_a_version(found)
    assert {name for name, pod in pods(objects) if tells_a_version(pod)} == {
        "Pod/demo-sensorpipe-test"  # new each time
    }


def requested(objects: list[Object], what: str, amount: str) -> float:
    """Return what all pods ask for, `requests` or `limits`."""
    total = 0.0
    for name, pod in pods(objects):
        if not name.startswith(("Pod/", "Job/")):  # these have ended, or begin later
            total += sum(
                float(parse_quantity(part["resources"][what][amount]))
                for part in pod["spec"]["containers"]
            )
    for kafka in of_kind(objects, "Kafka").values():
        for operator in ("topicOperator", "userOperator"):
            resources = kafka["spec"]["entityOperator"][operator]["resources"]
            total += float(parse_quantity(resources[what][amount]))
    for pool in of_kind(objects, "KafkaNodePool").values():
        each = parse_quantity(pool["spec"]["resources"][what][amount])
        total += float(each) * pool["spec"]["replicas"]
    return total


def test_the_values_as_they_are_fit_one_node_with_4_gb():
    objects = render()
    # Kubernetes takes some 0.7 GB, Strimzi's own operator 0.4 GB, and generators are to run
    assert requested(objects, "requests", "memory") < 2.2e9
    assert requested(objects, "requests", "cpu") < 1
    assert requested(objects, "limits", "memory") < 5e9


# --- Kafka ---


def test_topics_are_those_of_the_programs():
    objects = render("kafka.topics.partitions=7,kafka.topics.retention=1d12h")
    topics = {t["spec"]["topicName"]: t["spec"] for t in of_kind(objects, "KafkaTopic").values()}

    assert set(topics) == {names.COMPACTED, names.DEAD_COMPACTED, names.DEAD_READINGS}
    assert topics[names.COMPACTED]["partitions"] == 7
    assert topics[names.COMPACTED]["config"]["retention.ms"] == 36 * 3600 * 1000
    assert topics[names.DEAD_READINGS]["config"]["retention.ms"] == 336 * 3600 * 1000


@pytest.mark.parametrize(
    ("size", "percent", "kept", "segment"),
    [
        ("2Gi", 10, 214_748_364, 53_687_091),
        ("1.5G", 20, 300_000_000, 75_000_000),
        ("16Ti", 40, 7_036_874_417_766, 2**30),
        ("8Mi", 10, 4 * 2**20, 2**20),
    ],
)
def test_dead_letters_fill_their_part_of_the_volume_and_no_more(
    size: str, percent: int, kept: int, segment: int
):
    sets = (f"kafka.storage.size={size}", f"kafka.topics.deadLetterPercent={percent}")
    topics = {t["spec"]["topicName"]: t for t in of_kind(render(*sets), "KafkaTopic").values()}

    for name in (names.DEAD_COMPACTED, names.DEAD_READINGS):
        config = topics[name]["spec"]["config"]
        assert (config["retention.bytes"], config["segment.bytes"]) == (kept, segment)
    assert "retention.bytes" not in topics[names.COMPACTED]["spec"]["config"]


@pytest.mark.parametrize("text", ["500ms", "0.1s", "1h30m", "1.5h", "1.001s", "999999d"])
def test_durations_are_read_as_the_programs_read_them(text: str):
    topics = of_kind(render(f"kafka.topics.retention={text}"), "KafkaTopic")
    config = topics["demo-sensorpipe-compacted-sensor-readings"]["spec"]["config"]
    assert config["retention.ms"] == duration.parse_ms(text)


def test_users_may_do_their_part_only():
    users = of_kind(render(), "KafkaUser")

    def rights(name: str) -> dict[str, set[str]]:
        acls = users[f"demo-sensorpipe-{name}"]["spec"]["authorization"]["acls"]
        assert all(acl["resource"]["patternType"] == "literal" for acl in acls)
        return {acl["resource"]["name"]: set(acl["operations"]) for acl in acls}

    assert rights("compactor") == {
        names.COMPACTED: {"Describe", "DescribeConfigs", "Read", "Write"},
        names.DEAD_READINGS: {"Describe", "DescribeConfigs", "Write"},
    }
    assert rights("server") == {
        names.COMPACTED: {"Describe", "DescribeConfigs", "Read"},
        names.SERVER_GROUP: {"Read"},
        names.DEAD_COMPACTED: {"Describe", "Read", "Write"},  # to show them, as the other ones
        names.DEAD_READINGS: {"Describe", "Read"},
    }


def test_kafka_answers_with_a_password_over_tls_only_and_whom_it_serves():
    (listener,) = one(render(), "Kafka", "demo-sensorpipe")["spec"]["kafka"]["listeners"]
    assert listener["tls"] is True
    assert listener["authentication"] == {"type": "scram-sha-512"}

    def served(*sets: str) -> list[str]:
        (listener,) = one(render(*sets), "Kafka", "demo-sensorpipe")["spec"]["kafka"]["listeners"]
        labels = [peer["podSelector"]["matchLabels"] for peer in listener["networkPolicyPeers"]]
        return [found.get("app.kubernetes.io/component", found.get("app")) for found in labels]

    assert served() == ["compactor", "server"]
    assert served("server.autoscaling.by=lag") == ["compactor", "server", "keda-operator"]


def test_kafkas_pods_are_under_the_restricted_standard():
    spec = one(render(), "Kafka", "demo-sensorpipe")["spec"]
    for templates in (spec["kafka"]["template"], spec["entityOperator"]["template"]):
        assert templates["pod"]["securityContext"]["runAsNonRoot"] is True
        for name, part in templates.items():
            if name.endswith("Container"):
                context = part["securityContext"]
                assert context["allowPrivilegeEscalation"] is False
                assert context["capabilities"] == {"drop": ["ALL"]}
                assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_the_longest_name_is_not_too_long_for_brokers():
    objects = render(release="a" * 53)
    (cluster,), (pool,) = of_kind(objects, "Kafka"), of_kind(objects, "KafkaNodePool")
    assert len(f"{cluster}-{pool}-99") <= 63
    assert len(f"{cluster}-kafka-bootstrap") <= 63


def test_production_loses_nothing_with_a_broker():
    objects = render(values=(PRODUCTION,))
    (pool,) = of_kind(objects, "KafkaNodePool").values()
    config = one(objects, "Kafka", "demo-sensorpipe")["spec"]["kafka"]["config"]

    assert pool["spec"]["replicas"] == 3
    for topic in of_kind(objects, "KafkaTopic").values():
        assert topic["spec"]["replicas"] == 3
        assert topic["spec"]["config"]["min.insync.replicas"] == 2
    assert config["offsets.topic.replication.factor"] == 3
    assert config["min.insync.replicas"] == 2
    assert one(objects, "Deployment", "demo-sensorpipe-server")["spec"]["replicas"] == 2


def test_a_node_takes_one_broker_of_kafka_with_it_and_a_drain_waits_for_the_next():
    objects = render("topologyKey=topology.kubernetes.io/zone", values=(PRODUCTION,))
    template = one(objects, "Kafka", "demo-sensorpipe")["spec"]["kafka"]["template"]
    (spread,) = template["pod"]["topologySpreadConstraints"]
    (apart,) = template["pod"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]

    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    assert (spread["maxSkew"], spread["whenUnsatisfiable"]) == (1, "DoNotSchedule")
    assert spread["nodeTaintsPolicy"] == "Honor"
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert template["podDisruptionBudget"] == {"maxUnavailable": 1}


def test_what_is_said_of_brokers_selects_no_pod_of_the_entity_operator():
    objects = render()
    brokers, other = (strimzi_labels.of("demo-sensorpipe", name) for name in _COMPONENTS)
    pod = one(objects, "Kafka", "demo-sensorpipe")["spec"]["kafka"]["template"]["pod"]
    (spread,) = pod["topologySpreadConstraints"]
    (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    to_kafka = [
        rule["to"][0]["podSelector"]
        for name in ("compactor", "server")
        for rule in policy(objects, name)["egress"]
        if rule["ports"][0]["port"] == 9093
    ]

    for selector in (spread["labelSelector"], apart["labelSelector"], *to_kafka):
        assert selector["matchLabels"].items() <= brokers.items()
        assert not selector["matchLabels"].items() <= other.items()


def test_kafka_and_its_operators_run_on_the_nodes_chosen():
    spec = one(render("nodeSelector.disk=fast"), "Kafka", "demo-sensorpipe")["spec"]
    for part in (spec["kafka"], spec["entityOperator"]):
        nodes = part["template"]["pod"]["affinity"]["nodeAffinity"]
        (term,) = nodes["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        assert term["matchExpressions"] == [{"key": "disk", "operator": "In", "values": ["fast"]}]


# --- MongoDB ---


def environ(container: Object, folder: Path) -> dict[str, str]:
    """Return a container's variables, with its files in a folder."""
    mounted = container["volumeMounts"][0]["mountPath"]
    return {e["name"]: e["value"].replace(mounted, str(folder)) for e in container["env"]}


def test_what_provisions_the_database_makes_what_the_server_is_led_to(tmp_path: Path):
    objects = render("mongodb.database=readings")
    secret = made(objects).values("sensors", DATABASE)
    for key in ("admin-password", "server-password"):
        (tmp_path / key).write_text(secret[key])
    database, provision = template(objects, DATABASE)["spec"]["containers"]
    settings = Settings.read(environ(provision, tmp_path))
    uri: dict[str, Any] = parse_uri(secret["uri"])

    assert [settings.address] == uri["nodelist"]
    assert (settings.username, settings.password) == (uri["username"], uri["password"])
    assert settings.database == uri["database"] == "readings"
    assert settings.admin_password not in secret["uri"]
    assert uri["options"]["replicaSet"] == settings.replica_set
    assert f"--replSet={settings.replica_set}" in database["command"]
    host, _, service = settings.address[0].partition(".")
    assert host == f"{DATABASE}-0"
    assert service == f"{one(objects, 'Service', DATABASE)['metadata']['name']}.sensors.svc"


def test_the_database_can_reach_itself_before_it_is_ready():
    service = one(render(), "Service", DATABASE)["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    provision = template(render(), DATABASE)["spec"]["containers"][1]
    assert provision["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_databases_key_is_readable_by_nobody_else(tmp_path: Path):
    (prepare,) = template(render(), DATABASE)["spec"]["initContainers"]
    *shell, script = prepare["command"]
    (tmp_path / "keyfile").write_text("key")
    (tmp_path / "run").mkdir()
    here = script.replace("/source", str(tmp_path)).replace("/run/mongodb", f"{tmp_path}/run")
    subprocess.run([*shell, here], check=True)

    copied = tmp_path / "run/keyfile"
    assert copied.read_text() == "key"
    assert copied.stat().st_mode & 0o777 == 0o400


# --- who reaches whom ---


def test_the_database_is_reached_by_the_server_and_itself():
    rules = policy(render(), "mongodb")
    (ingress,) = rules["ingress"]
    components = [
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for peer in ingress["from"]
    ]
    assert components == ["server", "mongodb"]
    assert ingress["ports"] == [{"port": 27017, "protocol": "TCP"}]


def test_the_broker_is_reached_by_the_compactor_and_generators_where_sensors_may_be():
    def generators(*sets: str) -> Object:
        rules = policy(render(*sets), "mosquitto")
        assert rules["egress"] == []
        (ingress,) = rules["ingress"]
        compactor, found = ingress["from"]
        assert "namespaceSelector" not in compactor
        assert found["podSelector"]["matchLabels"].items() <= operator_names.labels("x").items()
        selector: Object = found["namespaceSelector"]
        return selector

    (expression,) = generators("sensors.namespaces={plant,hall}")["matchExpressions"]
    assert expression["values"] == ["sensors", "plant", "hall"]
    assert generators("sensors.clusterWide=true") == {}


def test_no_image_needs_an_entrypoint_of_its_own():
    for name in (BROKER, DATABASE):
        for container in containers(template(render(), name)):
            assert container["command"], container["name"]
            assert "args" not in container
