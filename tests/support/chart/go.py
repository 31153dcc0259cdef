"""What the chart's checks take from the Go module proxy: schemas and programs."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster_command import run
from cluster_home import UnavailableError, home
from cluster_lock import locked

KUBERNETES = {"1.34": "v1.34.4", "1.35": "v1.35.4", "1.36": "v1.36.3", "1.37": "v1.37.2"}
"""The newest version of each minor one that the chart is checked against."""

_MONITORING = "example/prometheus-operator-crd/monitoring.coreos.com_"

SOURCES = {
    **{
        f"k8s.io/kubernetes@{version}": {
            f"kubernetes-{minor}.json": "api/openapi-spec/swagger.json"
        }
        for minor, version in KUBERNETES.items()
    },
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": {
        "podmonitors.yaml": f"{_MONITORING}podmonitors.yaml",
        "prometheusrules.yaml": f"{_MONITORING}prometheusrules.yaml",
    },
    "github.com/kedacore/keda/v2@v2.21.0": {
        "scaledobjects.yaml": "config/crd/bases/keda.sh_scaledobjects.yaml",
        "triggerauthentications.yaml": "config/crd/bases/keda.sh_triggerauthentications.yaml",
    },
}
"""By module: what is kept of it, under which name, and its path there."""

PROGRAMS = {
    "helm3": ("helm.sh/helm/v3/cmd/helm@v3.18.6", "make test-helm3"),
    "helm-docs": ("github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2", "make chart-docs"),
    "kube-score": ("github.com/zegl/kube-score/cmd/kube-score@v1.20.0", "make test-scanners"),
    "promtool": ("github.com/prometheus/prometheus/cmd/promtool@v0.316.0", "make test-promtool"),
}
"""By name: a program's package, and the command that brings it."""

_TAGS = {"promtool": "remove_all_sd"}
"""Build tags: without all ways to discover what to scrape, promtool takes half the time."""

_SET = {
    "helm3": {
        "internal/version.version": "v3.18.6",
        "pkg/chartutil.k8sVersionMajor": "1",
        "pkg/chartutil.k8sVersionMinor": "33",
        "pkg/lint/rules.k8sVersionMajor": "1",
        "pkg/lint/rules.k8sVersionMinor": "33",
    }
}
"""What its authors set when they build it; Helm 3 would else be of Kubernetes 1.20."""


def main() -> None:
    """Bring what the arguments name, `schemas` or programs, and print where it is."""
    try:
        for name in sys.argv[1:]:
            print(bring_schemas() if name == "schemas" else bring_program(name))
    except UnavailableError as error:
        sys.exit(str(error))


def schema(name: str) -> Path:
    """Return a schema's file, or raise UnavailableError with the command that brings it."""
    for module, kept in SOURCES.items():
        if name in kept and (file := _kept(module) / name).is_file():
            return file
    raise UnavailableError(f"no {name} here; `make test-schemas` brings it (with Go)")


def program(name: str) -> Path:
    """Return a program, or raise UnavailableError with the command that brings it."""
    file = _built(name)
    if not file.is_file():
        raise UnavailableError(f"no {name} here; `{PROGRAMS[name][1]}` builds it (with Go)")
    return file


def bring_schemas() -> Path:
    """Take the schemas that are not there yet out of their modules; return their folder."""
    with locked(_folder() / "lock"):
        for module, kept in SOURCES.items():
            if not all((_kept(module) / name).is_file() for name in kept):
                print(f"Taking the schemas out of {module}", file=sys.stderr)
                _take(module, kept)
    return _folder()


def bring_program(name: str) -> Path:
    """Build a program if it is not there yet (a minute or two), and return it."""
    file = _built(name)
    with locked(_folder() / "lock"):
        if not file.is_file():
            package = PROGRAMS[name][0]
            print(f"Building {package}", file=sys.stderr)
            with _module_cache() as environ:
                environ |= {"GOBIN": str(file.parent), "CGO_ENABLED": "0"}
                tags = f"-tags={_TAGS.get(name, '')}"
                flags = ("-trimpath", tags, f"-ldflags={_link_flags(name)}")
                run(_go(), "install", *flags, package, environ=environ)
            made = package.partition("@")[0].rpartition("/")[2]
            (file.parent / made).rename(file)
    return file


def _link_flags(name: str) -> str:
    module = PROGRAMS[name][0].partition("/cmd/")[0]
    values = (f"-X {module}/{key}={value}" for key, value in _SET.get(name, {}).items())
    return " ".join(("-s", "-w", *values))


def _take(module: str, kept: dict[str, str]) -> None:
    folder = _kept(module)
    folder.mkdir(exist_ok=True)
    with _module_cache() as environ:
        source = _present(module) or _download(module, environ)
        for name, path in kept.items():
            unfinished = folder / f"{name}.unfinished"
            shutil.copyfile(source / path, unfinished)
            unfinished.rename(folder / name)


def _present(module: str) -> Path | None:
    """Return where Go has the module already, as it has that of the tests' own cluster."""
    folder = Path(run(_go(), "env", "GOMODCACHE").strip()) / module
    return folder if folder.is_dir() else None


def _download(module: str, environ: dict[str, str]) -> Path:
    told = json.loads(run(_go(), "mod", "download", "-json", module, environ=environ))
    return Path(told["Dir"])


@contextmanager
def _module_cache() -> Iterator[dict[str, str]]:
    """Yield the settings of a Go that leaves nothing of what it downloads."""
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        yield {"GOMODCACHE": folder, "GOFLAGS": flags}


def _folder() -> Path:
    folder = home() / "chart"
    folder.mkdir(exist_ok=True)
    return folder


def _kept(module: str) -> Path:
    return _folder() / module.replace("/", "_")


def _built(name: str) -> Path:
    return _folder() / f"{name}-{PROGRAMS[name][0].rpartition('@')[2]}"


def _go() -> str:
    if (found := shutil.which("go")) is None:
        raise UnavailableError("no Go here, which the chart's checks bring their parts with")
    return found


if __name__ == "__main__":
    main()
