"""The operator as a process beside the cluster, with the rights of its service account."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import yaml
from cluster_client import Cluster, KubectlError
from kubernetes.aio import client, config
from sensorpipe_cli.runner.child import free_port
from sensorpipe_operator.kube_api import KubeApi
from support.chart.render import Object, render
from support.waiting import until

NAMESPACE = "sensorpipe"
ACCOUNT = "sensorpipe-operator"
_RIGHTS = (
    "serviceaccounts.yaml",
    *(f"operator/{name}.yaml" for name in ("rbac", "roles", "feeds", "lease")),
)


@dataclass(slots=True)
class Operator:
    """A running operator."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """Return what its HTTP answers."""
        opener = build_opener(ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Return a metric without labels, or the sum over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        found = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def install(cluster: Cluster) -> None:
    """Define Sensors and Feeds, and the operator's account and rights in the whole cluster."""
    everything = templates("crds.yaml", *_RIGHTS, sets=["sensors.clusterWide=true"])
    names = cluster.kubectl("get", "namespaces", "-o", "name")
    if f"namespace/{NAMESPACE}" not in names.split():
        cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.apply(*everything, namespace=NAMESPACE)
    crds = ("crd/sensors.sensorpipe.dev", "crd/feeds.sensorpipe.dev")
    cluster.kubectl("wait", "--for=condition=Established", *crds, "--timeout=30s")


def explained(cluster: Cluster, path: str) -> str:
    """Return what kubectl explains of a path, once it describes each field there.

    The API server's document follows a definition after some time: until then it does not know the
    resource, or still has a field without description that another test added.
    """
    said = ""

    def settled() -> bool:
        nonlocal said
        try:
            said = cluster.kubectl("explain", path)
        except KubectlError:
            return False
        return "<no description>" not in said

    until(settled, state=lambda: said)
    return said


def templates(*files: str, sets: Sequence[str] = ()) -> list[Object]:
    """Return what the chart installs by these templates of its own."""
    chosen = [word for file in files for word in ("--show-only", f"templates/{file}")]
    return render(*sets, release="sensorpipe", namespace=NAMESPACE, more=chosen)


def kubeconfig(cluster: Cluster, folder: Path, account: str = ACCOUNT) -> Path:
    """Write a kubeconfig that has a service account's rights and no others."""
    made = yaml.safe_load(cluster.kubeconfig.read_text())
    token = cluster.kubectl("create", "token", account, "-n", NAMESPACE, "--duration=24h").strip()
    current = next(c for c in made["contexts"] if c["name"] == made["current-context"])
    made["users"] = [{"name": account, "user": {"token": token}}]
    current["context"]["user"] = account
    made["contexts"] = [current]
    path = folder / f"{account}.kubeconfig"
    path.write_text(yaml.safe_dump(made))
    path.chmod(0o600)
    return path


def running(
    cluster: Cluster, folder: Path, config_file: Path, **variables: str
) -> AbstractContextManager[Operator]:
    """Run an operator of a cluster until the end of the block."""
    return beside(folder, config_file, cluster.environ, **variables)


@contextmanager
def beside(
    folder: Path, config_file: Path, inherited: Mapping[str, str] = os.environ, **variables: str
) -> Iterator[Operator]:
    """Run an operator beside whatever API server the kubeconfig leads to."""
    port = free_port()
    given = {f"SENSORPIPE_{name}": value for name, value in variables.items()}
    environ = {k: v for k, v in inherited.items() if not k.startswith("SENSORPIPE_")}
    environ |= {"KUBECONFIG": str(config_file), "SENSORPIPE_HTTP": f"127.0.0.1:{port}", **given}
    log = folder / f"operator-{port}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "sensorpipe_operator"]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
    operator = Operator(process, port, log)
    try:
        until(lambda: operator.get("/readyz")[0] == 200 or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield operator
    finally:
        if operator.process.poll() is None:
            operator.stop()


@contextmanager
def frozen(operator: Operator) -> Iterator[None]:
    """Have the operator of the whole cluster do nothing, so that another can work alone."""
    operator.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        operator.process.send_signal(signal.SIGCONT)


@dataclass(slots=True)
class Namespace:
    """A namespace of a test, and kubectl in it."""

    cluster: Cluster
    name: str

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.name, *arguments, stdin=stdin)

    def apply(self, *objects: Any) -> None:
        self.cluster.apply(*objects, namespace=self.name)

    def get(self, what: str, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", what, *arguments, "-o", "json"))

    def names(self, what: str) -> list[str]:
        return sorted(item["metadata"]["name"] for item in self.get(what)["items"])

    def ours(self) -> list[str]:
        """Return what is there of Sensors and their children."""
        chosen = ["-l", "app.kubernetes.io/managed-by=sensorpipe-operator"]
        children = self.get("deployments,replicasets,pods,configmaps", *chosen)["items"]
        found = [*children, *self.get("sensors")["items"]]
        return sorted(f"{item['kind']}/{item['metadata']['name']}" for item in found)

    def condition(self, sensor: str, kind: str = "Ready") -> dict[str, Any]:
        status = self.get(f"sensor/{sensor}").get("status", {})
        return next((c for c in status.get("conditions", []) if c["type"] == kind), {})

    def wait_reason(
        self, sensor: str, reason: str, kind: str = "Ready", seconds: float = 60
    ) -> None:
        until(lambda: self.condition(sensor, kind).get("reason") == reason, seconds=seconds)

    def gone(self) -> bool:
        try:
            self.cluster.kubectl("get", "namespace", self.name)
        except KubectlError:
            return True
        return False


@asynccontextmanager
async def api(cluster: Cluster) -> AsyncIterator[KubeApi]:
    """Yield a plain client with the administrator's rights."""
    os.environ["NO_PROXY"] = cluster.environ["NO_PROXY"]
    settings = client.Configuration()
    settings.connection_pool_maxsize = 25
    await config.load_kube_config(
        config_file=str(cluster.kubeconfig), client_configuration=settings
    )
    async with client.ApiClient(settings) as made:
        yield KubeApi(made)
