"""Clusters in Docker containers, made by kind where a Docker engine answers."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from build import docker_answers
from cluster_command import CommandError, run
from cluster_home import UnavailableError, home

_CONFIG = Path(__file__).parent.parent.parent / "manifests/kind.yaml"
IMAGE = "SENSORPIPE_TEST_KIND_IMAGE"
"""Names a node image in place of kind's own."""

_KEPT = "sensorpipe"
_PREFIX = "sensorpipe-test-"
"""Followed by the id of the process that made the cluster, so that leftovers can be told."""
_NO_IMAGE = "failed to pull image"
"""What kind says where no registry gives it the node image."""


@dataclass(frozen=True, slots=True)
class KindCluster:
    """A running cluster."""

    name: str
    kubeconfig: Path
    kept: bool

    def stop(self) -> None:
        """Remove it, unless it is kept."""
        if not self.kept:
            _remove(self.name)

    def load(self, archive: Path) -> None:
        """Give the node the images of an archive."""
        run("kind", "load", "image-archive", str(archive), f"--name={self.name}")

    def kill_part(self, name: str) -> None:
        """Kill one part of the control plane without warning; kubelet starts it again."""
        script = f"crictl stop --timeout 0 $(crictl ps --quiet --name {name})"
        run("docker", "exec", f"{self.name}-control-plane", "sh", "-c", script)


def why_not() -> str | None:
    """Return what this machine lacks for kind, or None."""
    if shutil.which("kind") is None:
        return "kind is not here"
    if shutil.which("kubectl") is None:
        return "kind is here, but not kubectl"
    return None if docker_answers() else "no Docker engine answers for kind"


def running() -> KindCluster | None:
    """Return the cluster that `make cluster-up` keeps, if there is one."""
    if why_not() is not None or _KEPT not in _clusters():
        return None
    return KindCluster(_KEPT, _kubeconfig(_KEPT), kept=True)


def start(*, kept: bool = False) -> KindCluster:
    """Create a cluster; UnavailableError where there is no kind, or no node image to be had."""
    if (reason := why_not()) is not None:
        raise UnavailableError(reason)
    for name in _clusters():
        if name.startswith(_PREFIX) and not _alive(name.removeprefix(_PREFIX)):
            _remove(name)
    name = _KEPT if kept else f"{_PREFIX}{os.getpid()}"
    kubeconfig = home() / f"kind-{name}.kubeconfig"
    image = os.environ.get(IMAGE, "")
    named = [f"--image={image}"] if image else []
    try:
        run("kind", "create", "cluster", f"--name={name}", f"--config={_CONFIG}",
             f"--kubeconfig={kubeconfig}", "--wait=180s", *named)  # fmt: skip
    except CommandError as error:
        # an image that was named is not replaced by another cluster without a word
        if image or _NO_IMAGE not in str(error):
            raise
        raise UnavailableError(
            f"kind's node image cannot be pulled here; {IMAGE} names another"
        ) from error
    return KindCluster(name, kubeconfig, kept)


def remove_kept() -> int:
    """Remove the cluster of `make cluster-up`; return how many that was."""
    if why_not() is not None or _KEPT not in _clusters():
        return 0
    _remove(_KEPT)
    return 1


def _clusters() -> list[str]:
    return run("kind", "get", "clusters", "--quiet").split()


def _kubeconfig(name: str) -> Path:
    """Return a kubeconfig of its own, so that nobody's ~/.kube/config is touched."""
    path = home() / f"kind-{name}.kubeconfig"
    run("kind", "export", "kubeconfig", f"--name={name}", f"--kubeconfig={path}")
    return path


def _remove(name: str) -> None:
    kubeconfig = home() / f"kind-{name}.kubeconfig"
    run("kind", "delete", "cluster", f"--name={name}", f"--kubeconfig={kubeconfig}")
    kubeconfig.unlink(missing_ok=True)


def _alive(pid: str) -> bool:
    """Whether the maker still runs; a name that holds no id is nobody's to remove."""
    return not pid.isdecimal() or Path(f"/proc/{pid}").exists()
