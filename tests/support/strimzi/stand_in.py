"""A stand-in for Strimzi's operator, which no registry of the tests has: openly no more than that.

From the very Kafka, KafkaNodePool, KafkaTopic and KafkaUser resources of one namespace it makes
what Strimzi 1.2 would, by the same names: an Apache Kafka 4.3.1 of one node with TLS, SCRAM and
ACLs on a volume that outlives it, Services, Secrets, topics, and a status on each resource. What
else Strimzi can do it refuses in the resource's status, as Strimzi does what is wrong.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cluster_client import Cluster, KubectlError
from support.kube import part_images
from support.strimzi import crds as strimzi_crds
from support.strimzi import status as strimzi_status
from support.strimzi.admin import Admin
from support.strimzi.api import Api, ApiError, Object, proxied
from support.strimzi.kafkas import Kafkas
from support.strimzi.properties import ADMIN_PORT, UnknownError
from support.strimzi.topics import Topics
from support.strimzi.users import Users
from support.strimzi.wire import connected
from support.waiting import until

_INTERVAL = 0.5
_WAIT_SECONDS = 120.0

_BROKERS = "strimzi.io/broker-role=true"
_TROUBLES = (ApiError, KubectlError, OSError, UnknownError)
"""What may be gone at the next look: a pod that restarts, a resource that lacks its other half."""


@dataclass(slots=True)
class StandIn:
    """Strimzi in one namespace, or what stands for it."""

    cluster: Cluster
    namespace: str
    trouble: Exception | None = None
    """What kept it last time from doing all there is to do."""
    _end: threading.Event = field(default_factory=threading.Event)
    _failure: Exception | None = None

    @property
    def pod(self) -> str:
        """The name of the broker's pod."""
        where = ("-n", self.namespace, "-l", _BROKERS)
        names = self.cluster.kubectl("get", "pods", *where, "-o", "name").split()
        if len(names) != 1:
            raise LookupError(f"{len(names)} pods of Kafka in {self.namespace}: {names}")
        return names[0].removeprefix("pod/")

    def restart(self, *arguments: str) -> None:
        """Delete the broker's pod (`--grace-period=0 --force`: kill it), and wait for the next."""
        pod = self.pod
        where = ("-n", self.namespace, f"pod/{pod}")
        old = self.cluster.kubectl("get", *where, "-o", "jsonpath={.metadata.uid}")
        self.cluster.kubectl("delete", *where, *arguments)
        shown = "jsonpath={.metadata.uid} {.status.conditions[?(@.type=='Ready')].status}"
        found = ""

        def is_back() -> bool:
            nonlocal found
            found = self.cluster.kubectl("get", *where, "-o", shown, "--ignore-not-found")
            return old not in found and found.endswith(" True")

        until(is_back, state=lambda: f"{pod} is {found!r}", seconds=_WAIT_SECONDS)

    def explain(self) -> str:
        """Return what may be wrong when something waited for Kafka in vain."""
        try:
            log = self.cluster.kubectl("logs", "-n", self.namespace, self.pod, "--tail=20")
        except (KubectlError, LookupError) as error:
            log = str(error)
        return f"The stand-in for Strimzi met {self.trouble or 'no trouble'}. Kafka's log:\n{log}"

    def run(self, image: str) -> None:
        """Look after the namespace until the end."""
        try:
            with proxied(self.cluster, self.namespace) as api:
                operators = _Operators(self.cluster, api, image)
                while not self._end.wait(_INTERVAL):
                    self.trouble = operators.look()
                operators.topics.release()
        except Exception as error:  # noqa: BLE001 - it is raised again where the test can see it
            self._failure = error

    def end(self, thread: threading.Thread) -> None:
        """Stop it; raise what it failed with."""
        self._end.set()
        thread.join()
        if self._failure is not None:
            raise RuntimeError("the stand-in for Strimzi failed") from self._failure


@contextmanager
def strimzi(cluster: Cluster, namespace: str) -> Iterator[StandIn]:
    """See that Kafka resources in the namespace are taken up, by Strimzi itself where it runs."""
    strimzi_crds.install(cluster)
    stand_in = StandIn(cluster, namespace)
    if strimzi_crds.has_operator(cluster):
        yield stand_in
        return
    image = part_images.load(cluster, "kafka")
    thread = threading.Thread(target=stand_in.run, args=(image,), name="strimzi", daemon=True)
    thread.start()
    try:
        yield stand_in
    except BaseException as error:
        error.add_note(stand_in.explain())
        raise
    finally:
        stand_in.end(thread)


class _Operators:
    """Strimzi's three: for clusters, users and topics."""

    def __init__(self, cluster: Cluster, api: Api, image: str) -> None:
        self._cluster = cluster
        self._api = api
        self._kafkas = Kafkas(api, image)
        self._users = Users(api)
        self.topics = Topics(api)

    def look(self) -> Exception | None:
        """Do what there is to do; return the trouble that it will be tried again after."""
        trouble = None
        try:
            for kafka in self._api.strimzi("Kafka"):
                if "deletionTimestamp" not in kafka["metadata"]:
                    trouble = self._look_after(kafka) or trouble
        except _TROUBLES as error:
            return error
        return trouble

    def _look_after(self, kafka: Object) -> Exception | None:
        try:
            ready = self._kafkas.reconcile(kafka)
        except UnknownError as error:
            strimzi_status.not_ready(self._api, kafka, error)
            return error
        if ready is None:
            return None
        made, pod = ready
        epoch = f"{kafka['metadata']['uid']} {pod}"
        changes = [
            *self._users.changes(made.name, epoch),
            *self.topics.changes(made.name, epoch),
        ]
        if changes:
            target = (f"pod/{made.pod}", ADMIN_PORT, self._api.namespace)
            with self._cluster.port_forward(*target) as port, connected(port) as wire:
                for change in changes:
                    change(Admin(wire))
        return None
