"""What stands for Strimzi in the chart's tests, held to what Strimzi itself would do."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from cluster_client import Cluster
from support.chart.render import one, render
from support.kube import client_pod
from support.strimzi import labels as strimzi_labels
from support.strimzi.stand_in import StandIn, strimzi
from support.waiting import until

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

FORCED = r".metadata.annotations['strimzi\.io/force-renew']"
GIVEN = "{apiVersion: v1, kind: Secret, metadata: {name: passwords}, stringData: {given: %s}}\n"
GIVEN_USER = """\
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata: {name: given, labels: {strimzi.io/cluster: pipe}}
spec:
  authentication:
    type: scram-sha-512
    password: {valueFrom: {secretKeyRef: {name: passwords, key: given}}}
"""


@dataclass(frozen=True)
class Pipe:
    """A namespace in which Kafka runs, and a pod to ask it from."""

    cluster: Cluster
    namespace: str
    stand_in: StandIn
    image: str

    def start(self) -> None:
        self.apply(
            CLUSTER, TOPIC, WRITER, READER, yaml.safe_dump(client_pod.pod(self.image, SECRETS))
        )
        resources = ["kafka/pipe", "kafkatopic/summaries", "kafkauser/writer", "kafkauser/reader"]
        self.kubectl("wait", *_READY, "pod/client", *resources)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, timeout=150)

    def apply(self, *manifests: str) -> None:
        self.kubectl("apply", "--server-side", "-f", "-", stdin="---\n".join(manifests))

    def field(self, what: str, path: str) -> str:
        return self.kubectl("get", *what.split("/"), "-o", f"jsonpath={{{path}}}")

    def authority(self) -> dict[str, str]:
        """Return the certificates and the key of the cluster's authority, by file name."""
        names = ("pipe-cluster-ca-cert", "pipe-cluster-ca")
        found = [json.loads(self.field(f"secret/{name}", ".data")) for name in names]
        return {
            file: b64decode(content).decode() for data in found for file, content in data.items()
        }

    def generations(self) -> tuple[str, str]:
        """Return with which certificate and which key of the authority the broker is ready."""
        pod = json.loads(
            self.kubectl("get", "pod/pipe-node-0", "-o", "json", "--ignore-not-found") or "{}"
        )
        ready = {"type": "Ready", "status": "True"}.items()
        if not any(ready <= one.items() for one in pod.get("status", {}).get("conditions", [])):
            return "", ""
        annotations = pod["metadata"]["annotations"]
        certificate, key = (f"strimzi.io/cluster-ca-{one}-generation" for one in ("cert", "key"))
        return annotations[certificate], annotations[key]

    def attempt(self, *attempts: str) -> list[str]:
        bootstrap = "pipe-kafka-bootstrap:9093"
        return client_pod.kafka(self.cluster, self.namespace, bootstrap, *attempts)


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


def test_an_authority_that_is_renewed_keeps_its_key(pipe: Pipe):
    before = pipe.authority()
    pipe.kubectl("annotate", "secret/pipe-cluster-ca-cert", "strimzi.io/force-renew=true")
    until(lambda: pipe.generations() == ("1", "0"))
    after = pipe.authority()
    assert after.pop("ca.key") == before.pop("ca.key")
    assert list(after) == list(before) == ["ca.crt"]
    assert after != before
    assert pipe.field("secret/pipe-cluster-ca-cert", FORCED) == ""


def test_clients_see_an_authority_with_another_key(pipe: Pipe):
    before = pipe.authority()
    pipe.kubectl("annotate", "secret/pipe-cluster-ca", "strimzi.io/force-replace=true")
    former: set[str] = set()

    def replaced() -> bool:
        former.update(set(pipe.authority()) - set(before))
        return pipe.generations() == ("2", "1") and set(pipe.authority()) == set(before)

    # the former one is trusted until the broker has a certificate of the new one
    until(replaced, seconds=180)
    assert [name[:3] + name[-5:] for name in former] == ["ca-Z.crt"]
    after = pipe.authority()
    assert after["ca.key"] != before["ca.key"]
    mounted = ("exec", "client", "--", "cat", "/secrets/ca/ca.crt")
    until(lambda: pipe.kubectl(*mounted) == after["ca.crt"], seconds=150)
    assert pipe.attempt("write:writer:compacted_summaries") == ["ok"]


def test_the_broker_stays_and_serves_the_next_cluster_of_the_name(pipe: Pipe):
    (data,) = pipe.attempt("read:reader:compacted_summaries")
    pod, uid = f"pod/{pipe.stand_in.pod}", ".metadata.uid"
    before = pipe.field(pod, uid)
    pipe.kubectl("delete", "kafka/pipe", "pod/client", "--timeout=60s")
    gone = ("service/pipe-kafka-brokers", "secret/pipe-cluster-ca-cert")
    pipe.kubectl("wait", "--for=delete", "--timeout=60s", *gone)
    owners = pipe.field("statefulset/pipe-node", ".metadata.ownerReferences[*].kind")
    assert owners == "KafkaNodePool"
    assert pipe.field(pod, uid) == before
    assert pipe.field(pod, ".metadata.deletionTimestamp") == ""
    pipe.start()
    assert pipe.attempt("read:reader:compacted_summaries") == [data]


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


def test_the_number_of_copies_of_a_topic_cannot_be_changed(pipe: Pipe):
    pipe.apply(TOPIC.replace("name: summaries", "name: copied").replace("_summaries", "_copied"))
    pipe.kubectl("wait", *_READY, "kafkatopic/copied")
    pipe.kubectl("patch", "kafkatopic/copied", "--type=merge", "-p", '{"spec":{"replicas":3}}')
    condition = '.status.conditions[?(@.type=="Ready")]'
    until(lambda: pipe.field("kafkatopic/copied", f"{condition}.status") == "False")
    assert pipe.field("kafkatopic/copied", f"{condition}.reason") == "NotSupported"
    assert pipe.field("kafkatopic/copied", f"{condition}.message") == (
        "Replication factor change not supported, but required for partitions [0]"
    )


def test_a_password_given_in_a_secret_is_read_when_the_user_changes(pipe: Pipe):
    def taken() -> str:
        return b64decode(pipe.field("secret/given", ".data.password")).decode()

    def look(name: str) -> None:
        """Have all users looked at: in the order of their names, this one last."""
        pipe.apply(USER % (name, _GROUP_RULE))
        pipe.kubectl("wait", *_READY, f"kafkauser/{name}")

    pipe.apply(GIVEN % "first", GIVEN_USER)
    pipe.kubectl("wait", *_READY, "kafkauser/given")
    look("later")  # the user's own status was a change of it, too
    assert taken() == "first"
    pipe.apply(GIVEN % "second")
    look("latest")
    assert taken() == "first"
    pipe.kubectl("annotate", "kafkauser/given", "checksum/secrets=another")
    until(lambda: taken() == "second")


def test_a_topic_goes_with_its_resource_and_a_user_with_its_secret(pipe: Pipe):
    pipe.kubectl("delete", "kafkatopic/summaries", "kafkauser/writer", "--timeout=60s")
    until(lambda: "writer" not in pipe.kubectl("get", "secrets", "-o", "name"))
    outcomes = pipe.attempt("write:writer:compacted_summaries")
    assert set(outcomes) <= {"KafkaConnectionError", "AuthenticationFailedError"}
