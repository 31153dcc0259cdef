"""Clusters of our own: one node each, started in seconds, gone without a trace when killed.

A cluster is one tree of processes in namespaces of its own. Stopping is killing the first of
them, so a crash and an orderly end are the same thing; what then remains (a folder and empty
control groups, all named after the slot) the next start in that slot removes.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import cluster_cgroups
import cluster_lock
import cluster_network
import cluster_programs
from cluster_command import run
from cluster_home import UnavailableError, home
from cluster_layout import SLOTS, Layout

_HERE = Path(__file__).parent
_NEEDED = {
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "ip": "iproute2",
    "openssl": "openssl",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
"""Programs and the Debian packages that bring them."""

_CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_WAIT_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class OwnCluster:
    """A running cluster; `process` is None if somebody else keeps it."""

    layout: Layout
    programs: Path
    process: subprocess.Popen[bytes] | None = None
    lock: FileIO | None = None
    """The slot's: nobody may start in it before this process has cleared it away."""

    def stop(self) -> None:
        """Kill it, if it is this process's, and remove what is left; once is enough."""
        if self.process is None or self.lock is None or self.lock.closed:
            return
        with self.lock:
            if self.process.stdin is not None:
                self.process.stdin.close()
            self.process.kill()
            self.process.wait()
            _clear_away(self.layout)

    def load(self, archive: Path) -> None:
        """Give the node the images of an archive."""
        ctr = [str(self.programs / "ctr"), "-a", str(self.layout.containerd_socket)]
        run(*ctr, "-n", "k8s.io", "images", "import", "--local", str(archive))

    def kill_part(self, name: str) -> None:
        """Kill one part of the node without warning; it is started again."""
        pids = [pid for pid in cluster_cgroups.processes(self.layout.cgroup) if calls(pid, name)]
        if not pids:
            raise RuntimeError(f"no {name} runs in {self.layout.folder}")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def why_not() -> str | None:
    """Return what this machine lacks to run a cluster, or None."""
    if (reason := why_never()) is not None:
        return reason
    if cluster_programs.built() is None:
        return "a cluster of our own needs programs that `make test-programs` builds, once"
    return None


def why_never() -> str | None:
    """Return what it lacks, the programs that can be built apart, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a cluster of our own needs Linux and root"
    lacking = sorted({package for name, package in _NEEDED.items() if shutil.which(name) is None})
    if not any((folder / "bridge").exists() for folder in _CNI_FOLDERS):
        lacking.append("containernetworking-plugins")
    if lacking:
        return f"a cluster of our own needs `apt-get install {' '.join(lacking)}`"
    return None


def running() -> OwnCluster | None:
    """Return the cluster that `make cluster-up` keeps, if there is one."""
    for layout in layouts():
        state = _state(layout)
        if state.get("kept") and _held(layout):
            return OwnCluster(layout, Path(state["programs"]))
    return None


def start(*, kept: bool = False) -> OwnCluster:
    """Start a cluster in a free slot; unless kept it ends with this process, at the latest."""
    reason, programs = why_not(), cluster_programs.built()
    if reason is not None or programs is None:
        raise UnavailableError(reason or "the programs are gone")
    layout, lock = _free_slot()
    try:
        _clear_away(layout)
        layout.folder.mkdir(mode=0o700)
        process = _launch(layout, programs, lock, kept=kept)
    except BaseException:
        os.close(lock)
        raise
    # the cluster's first process holds the lock too, and alone once this one ends
    cluster = OwnCluster(layout, programs, process, FileIO(lock, "r+"))
    try:
        _await_ready(layout, process)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def remove_kept() -> int:
    """Remove the cluster of `make cluster-up` and what crashes left; return how many."""
    removed = 0
    for layout in layouts():
        if not layout.folder.exists():
            continue
        if _held(layout):
            if not _state(layout).get("kept"):
                continue  # tests are at work there
            cluster_cgroups.remove(layout.cgroup)
        with cluster_lock.locked(layout.lock):
            _clear_away(layout)
        removed += 1
    return removed


def layouts() -> list[Layout]:
    """Return the layouts of all slots, taken or not."""
    return [Layout(home(), slot) for slot in range(SLOTS)]


def _held(layout: Layout) -> bool:
    lock = cluster_lock.take(layout.lock)
    if lock is not None:
        os.close(lock)
    return lock is None


def _state(layout: Layout) -> dict[str, str]:
    try:
        state: dict[str, str] = json.loads(layout.ready.read_text())
    except FileNotFoundError:
        return {}
    return state


def _free_slot() -> tuple[Layout, int]:
    for layout in layouts():
        if (lock := cluster_lock.take(layout.lock)) is not None:
            return layout, lock
    raise UnavailableError(f"{SLOTS} clusters run already in {home()}")


def _clear_away(layout: Layout) -> None:
    cluster_cgroups.remove(layout.cgroup)
    cluster_network.remove(layout)
    if layout.folder.exists():
        shutil.rmtree(layout.folder)


def _launch(layout: Layout, programs: Path, lock: int, *, kept: bool) -> subprocess.Popen[bytes]:
    command = ["unshare", "--mount", "--propagation=private", "--pid", "--mount-proc", "--fork"]
    command += ["--kill-child", sys.executable, str(_HERE / "cluster_init.py")]
    command += [f"--home={layout.home}", f"--slot={layout.slot}", f"--programs={programs}"]
    with (layout.folder / "init.log").open("ab") as log:
        return subprocess.Popen(
            command if kept else [*command, "--owned"],
            stdin=subprocess.DEVNULL if kept else subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"]},  # no setting of this host, no proxy, goes inside
            pass_fds=[lock],
            start_new_session=True,
        )


def _await_ready(layout: Layout, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not layout.ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            told = (layout.folder / "init.log").read_text(errors="replace")[-4000:]
            raise RuntimeError(f"the cluster did not come up:\n{told}")
        time.sleep(0.05)


def calls(pid: int, name: str) -> bool:
    """Whether this process runs the program of that name."""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return False
    return Path(argv[0].decode()).name == name
