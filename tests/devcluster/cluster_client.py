"""What a test does with a cluster, whichever it is."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cluster_images
import cluster_programs
import yaml
from cluster_command import attempt
from cluster_home import UnavailableError

_RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
_TEST_BEDS = "198.18.0.0/15,127.0.0.1"
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


class KubectlError(RuntimeError):
    """kubectl, or helm, ended with an error; the text is what it said."""


class Maker(Protocol):
    """Where a cluster comes from: what kubectl cannot do."""

    def load(self, archive: Path) -> None:
        """Give the nodes the images of an archive."""

    def kill_part(self, name: str) -> None:
        """Kill a part of the control plane, which then starts again."""

    def stop(self) -> None:
        """Remove the cluster, if it was made for these tests."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that answers, and its administrator's kubeconfig."""

    kubeconfig: Path
    maker: Maker
    programs: Path | None = None
    """Where kubectl and helm are; None for those on the PATH."""
    images: str = ""
    """Names of images that the cluster can pull, with `{app}`; empty to build and load them."""
    loaded: dict[str, str] = field(default_factory=dict)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Return what kubectl printed, or raise KubectlError with its error."""
        return self._run("kubectl", *arguments, stdin=stdin, timeout=timeout)

    def helm(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
        """Return what helm printed, or raise KubectlError with its error."""
        return self._run("helm", *arguments, stdin=stdin, timeout=timeout)

    def apply(self, *objects: object, namespace: str = "default") -> str:
        """Apply objects, server-side."""
        stdin = yaml.safe_dump_all(objects)
        return self.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=stdin)

    def load_image(self, app: str) -> str:
        """Return the name of a program's image, which from now on every node can run."""
        if self.images:
            return self.images.format(app=app)
        if app not in self.loaded:
            image = cluster_images.build(app)
            self.maker.load(image.archive)
            self.loaded[app] = image.name
        return self.loaded[app]

    def restart_api_server(self) -> None:
        """Kill the API server; it is back within seconds."""
        self.maker.kill_part("kube-apiserver")

    @contextmanager
    def namespace(self, *labels: str) -> Iterator[str]:
        """Yield a new namespace that enforces the restricted standard; it goes afterwards."""
        name = f"test-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        try:
            self.kubectl("label", "namespace", name, _RESTRICTED, *labels)
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    @contextmanager
    def port_forward(self, target: str, port: int, namespace: str) -> Iterator[int]:
        """Yield a port on 127.0.0.1 that leads to a pod, or to one of a Service or Deployment."""
        command = self._command("kubectl", "port-forward", "-n", namespace, target, f":{port}")
        process = subprocess.Popen(
            [*command, "--address=127.0.0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environ,
            text=True,
        )
        with process:
            try:
                yield _local_port(process)
            finally:
                process.kill()

    @property
    def environ(self) -> dict[str, str]:
        """For programs that call the cluster: its kubeconfig, and a way past any proxy."""
        direct = ",".join(filter(None, (os.environ.get("NO_PROXY"), _TEST_BEDS)))
        return os.environ | {"KUBECONFIG": str(self.kubeconfig), "NO_PROXY": direct}

    def _command(self, program: str, *arguments: str) -> list[str]:
        folder = self.programs
        if folder is None and shutil.which(program) is None:
            # kind's clusters come without helm; any of these programs will do
            folder = cluster_programs.built()
            if folder is None:
                raise UnavailableError(
                    f"no {program} here; install it, or `make test-programs` builds one (with Go)"
                )
        return [program if folder is None else str(folder / program), *arguments]

    def _run(self, program: str, *arguments: str, stdin: str | None, timeout: float) -> str:
        command = self._command(program, *arguments)
        done = attempt(*command, stdin=stdin, environ=self.environ, timeout=timeout)
        if done.returncode:
            raise KubectlError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def _local_port(process: subprocess.Popen[str]) -> int:
    said = ""
    for line in process.stdout or ():
        if match := _FORWARDING.search(line):
            return int(match[1])
        said += line
    raise KubectlError(f"kubectl port-forward: {said.strip()}")
