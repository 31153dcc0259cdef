"""What stands for Strimzi in the chart's tests, held to what Strimzi itself would do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asker_pod
import pytest
import strimzi_labels
import yaml
from chart_render import one, render
from cluster_client import Cluster
from operator_process import until
from strimzi_stand_in import StandIn, strimzi

pytestmark = pytest.mark.cluster

SECRETS = {"ca": "pipe-cluster-ca-cert", "writer": "writer", "reader": "reader"}
_READY = ("--for=condition=Ready", "--timeout=120s")

CLUSTER = """\
apiVersion: kafka.strimzi.io/v1
kind: KafkaNodePool
metadata: {name: node, labels: {strimzi.io/cluster: pipe}}
spec:
  replicas: 1
  roles: [controller, broker]
  resources: {requests: {cpu: 200m, memory: 768Mi}, limits: {cpu: "2", memory: 1Gi}}
  storage:
    type: jbod
    volumes: [{id: 0, type: persistent-claim, size: 1Gi, kraftMetadata: shared}]
---
apiVersion: kafka.strimzi.io/v1
kind: Kafka
metadata: {name: pipe}
spec:
  kafka:
    version: 4.3.1
    listeners:
      - {name: tls, port: 9093, type: internal, tls: true, authentication: {type: scram-sha-512}}
    authorization: {type: simple}
    config:
      auto.create.topics.enable: false
      default.replication.factor: 1
      group.initial.rebalance.delay.ms: 0
      min.insync.replicas: 1
      offsets.topic.replication.factor: 1
      transaction.state.log.min.isr: 1
      transaction.state.log.replication.factor: 1
  entityOperator: {topicOperator: {}, userOperator: {}}
"""
TOPIC = """\
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata: {name: summaries, labels: {strimzi.io/cluster: pipe}}
spec:
  topicName: compacted_summaries
  partitions: 1
  replicas: 1
  config: {retention.ms: 604800000}
"""
USER = """\
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata: {name: %s, labels: {strimzi.io/cluster: pipe}}
spec:
  authentication: {type: scram-sha-512}
  authorization: {type: simple, acls: [%s]}
