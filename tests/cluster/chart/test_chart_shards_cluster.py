"""A release with a second compactor: topics move to it by upgrades, while readings flow."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cluster_client import Cluster, KubectlError
from sensorpipe_schema.sensor import API_VERSION
from support.chart.release import NAME, Release, flows, rest
from support.chart.release_site import uninstalled

HALLS = ("north_hall", "south_hall", "east_hall")
NORTH, SOUTH, EAST = (f"sensor_readings/{hall}/#" for hall in HALLS)


def sensor(facility: str) -> dict[str, Any]:
    """Return a Sensor of twenty readings a second."""
    level = {"name": "level", "signal": {"normal": {"mean": 1, "stdev": 1}}}
    spec = {"facility": facility, "count": 10, "interval": "500ms", "measurements": [level]}
    name = facility.replace("_", "-")
    return {"apiVersion": API_VERSION, "kind": "Sensor", "metadata": {"name": name}, "spec": spec}


def topics(first: list[str], *shard: str, taking_over: bool = False) -> list[str]:
    """Return the values for the topics of the first compactor, and of the shard `east`."""
    east = {"name": "east", "topic": list(shard), "takingOver": taking_over}
    return [
        "--set=networkPolicy.enabled=true",
        f"--set-json=compactor.topic={json.dumps(first)}",
        f"--set-json=compactor.shards={json.dumps([east])}",
    ]


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    """Two compactors, and readings for both."""
    with uninstalled(cluster) as made:
        made.install(*topics([NORTH, SOUTH], EAST))
        cluster.apply(*map(sensor, HALLS), namespace=made.namespace)
        made.wait_facilities(*HALLS)
        yield made


def kill(release: Release) -> None:
    """Kill both compactors at once, and wait until both are ready again."""
    chosen = "app.kubernetes.io/component in (compactor,compactor-shard)"
    release.kubectl("delete", "pods", "-l", chosen, "--wait", "--grace-period=0", "--force")
    for name in (f"{NAME}-compactor", f"{NAME}-compactor-east"):
        release.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")


def test_topics_move_from_one_compactor_to_another(release: Release):
    with pytest.raises(KubectlError, match="in the same upgrade in which"):
        release.upgrade(*topics([NORTH], EAST, SOUTH))
    release.upgrade(*topics([NORTH, SOUTH], EAST, SOUTH, taking_over=True))
    flows(release, HALLS[1])
    kill(release)
    flows(release, HALLS[1])
    with pytest.raises(KubectlError, match="still takes its topics"):
        release.upgrade(*topics([NORTH], EAST, SOUTH))
    release.upgrade(*topics([NORTH], EAST, SOUTH, taking_over=True))
    flows(release, HALLS[1])
    release.upgrade(*topics([NORTH], EAST, SOUTH))
    kill(release)
    for hall in HALLS:
        flows(release, hall)
    rest(release)
    assert "lost 0, duplicates 0" in release.verify()
    sources = release.ask("/api/integrity")["data"]
    assert {source["first"] for source in sources} == {1}  # nor is the beginning of one missing


def test_each_compactor_has_a_session_of_its_own(release: Release):
    held = release.get(f"secret/{NAME}-mosquitto")["data"]
    ids = [held["compactor-client-id"], held["compactor-client-id-east"]]
    assert len(set(ids)) == 2
