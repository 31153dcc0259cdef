"""What README and docs/kubernetes.md have Helm install is a chart that Helm can make."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from cluster_command import run
from support.chart import render as chart_render
from support.docs_pages import commands
from support.services import ROOT


@pytest.mark.parametrize("page", ["README.md", "docs/kubernetes.md"])
def test_helm_takes_the_command(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (typed,) = (one for one in commands(ROOT / page) if "charts/sensorpipe" in one)
    program, install, *arguments = shlex.split(typed)
    assert (program, install) == ("helm", "install")
    made = run(str(chart_render.helm()), "template", *arguments)
    registry = re.search(r"image\.registry=(\S+)", typed)
    images = set(re.findall(r"image: [\"']?(\S*sensorpipe-server\S*?)[\"']?\n", made))
    assert images == {
        f"{registry[1]}/sensorpipe-server:0.1.0" if registry else "sensorpipe-server:0.1.0"
    }
    assert {one["kind"] for one in yaml.safe_load_all(made) if one} >= {"Deployment", "Kafka"}


def test_the_samples_are_sensors() -> None:
    samples = sorted(Path(ROOT / "manifests/samples").glob("*.yaml"))
    assert [yaml.safe_load(one.read_text())["kind"] for one in samples] == ["Sensor"] * 3
