"""The tests' cluster enforces NetworkPolicies: without that, those of the chart mean nothing."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cluster_cgroups
import pytest
from cluster_client import Cluster
from cluster_home import UnavailableError
from cluster_own import OwnCluster
from support.kube import connects
from support.kube.connects import Pod, Target
from support.waiting import until

PORT = 8080
TALK = """\
import socket, time
server = socket.create_connection(("ADDRESS", PORT), 20).makefile("rw")
while True:
    print("hello", file=server, flush=True)
    print(server.readline().strip())
    time.sleep(0.1)
"""


def policy(pod: str, direction: str) -> dict[str, Any]:
    """Return what lets nothing through to, or from, a pod."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": pod},
        "spec": {"podSelector": {"matchLabels": {"app": pod}}, "policyTypes": [direction]},
    }


class Site:
    """A pod that nobody is to reach, one that is to reach nobody, and one like any other."""

    def __init__(self, cluster: Cluster, namespace: str, image: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.image = image
        self.services = connects.services(cluster)

    def everything(self, name: str) -> set[str]:
        """Return what a pod reaches as long as no policy keeps it from that."""
        pods = {"free", "closed", "mute"} - {name}
        return pods | {service.name for service in self.services}

    def run(self, *pods: dict[str, Any]) -> None:
        self.cluster.apply(*pods, namespace=self.namespace)
        names = [f"pod/{pod['metadata']['name']}" for pod in pods]
        ready = ("wait", "--for=condition=Ready", *names, "--timeout=60s")
        self.cluster.kubectl("-n", self.namespace, *ready)

    def address(self, name: str) -> str:
        return connects.address(self.cluster, Pod(self.namespace, name))

    def reached(self, name: str, *expected: str) -> set[str]:
        """Return what a pod reaches of everything; what is expected is tried longer."""
        others = [one for one in ("free", "closed", "mute") if one != name]
        targets = [Target(one, self.address(one), PORT) for one in others]
        pod = Pod(self.namespace, name)
        return connects.reached(self.cluster, pod, [*targets, *self.services], expected)

    def open(self, name: str, *, but: str = "") -> bool:
        """Whether a pod reaches everything but one."""
        expected = self.everything(name) - {but}
        return self.reached(name, *expected) == expected


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    image = cluster.load_image("generator")
    with cluster.namespace() as namespace:
        made = Site(cluster, namespace, image)
        made.run(*(connects.listener(one, image, {"app": one}) for one in
                   ("free", "closed", "mute")))  # fmt: skip
        yield made


@contextmanager
def policies(site: Site) -> Iterator[None]:
    """Let nobody reach one pod, and another reach nobody."""
    wanted = (policy("closed", "Ingress"), policy("mute", "Egress"))
    site.cluster.apply(*wanted, namespace=site.namespace)
    until(lambda: "closed" not in site.reached("free") and not site.reached("mute"))
    yield
    site.cluster.kubectl("delete", "networkpolicy", "--all", "-n", site.namespace)


def test_policies_hold_in_their_direction_for_as_long_as_they_exist(site: Site):
    for pod in ("free", "closed", "mute"):
        assert site.open(pod)
    with policies(site):
        assert site.open("free", but="closed")
        assert site.open("closed")
        assert site.reached("mute") == set()
    until(lambda: site.open("free") and site.open("mute"))


def test_what_the_node_begins_no_policy_keeps_out(site: Site):
    forwarded = site.cluster.port_forward("pod/closed", PORT, site.namespace)
    with (
        policies(site),
        forwarded as port,
        socket.create_connection(("127.0.0.1", port), 20) as one,
    ):
        one.sendall(b"hello\n")
        assert one.recv(6) == b"hello\n"


def test_a_connection_that_exists_is_not_asked_about(site: Site):
    talk = TALK.replace("ADDRESS", site.address("closed")).replace("PORT", str(PORT))
    site.run(connects.python_pod("talker", site.image, talk, {"app": "talker"}))

    def heard() -> int:
        log = site.cluster.kubectl("-n", site.namespace, "logs", "pod/talker")
        return log.count("hello")

    until(heard)
    with policies(site):
        before = heard()
        until(lambda: heard() > before + 1)


def process(own: OwnCluster, program: str) -> int:
    """Return the id of a process of the cluster's node that has this word on its command line."""
    for pid in cluster_cgroups.processes(own.layout.cgroup):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if any(Path(word).name == program for word in words[:2]):
            return pid
    raise LookupError(program)


@contextmanager
def nobody_decides(own: OwnCluster) -> Iterator[None]:
    """Kill who decides by policies, and keep the node from starting it again."""
    first = process(own, "cluster_init.py")
    os.kill(first, signal.SIGSTOP)
    try:
        own.kill_part("kube-network-policies")
        yield
    finally:
        os.kill(first, signal.SIGCONT)


def test_nothing_new_gets_through_while_nobody_decides(site: Site):
    own = site.cluster.maker
    if not isinstance(own, OwnCluster):
        raise UnavailableError("what decides in this cluster is not the tests' to kill")
    with nobody_decides(own):
        assert site.reached("free") == set()
    until(lambda: site.open("free"))
