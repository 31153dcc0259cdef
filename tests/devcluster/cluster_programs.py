"""The programs of our own cluster: built once from the Go module proxy, and kept."""

import hashlib
import os
import shutil
from pathlib import Path

from cluster_command import run
from cluster_home import UnavailableError, home
from cluster_lock import locked

HERE = Path(__file__).parent
KUBERNETES = "v1.37.2"
OTHERS = {
    "github.com/containerd/containerd/v2/cmd/containerd": "v2.4.2",
    "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2": "v2.4.2",
    "github.com/containerd/containerd/v2/cmd/ctr": "v2.4.2",
    "github.com/coredns/coredns": "v1.15.0",
    "sigs.k8s.io/kube-network-policies/cmd/kube-network-policies/standard": "v1.1.1",
}
"""Each is built as its own module, with the dependencies its authors tested."""

_CALLED = {"standard": "kube-network-policies"}
"""By the name that Go builds a program under, its own where that is another."""

NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "helm",
)
"""The names under which the one program of `node/` is called."""

_SOURCES = ("go.mod", "go.sum", "node/main.go", "pause/main.go")


def built() -> Path | None:
    """Return the folder of the finished programs, or None before `build`."""
    folder = _folder()
    if not folder.is_dir():
        return None
    os.utime(folder)  # in use, for whoever prunes
    return folder


def build() -> Path:
    """Build what is not there yet (minutes), and return its folder; raises UnavailableError."""
    if (folder := built()) is not None:
        return folder
    if shutil.which("go") is None:
        raise UnavailableError("no Go here to build the cluster's programs with (1.26 or newer)")
    with locked(home() / "build.lock"):
        if (folder := built()) is not None:
            return folder
        return _build(_folder())


def _folder() -> Path:
    identity = hashlib.sha256(repr((KUBERNETES, OTHERS, _CALLED, NAMES)).encode())
    for name in _SOURCES:
        identity.update((HERE / name).read_bytes())
    return home() / f"programs-{identity.hexdigest()[:12]}"


def _build(folder: Path) -> Path:
    unfinished = folder.with_suffix(".unfinished")
    unfinished.mkdir(exist_ok=True)
    version = " ".join(
        f"-X {package}.gitVersion={KUBERNETES}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    )
    _go(unfinished, "build", "-o", str(unfinished / "pause"), "./pause")
    _go(unfinished, "build", "-o", str(unfinished / "node"), "./node", ldflags=version)
    for module, number in OTHERS.items():
        _go(unfinished, "install", f"{module}@{number}")
    for built_as, name in _CALLED.items():
        (unfinished / built_as).rename(unfinished / name)
    for name in NAMES:
        (unfinished / name).unlink(missing_ok=True)
        (unfinished / name).symlink_to("node")
    unfinished.rename(folder)
    return folder


def _go(output: Path, verb: str, *arguments: str, ldflags: str = "") -> None:
    environ = {"CGO_ENABLED": "0", "GOBIN": str(output)}
    flags = ("-trimpath", "-ldflags", f"-s -w {ldflags}")
    run("go", verb, *flags, *arguments, environ=environ, folder=HERE)
