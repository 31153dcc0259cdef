"""The control groups of one cluster: they name every process of it, whatever became of its parent.

On cgroup v1 the group exists in each hierarchy; on v2 in the one.
"""

import os
import signal
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_WAIT_SECONDS = 20.0


def create(name: str) -> None:
    """Make the group everywhere, and become its first process."""
    for hierarchy in _hierarchies():
        inner = hierarchy / name / "node"
        inner.mkdir(parents=True, exist_ok=True)
        if not _needs_setting_up(inner):
            (inner / "cgroup.procs").write_text(str(os.getpid()))
    _delegate(name)


def processes(name: str) -> set[int]:
    """Return the ids of all processes of the group and the groups below."""
    found: set[int] = set()
    for hierarchy in _hierarchies():
        # unlike rglob, walk passes over a group that goes while it is looked at
        for folder, _, _ in os.walk(hierarchy / name):
            try:
                found.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
            except OSError:
                continue
    return found - {0}


def remove(name: str) -> None:
    """Kill what still runs in the group, and remove it."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while any((hierarchy / name).is_dir() for hierarchy in _hierarchies()):
        for pid in processes(name):
            _kill(pid)
        for hierarchy in _hierarchies():
            _remove_tree(hierarchy / name)
        if time.monotonic() > deadline:
            raise TimeoutError(f"the control group {name} still has {sorted(processes(name))}")
        time.sleep(0.02)


def _hierarchies() -> list[Path]:
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [
        folder
        for folder in _ROOT.iterdir()
        if not folder.is_symlink() and (folder / "cgroup.procs").exists()
    ]


def _needs_setting_up(group: Path) -> bool:
    """A new v1 cpuset is empty and takes no process until it has processors."""
    return (group / "cpuset.cpus").exists() and not (group / "cpuset.cpus").read_text().strip()


def _delegate(name: str) -> None:
    """On v2, let the groups below have the controllers that there are."""
    for group in (_ROOT, _ROOT / name):
        if (group / "cgroup.controllers").exists():
            there = set((group / "cgroup.controllers").read_text().split())
            passed_on = set((group / "cgroup.subtree_control").read_text().split())
            for controller in sorted(there - passed_on):
                (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _remove_tree(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:  # a process in it has not ended yet: the caller comes again
            continue
