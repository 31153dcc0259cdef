"""Which images the chart runs: what users name, else what is pinned by digest."""

import re

import pytest
import yaml
from support.chart.parts import OPERATOR, environ
from support.chart.render import CHART, containers, pods, render
from support.chart.values import VALUES

PINNED: dict[str, str] = yaml.safe_load((CHART / "files/digests.yaml").read_text())
DIGEST = f"sha256:{'0' * 64}"


def run(*sets: str) -> set[str]:
    """Return the images of all pods."""
    return {part["image"] for _, pod in pods(render(*sets)) for part in containers(pod)}


def official(part: str) -> str:
    """Return the default name of Mosquitto's or MongoDB's image, without a digest."""
    image = VALUES[part]["image"]
    return f"{image['repository']}:{image['tag']}"


def test_what_is_not_built_here_is_pinned_by_digest() -> None:
    assert set(PINNED) == {official("mosquitto"), official("mongodb")}
    for digest in PINNED.values():
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    assert {f"{name}@{digest}" for name, digest in PINNED.items()} <= run()


def test_mongodb_is_not_one_that_shows_memory() -> None:
    """CVE-2025-14847 is in 8.0.0 to 8.0.16."""
    version = tuple(map(int, VALUES["mongodb"]["image"]["tag"].split(".")))
    assert (8, 0, 17) <= version < (8, 1)


@pytest.mark.parametrize("part", ["mosquitto", "mongodb"])
@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"tag": "v9"}, "{repository}:v9"),
        ({"repository": "localhost/mine"}, "localhost/mine:{tag}"),
        ({"repository": "localhost/mine", "tag": "v9"}, "localhost/mine:v9"),
        ({"digest": DIGEST}, "{repository}@" + DIGEST),
        ({"digest": DIGEST, "tag": "v9"}, "{repository}@" + DIGEST),
    ],
    ids=str,
)
def test_what_users_name_is_what_runs(part: str, given: dict[str, str], name: str) -> None:
    image = VALUES[part]["image"]
    found = run(*(f"{part}.image.{key}={value}" for key, value in given.items()))
    assert name.format(repository=image["repository"], tag=image["tag"]) in found
    assert not any(one.endswith(PINNED[official(part)]) for one in found)


def test_a_mirror_keeps_the_digests() -> None:
    found = run("global.imageRegistry=mirror.example")
    for name, digest in PINNED.items():
        assert f"{name.replace('docker.io', 'mirror.example')}@{digest}" in found


def test_the_programs_images_follow_the_charts_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f"sensorpipe-server:{chart['appVersion']}" in run()
    image = environ(render("image.tag=v7"), OPERATOR)["SENSORPIPE_GENERATOR_IMAGE"]
    assert image == "sensorpipe-generator:v7"
