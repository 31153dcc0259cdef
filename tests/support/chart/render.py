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
from cluster_command import run
from cluster_home import UnavailableError
from support.services import ROOT

CHART = ROOT / "charts" / "sensorpipe"
HELM = "SENSORPIPE_TEST_HELM"

Object = dict[str, Any]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C, where PyYAML has it: seven times as fast."""


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
    raise UnavailableError(
        f"no helm here; `make test-programs` builds one (with Go), or name one in {HELM}"
    )


def render(
    *sets: str,
    values: Sequence[Path] = (),
    release: str = "demo",
    namespace: str = "sensors",
    more: Sequence[str] = (),
    program: Path | None = None,
) -> list[Object]:
    """Return what is installed with `--set` and values files; RefusedError if that is refused."""
    arguments = (*given(sets, values), "--namespace", namespace, *more)
    text = _template(program or helm(), release, str(CHART), *arguments)
    return [found for found in yaml.load_all(text, Loader=_LOADER) if found]


def manifest(*sets: str, values: Sequence[Path] = ()) -> str:
    """Return the same as Helm prints it."""
    arguments = (*given(sets, values), "--namespace", "sensors")
    return _template(helm(), "demo", str(CHART), *arguments)


def notes(*sets: str) -> str:
    """Return what helm tells after an install with these values."""
    command = [str(helm()), "install", "demo", str(CHART), "--dry-run=client", *given(sets, ())]
    nowhere = {**os.environ, "KUBECONFIG": os.devnull}
    return run(*command, environ=nowhere, timeout=60).partition("\nNOTES:\n")[2]


def given(sets: Sequence[str], values: Sequence[Path]) -> list[str]:
    """Return helm's arguments for `--set` and values files."""
    arguments = [word for file in values for word in ("--values", str(file))]
    return arguments + [word for setting in sets for word in ("--set", setting)]


def image(component: str, name: str) -> list[str]:
    """Return what `--set` takes for a component's image, given by its name and tag."""
    repository, _, tag = name.rpartition(":")
    return [f"{component}.image.repository={repository}", f"{component}.image.tag={tag}"]


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
def _template(program: Path, *arguments: str) -> str:
    command = [str(program), "template", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RefusedError(done.stderr)
    return done.stdout
