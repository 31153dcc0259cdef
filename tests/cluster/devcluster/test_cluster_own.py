"""Clusters of the tests' own come and go without a trace, and leave others alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cluster_cgroups
import cluster_lock
import cluster_own
import pytest
from cluster_client import Cluster
from cluster_home import UnavailableError
from cluster_own import OwnCluster

DEVCLUSTER = Path(__file__).parents[2] / "devcluster"
_OWNER = """\
import cluster_own, sys
print(cluster_own.start().layout.slot, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def possible() -> None:
    """Skip where this machine can have no cluster of the tests' own."""
    if (reason := cluster_own.why_not()) is not None:
        raise UnavailableError(reason)


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[OwnCluster]:
    request.getfixturevalue("possible")
    started = cluster_own.start()
    yield started
    started.stop()


def client(own: OwnCluster) -> Cluster:
    return Cluster(own.layout.kubeconfig, own, own.programs)


def traces(own: OwnCluster) -> list[str]:
    """All that can outlive a cluster: files, control groups, the link, processes, mounts."""
    layout = own.layout
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    mounts = Path("/proc/mounts").read_text()
    found = [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{layout.cgroup}")]
    found += [str(layout.folder)] if layout.folder.exists() else []
    found += [line for line in links.splitlines() if f"{layout.link}@" in line]
    found += [line for line in mounts.splitlines() if str(layout.folder) in line]
    return found + [str(pid) for pid in cluster_cgroups.processes(layout.cgroup)]


def test_one_leaves_nothing_and_the_next_starts_in_its_place(own: OwnCluster):
    own.stop()
    assert traces(own) == []

    again = cluster_own.start()
    try:
        assert again.layout == own.layout
        assert client(again).kubectl("get", "--raw", "/readyz") == "ok"
    finally:
        again.stop()
    assert traces(again) == []


def test_two_run_beside_each_other(own: OwnCluster):
    other = cluster_own.start()
    try:
        client(other).kubectl("create", "namespace", "only-here")
        assert "only-here" not in client(own).kubectl("get", "namespaces")
    finally:
        other.stop()
    assert client(own).kubectl("get", "--raw", "/readyz") == "ok"


@pytest.mark.usefixtures("possible")
@pytest.mark.parametrize("victim", ["owner", "first process", "all processes"])
def test_what_a_crash_leaves_is_gone_after_the_next_start(victim: str):
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=DEVCLUSTER,
    ) as owner:
        assert owner.stdout is not None
        crashed = int(owner.stdout.readline())
        layout = next(one for one in cluster_own.layouts() if one.slot == crashed)
        pids = cluster_cgroups.processes(layout.cgroup)
        if victim == "owner":
            owner.kill()
        else:
            for pid in sorted(pids)[: 1 if victim == "first process" else None]:
                with suppress(ProcessLookupError):  # gone with the first process
                    os.kill(pid, signal.SIGKILL)
            owner.kill()

    with cluster_lock.locked(layout.lock):  # the kernel lets it go when the cluster has ended
        pass
    fresh = cluster_own.start()
    try:
        assert fresh.layout == layout
        assert not pids & cluster_cgroups.processes(layout.cgroup)
        assert client(fresh).kubectl("get", "--raw", "/readyz") == "ok"
    finally:
        fresh.stop()
    assert traces(fresh) == []


def test_no_packet_finds_a_way_out(own: OwnCluster):
    node = next(
        pid
        for pid in cluster_cgroups.processes(own.layout.cgroup)
        if cluster_own.calls(pid, "etcd")
    )
    routes = subprocess.run(
        ["nsenter", f"--net=/proc/{node}/ns/net", "ip", "route"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"src {own.layout.node_address}" in routes
    assert "default" not in routes
