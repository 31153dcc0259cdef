"""Both Helms that the chart is for: a 4 and a 3."""

import functools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cluster_programs
from cluster_command import run
from cluster_home import UnavailableError
from support.chart import go as chart_go
from support.chart import render as chart_render

MAJORS = ("4", "3")

_BRING = {"4": "`make test-programs` builds it", "3": "`make test-helm3` builds it"}


def helm(major: str) -> Path:
    """Return a Helm of that major version, or raise UnavailableError."""
    for found in _helms():
        if _version(found).startswith(f"v{major}."):
            return found
    raise UnavailableError(
        f"no Helm {major} here; {_BRING[major]}, or name one in {chart_render.HELM}"
    )


def _helms() -> Iterator[Path]:
    with suppress(UnavailableError):
        yield chart_render.helm()
    if (built := cluster_programs.built()) is not None:
        yield built / "helm"
    with suppress(UnavailableError):
        yield chart_go.program("helm3")


@functools.cache
def _version(program: Path) -> str:
    return run(str(program), "version", "--template", "{{.Version}}")
