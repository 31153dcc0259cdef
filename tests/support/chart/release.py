"""The chart as a release on a real cluster, used as its users do: helm, kubectl, HTTP, verify."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster_client import Cluster
from sensorpipe_cli.client.http import get
from support.chart.render import CHART, image
from support.kube import part_images
from support.waiting import until

NAME = "sensorpipe"
_APPS = ("operator", "generator", "compactor", "server")


def forget_definitions(cluster: Cluster) -> None:
    """Remove the resources that other tests left: Helm takes over nothing that is another's."""
    names = ("sensors.sensorpipe.dev", "feeds.sensorpipe.dev")
    cluster.kubectl("delete", "crd", *names, "--ignore-not-found", "--wait", "--timeout=60s")


@dataclass(frozen=True, slots=True)
class Release:
    """One installation of the chart, named like the chart."""

    cluster: Cluster
    namespace: str
    images: tuple[str, ...]
    """`--set` arguments that name images the cluster can run."""

    def install(self, *arguments: str) -> str:
        """Install and wait until everything is ready; return what helm printed."""
        return self._helm("install", *arguments)

    def upgrade(self, *arguments: str) -> str:
        """Upgrade to the chart's values and those in the arguments, and wait."""
        return self._helm("upgrade", *arguments)

    def rollback(self) -> str:
        """Go back to the revision before, and wait."""
        return self.cluster.helm(
            "rollback", NAME, "-n", self.namespace, "--wait", "--timeout=5m", timeout=330
        )

    def uninstall(self) -> str:
        """Uninstall, and wait until what goes is gone."""
        return self.cluster.helm(
            "uninstall", NAME, "-n", self.namespace, "--wait", "--timeout=3m", timeout=200
        )

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 200) -> str:
        """Return what kubectl prints in the release's namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin, timeout=timeout)

    def get(self, what: str, *arguments: str) -> Any:
        """Return an object, or a list of them."""
        return json.loads(self.kubectl("get", what, *arguments, "-o", "json"))

    def pods(self, component: str) -> list[str]:
        """Return the names of a component's pods."""
        chosen = f"app.kubernetes.io/component={component}"
        return [pod["metadata"]["name"] for pod in self.get("pods", "-l", chosen)["items"]]

    def replace(self, component: str, *how: str) -> None:
        """Delete a component's pods, and wait until those that follow are ready."""
        chosen = f"app.kubernetes.io/component={component}"
        self.kubectl("delete", "pods", "-l", chosen, "--wait", *how)
        self.settle(component)

    def settle(self, component: str) -> None:
        """Wait until a component's Deployment or StatefulSet has all its pods ready."""
        chosen = f"app.kubernetes.io/component={component}"
        (found,) = self.get("deployments,statefulsets", "-l", chosen)["items"]
        name = f"{found['kind'].lower()}/{found['metadata']['name']}"
        self.kubectl("rollout", "status", name, "--timeout=180s")

    @contextmanager
    def api(self) -> Iterator[str]:
        """Yield the API's address, forwarded as a user would."""
        target = f"service/{NAME}-server"
        with self.cluster.port_forward(target, 8080, self.namespace) as port:
            yield f"http://127.0.0.1:{port}"

    def token(self, account: str = f"{NAME}-reader") -> str:
        """Return a token for the API, made as the chart's notes have a user make it."""
        return self.kubectl("create", "token", account, "--audience=sensorpipe").strip()

    def verify(self) -> str:
        """Run `sensorpipe verify` until all is stored; return what it prints, 0 and 0 or fail."""
        with self.api() as url:
            command = [sys.executable, "-m", "sensorpipe_cli", "verify", f"--url={url}"]
            done = subprocess.run(
                [*command, "--wait", "--timeout=120s", "--token-file=-"],
                input=self.token(),
                capture_output=True,
                env=os.environ | {"COLUMNS": "140"},
                text=True,
                timeout=180,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, path: str) -> Any:
        """Return what the API answers."""
        with self.api() as url:
            return ask(url, path, self.token())

    def wait_facilities(self, *names: str) -> None:
        """Wait until the API has windows of these facilities."""

        def there() -> bool:
            found = {item["_id"] for item in self.ask("/api/stats?sensors=temperature,level")}
            return found >= set(names)

        until(there)

    def _helm(self, verb: str, *arguments: str) -> str:
        images = [f"--set={one}" for one in self.images]
        common = [NAME, str(CHART), "-n", self.namespace, "--wait", "--timeout=5m"]
        return self.cluster.helm(verb, *common, *images, *arguments, timeout=330)


def ask(url: str, path: str, token: str | None = None) -> Any:
    """Return the JSON that an address answers."""
    return json.loads(get(f"{url}{path}", seconds=20, token=token))


def chart_images(cluster: Cluster) -> tuple[str, ...]:
    """Return settings for images that the cluster can run: ours, broker, and database."""
    ours = {app: cluster.load_image(app) for app in _APPS}
    parts = {part: part_images.load(cluster, part) for part in ("mosquitto", "mongodb")}
    return tuple(
        setting for component, name in (ours | parts).items() for setting in image(component, name)
    )


def windows(release: Release, facility: str) -> int:
    """Return how many windows of a facility are stored."""
    total: int = release.ask(f"/api/sensors/{facility}?limit=1")["pagination"]["total"]
    return total


def flows(release: Release, facility: str) -> None:
    """Wait until a further window of a facility is stored."""
    before = windows(release, facility)
    until(lambda: windows(release, facility) > before)


def rest(release: Release) -> None:
    """Suspend all Sensors, and wait until their generators have drained and ended."""
    for sensor in release.get("sensors")["items"]:
        patch = json.dumps({"spec": {"suspend": True}})
        name = sensor["metadata"]["name"]
        release.kubectl("patch", "sensor", name, "--type=merge", "-p", patch)
    until(lambda: not release.pods("generator"))


def resume(release: Release, *names: str) -> None:
    """Let Sensors publish again."""
    for name in names:
        patch = json.dumps({"spec": {"suspend": False}})
        release.kubectl("patch", "sensor", name, "--type=merge", "-p", patch)
