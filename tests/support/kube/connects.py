"""What a pod can connect to: TCP connections and questions to DNS, tried from within it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster_client import Cluster
from cluster_own import OwnCluster
from support.kube import restricted_pod

NAME_SERVER, API_SERVER = "the name server", "the API server"
"""Targets that are no pods."""

_SECONDS = 2.0
"""How long an attempt lasts: the first packet is sent twice, and dropped if denied."""

_ROUNDS = 5
"""So often is tried what should work, as it may be late on a busy machine."""

_SCRIPT = """\
import json, socket, sys, threading
seconds, targets = json.loads(sys.argv[1])
found = {}
def ask(address, port):
    # does the name server know a name? whatever it answers, it was reached
    query = bytes.fromhex("00010100000100000000000001610000010001")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(seconds / 2)
        asking.connect((address, port))
        for last in (False, True):
            asking.send(query)
            try:
                return asking.recv(512)
            except TimeoutError:
                if last:
                    raise
def attempt(name, address, port):
    try:
        if port == 53:
            ask(address, port)
        else:
            socket.create_connection((address, port), seconds).close()
    except OSError as error:
        found[name] = str(error)
    else:
        found[name] = ""
threads = [threading.Thread(target=attempt, args=one) for one in targets]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(json.dumps(found))
"""
_ECHO = """\
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 100
Server(("", PORT), Echo).serve_forever()
"""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod to try from: the namespace, its name and the container with a Python."""

    namespace: str
    name: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What to try: TCP to an address and port, or at port 53 a question to DNS."""

    name: str
    address: str
    port: int


def listener(name: str, image: str, labels: Mapping[str, str], port: int = 8080) -> dict[str, Any]:
    """Return a pod that accepts connections and echoes lines, of an image with Python."""
    pod = python_pod(name, image, _ECHO.replace("PORT", str(port)), labels)
    (container,) = pod["spec"]["containers"]
    container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    return pod


def python_pod(name: str, image: str, program: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a pod with these labels that runs a program in Python."""
    pod = restricted_pod.pod(name, image, "")
    pod["metadata"]["labels"] = dict(labels)
    pod["spec"]["containers"][0]["command"] = ["python3", "-uBc", program]
    return pod


def services(cluster: Cluster) -> list[Target]:
    """Return the name server and, where policies apply to its node, the API server.

    Whether a pod may reach the node it is on, is not for policies to say in every cluster.
    """
    found = [Target(NAME_SERVER, _service(cluster, "kube-system", "kube-dns"), 53)]
    if isinstance(cluster.maker, OwnCluster):
        found.append(Target(API_SERVER, _service(cluster, "default", "kubernetes"), 443))
    return found


def address(cluster: Cluster, pod: Pod) -> str:
    """Return a pod's address."""
    shown = ("-n", pod.namespace, "-o", "jsonpath={.status.podIP}")
    return cluster.kubectl("get", f"pod/{pod.name}", *shown)


def reached(
    cluster: Cluster, pod: Pod, targets: Iterable[Target], expected: Iterable[str] = ()
) -> set[str]:
    """Return the names of the targets that the pod reaches; what is expected is tried longer."""
    waiting, found = list(targets), set()
    for _ in range(_ROUNDS):
        outcomes = _attempt(cluster, pod, waiting)
        found |= {name for name, error in outcomes.items() if not error}
        waiting = [one for one in waiting if one.name in expected and one.name not in found]
        if not waiting:
            break
    return found


def _attempt(cluster: Cluster, pod: Pod, targets: list[Target]) -> dict[str, str]:
    """Return why each target was not reached; an empty text if it was."""
    listed = [(one.name, one.address, one.port) for one in targets]
    inner = [f"--container={pod.container}"] if pod.container else []
    command = ["-n", pod.namespace, "exec", "-i", pod.name, *inner, "--", "python3", "-B", "-"]
    said = cluster.kubectl(*command, json.dumps([_SECONDS, listed]), stdin=_SCRIPT)
    outcomes: dict[str, str] = json.loads(said)
    return outcomes


def _service(cluster: Cluster, namespace: str, name: str) -> str:
    shown = ("-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
    return cluster.kubectl("get", f"service/{name}", *shown)