"""
_TOPIC_RULE = "{resource: {type: topic, name: compacted_, patternType: prefix}, operations: [%s]}"
_GROUP_RULE = "{resource: {type: group, name: compacted_summaries_group}, operations: [Read]}"
WRITER = USER % ("writer", _TOPIC_RULE % "Write, Describe")
READER = USER % ("reader", f"{_TOPIC_RULE % 'Read, Describe'}, {_GROUP_RULE}")


@dataclass(frozen=True)
class Pipe:
    """A namespace in which Kafka runs, and a pod to ask it from."""

    cluster: Cluster
    namespace: str
    stand_in: StandIn
    image: str

    def start(self) -> None:
        self.apply(
            CLUSTER, TOPIC, WRITER, READER, yaml.safe_dump(asker_pod.pod(self.image, SECRETS))
        )
        resources = ["kafka/pipe", "kafkatopic/summaries", "kafkauser/writer", "kafkauser/reader"]
        self.kubectl("wait", *_READY, "pod/asker", *resources)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, timeout=150)

    def apply(self, *manifests: str) -> None:
        self.kubectl("apply", "--server-side", "-f", "-", stdin="---\n".join(manifests))

    def field(self, what: str, path: str) -> str:
        return self.kubectl("get", *what.split("/"), "-o", f"jsonpath={{{path}}}")

    def attempt(self, *attempts: str) -> list[str]:
        bootstrap = "pipe-kafka-bootstrap:9093"
        return asker_pod.kafka(self.cluster, self.namespace, bootstrap, *attempts)


@pytest.fixture(scope="module")
def pipe(cluster: Cluster) -> Iterator[Pipe]:
    image = cluster.load_image("server")
    with cluster.namespace() as namespace, strimzi(cluster, namespace) as stand_in:
        made = Pipe(cluster, namespace, stand_in, image)
        made.start()
        yield made


# --- where its pods may run ---


def placed(name: str, component: str, where: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod that only has to find a node: its image is nowhere."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    main = {"name": "main", "image": "localhost/none:1", "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": strimzi_labels.of("pipe-sensorpipe", component)},
        "spec": {**where, "containers": [{**main, "securityContext": restricted}]},
    }


@contextmanager
def tainted_node(cluster: Cluster) -> Iterator[None]:
    """Have a second node, as a control plane is one: nothing may run there."""
    label = {"kubernetes.io/hostname": "tainted"}
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "tainted", "labels": label},
            "spec": {"taints": [taint]},
        }
    )
    try:
        yield
    finally:
        cluster.kubectl("delete", "node", "tainted")


def test_a_broker_finds_the_one_node_there_is_and_no_second_one_does(cluster: Cluster):
    pod = one(render(release="pipe"), "Kafka", "pipe-sensorpipe")["spec"]["kafka"]["template"]
    where = {key: pod["pod"][key] for key in ("affinity", "topologySpreadConstraints")}
    with cluster.namespace() as namespace, tainted_node(cluster):

        def state(name: str) -> tuple[str, str]:
            path = "{.spec.nodeName} {.status.conditions[?(@.type=='PodScheduled')].reason}"
            said = cluster.kubectl("-n", namespace, "get", "pod", name, "-o", f"jsonpath={path}")
            node, _, reason = said.partition(" ")
            return node, reason

        def runs(name: str) -> bool:
            return state(name)[0] not in ("", "tainted")

        cluster.apply(placed("operator", "entity-operator", {}), namespace=namespace)
        until(lambda: runs("operator"))
        cluster.apply(placed("first", "kafka", where), namespace=namespace)
        until(lambda: runs("first"))
        cluster.apply(placed("second", "kafka", where), namespace=namespace)
        until(lambda: state("second") == ("", "Unschedulable"))


# --- what it makes ---


def test_each_user_may_do_its_part_and_no_more(pipe: Pipe):
    topic = "compacted_summaries"
    assert pipe.attempt(f"write:writer:{topic}") == ["ok"]
    assert pipe.attempt(
        f"group:reader:{topic}",
        f"read:reader:{topic}",
        f"write:reader:{topic}",
        f"read:writer:{topic}",
        f"group:writer:{topic}",
        "write:writer:another",
    ) == [
        "ok",
        "1 read",
        "TopicAuthorizationFailedError",
        "TopicAuthorizationFailedError",
        "GroupAuthorizationFailedError",
        "TopicAuthorizationFailedError",
    ]


def test_without_its_password_nobody_gets_an_answer(pipe: Pipe):
    outcomes = pipe.attempt("wrong:writer:compacted_summaries", "none:nobody:compacted_summaries")
    assert set(outcomes) <= {"KafkaConnectionError", "AuthenticationFailedError"}


def test_every_resource_says_that_it_is_ready_as_it_is_now(pipe: Pipe):
    for what in ("kafka/pipe", "kafkanodepool/node", "kafkatopic/summaries", "kafkauser/reader"):
        observed = pipe.field(what, ".status.observedGeneration")
        assert observed == pipe.field(what, ".metadata.generation")
    assert pipe.field("kafka/pipe", ".status.listeners[0].bootstrapServers").endswith(":9093")


def test_data_survives_the_pod(pipe: Pipe):
    (before,) = pipe.attempt("read:reader:compacted_summaries")
    pipe.stand_in.restart("--grace-period=0", "--force")
    assert pipe.attempt("read:reader:compacted_summaries") == [before]


def test_data_is_found_again_by_a_cluster_of_the_same_name(pipe: Pipe):
    (before,) = pipe.attempt("read:reader:compacted_summaries")
    pipe.kubectl("delete", "kafka/pipe", "pod/asker", "--timeout=60s")
    gone = ("statefulset/pipe-node", "secret/pipe-cluster-ca-cert")
    pipe.kubectl("wait", "--for=delete", "--timeout=60s", *gone)
    pipe.start()
    assert pipe.attempt("read:reader:compacted_summaries") == [before]


def test_a_changed_permission_takes_effect(pipe: Pipe):
    pipe.apply(USER % ("writer", _TOPIC_RULE % "Read, Write, Describe"))
    until(lambda: pipe.attempt("read:writer:compacted_summaries")[0].endswith("read"))


def test_a_resource_that_strimzi_would_refuse_says_why(pipe: Pipe):
    pipe.apply(TOPIC.replace("name: summaries", "name: large").replace("_summaries", "_large"))
    pipe.kubectl("wait", *_READY, "kafkatopic/large")
    pipe.kubectl("patch", "kafkatopic/large", "--type=merge", "-p", '{"spec":{"topicName":"b"}}')
    message = '.status.conditions[?(@.type=="Ready")].message'
    expected = "Changing spec.topicName is not supported"
    until(lambda: pipe.field("kafkatopic/large", message) == expected)


def test_a_topic_goes_with_its_resource_and_a_user_with_its_secret(pipe: Pipe):
    pipe.kubectl("delete", "kafkatopic/summaries", "kafkauser/writer", "--timeout=60s")
    until(lambda: "writer" not in pipe.kubectl("get", "secrets", "-o", "name"))
    outcomes = pipe.attempt("write:writer:compacted_summaries")
    assert set(outcomes) <= {"KafkaConnectionError", "AuthenticationFailedError"}
