"""What the chart makes of values, without a cluster."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cluster_programs
import yaml
from cluster_home import UnavailableError
from services import ROOT

CHART = ROOT / "charts" / "sensorpipe"
HELM = "SENSORPIPE_TEST_HELM"

Object = dict[str, Any]


class RefusedError(AssertionError):
    """Helm did not render these values; the text is what it said."""


def helm() -> Path:
    """Return a helm: the one named, the one on the path, or the one built for the cluster."""
    if named := os.environ.get(HELM):
        return Path(named)
    if found := shutil.which("helm"):
        return Path(found)
    if (built := cluster_programs.built()) is not None:
        return built / "helm"
    raise UnavailableError(f"no helm here: install Helm 3.18 or newer, or name one in {HELM}")


def render(
    *sets: str,
    values: Sequence[Path] = (),
    release: str = "demo",
    namespace: str = "sensors",
    more: Sequence[str] = (),
    program: Path | None = None,
) -> list[Object]:
    """Return what is installed with `--set` and values files; RefusedError if that is refused."""
    text = _template(program or helm(), sets, tuple(values), release, namespace, tuple(more))
    return [found for found in yaml.safe_load_all(text) if found]


def manifest(*sets: str, values: Sequence[Path] = ()) -> str:
    """Return the same as Helm prints it."""
    return _template(helm(), sets, tuple(values), "demo", "sensors", ())


def one(objects: list[Object], kind: str, name: str) -> Object:
    """Return the one object of that kind and name."""
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """Return all objects of a kind by name."""
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Yield the name of whatever makes pods, or is one, and the pod's spec and metadata."""
    for found in objects:
        name = f"{found['kind']}/{found['metadata']['name']}"
        if found["kind"] == "Pod":
            yield name, found
        elif found["kind"] == "CronJob":
            yield name, found["spec"]["jobTemplate"]["spec"]["template"]
        elif found["kind"] in ("Deployment", "StatefulSet", "Job", "DaemonSet"):
            yield name, found["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """Return all containers of a pod, those that only start it included."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


@functools.cache
def _template(
    program: Path,
    sets: tuple[str, ...],
    values: tuple[Path, ...],
    release: str,
    namespace: str,
    more: tuple[str, ...],
) -> str:
    command = [str(program), "template", release, str(CHART), "--namespace", namespace, *more]
    for file in values:
        command += ["--values", str(file)]
    for setting in sets:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return done.stdout
