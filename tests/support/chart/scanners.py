"""What kube-score and checkov find in what is installed, in the Dockerfile and in the workflows."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from cluster_command import attempt
from cluster_home import UnavailableError
from sensorpipe_operator.desired.builders import build_children
from sensorpipe_schema.sensor import Sensor
from support.chart import go as chart_go
from support.chart.go import KUBERNETES
from support.chart.profiles import PROFILES
from support.chart.render import manifest
from support.kube.operator_parts import SETTINGS, sensor_body
from support.services import ROOT

SCANNED = (
    *("defaults", "production", "external", "everything"),
    *("scaled by cpu", "in the whole cluster", "in several namespaces", "behind an Ingress"),
)
"""The profiles that are scanned, each with what the operator makes of a Sensor there."""

CHECKOV = Path(os.environ.get("SENSORPIPE_TEST_CHECKOV", ROOT / ".cache/checkov/bin/checkov"))

Finding = tuple[str, str]
"""A check, and the object that it objects to: its name without the release's."""

_OPTIONAL = ("container-seccomp-profile", "container-ports-check")
"""Checks of kube-score that are off by default and that are to hold here."""

_OK = 10
"""kube-score's grade for what it has nothing to say against."""

_WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
_OTHERS = ("images/Dockerfile", *(str(file.relative_to(ROOT)) for file in _WORKFLOWS))


def renderings(folder: Path) -> list[Path]:
    """Write what each scanned profile installs to a file of its own."""
    files = []
    for name in SCANNED:
        profile = PROFILES[name]
        text = manifest(*profile.sets, values=profile.files)
        files.append(folder / f"{name}.yaml")
        files[-1].write_text(f"{text}\n---\n{yaml.safe_dump_all(_generator())}")
    return files


def by_kube_score(files: list[Path]) -> set[Finding]:
    """Return what kube-score finds, warnings included; UnavailableError if it is not here."""
    program = str(chart_go.program("kube-score"))
    newest = ".".join(list(KUBERNETES.values())[-1].split(".")[:2])
    options = ["--kubernetes-version", newest, "--output-format", "json"]
    options += [word for check in _OPTIONAL for word in ("--enable-optional-test", check)]
    found: set[Finding] = set()
    for file in files:
        done = attempt(program, "score", *options, str(file), timeout=120)
        for scored in json.loads(done.stdout):
            found |= {
                (check["check"]["id"], _short(scored["object_meta"]["name"]))
                for check in scored["checks"]
                if not check["skipped"] and check["grade"] < _OK
            }
    return found


def by_checkov(files: list[Path]) -> set[Finding]:
    """Return what checkov finds in these, in the Dockerfile and in the workflows."""
    if not CHECKOV.is_file():
        raise UnavailableError("no checkov here; `make test-scanners` brings it (from PyPI)")
    done = attempt(
        *(str(CHECKOV), "--skip-download", "--quiet", "--compact", "--output", "json"),
        *("--framework", "kubernetes", "dockerfile", "github_actions"),
        *("--file", *map(str, files), *_OTHERS),
        folder=ROOT,
        timeout=600,
    )
    reports = json.loads(done.stdout)
    assert {report["check_type"] for report in reports if report["summary"]["passed"]} == {
        "kubernetes",
        "dockerfile",
        "github_actions",
    }
    return {finding for report in reports for finding in _failed(report)}


def _failed(report: dict[str, Any]) -> Iterator[Finding]:
    assert report["summary"]["parsing_errors"] == 0
    for check in report["results"]["failed_checks"]:
        if report["check_type"] == "kubernetes":
            # KIND.NAMESPACE.NAME
            yield check["check_id"], _short(check["resource"].split(".", 2)[2])
        else:
            yield check["check_id"], Path(check["file_path"]).name


def _short(name: str) -> str:
    """Return an object's name without the release's, and without the hash in that of a Job."""
    return re.sub(r"^(passwords)-[0-9a-f]{8}$", r"\1", name.removeprefix("demo-sensorpipe-"))


def _generator() -> list[dict[str, Any]]:
    body = sensor_body()
    body["metadata"] |= {"name": "generator", "namespace": "sensors"}
    return build_children(Sensor.parse(body), "u-1", SETTINGS)
