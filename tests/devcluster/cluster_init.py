"""Process 1 of a cluster of our own: brings the node up, then keeps its parts running.

`cluster_own` starts it in new mount and process namespaces, so that everything it starts or
mounts ends with it.
"""

import argparse
import json
import os
from pathlib import Path

import cluster_archive
import cluster_cgroups
import cluster_config
import cluster_network
import cluster_parts
import cluster_pki
from cluster_api import Api
from cluster_command import run
from cluster_layout import Layout
from cluster_supervisor import Supervisor

_FOLDERS = ("log", "cni", "etcd", "containerd", "volumes", "var/lib", "var/log", "var/tmp")


def main() -> None:
    """Run the cluster until it is killed, or until its owner ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--owned", action="store_true", help="end at the end of stdin")
    arguments = parser.parse_args()
    layout = Layout(arguments.home, arguments.slot)
    prepare(layout)
    supervisor = Supervisor(layout, _environ(layout, arguments.programs))
    bring_up(layout, supervisor, arguments.programs)
    state = {"programs": str(arguments.programs), "kept": not arguments.owned}
    unfinished = layout.ready.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(state))
    unfinished.rename(layout.ready)
    supervisor.run(owned=arguments.owned)


def prepare(layout: Layout) -> None:
    """Make folders, control groups, mounts and network."""
    for name in _FOLDERS:
        (layout.folder / name).mkdir(parents=True)
    for number in range(1, cluster_config.VOLUMES + 1):
        volume = layout.folder / "volumes" / str(number)
        volume.mkdir()
        volume.chmod(0o777)  # whatever user a pod runs as
    cluster_cgroups.create(layout.cgroup)
    # parts of Kubernetes insist on paths below /var and /run: here these are the cluster's own
    run("mount", "--bind", str(layout.folder / "var"), "/var")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    Path("/var/run").symlink_to("/run")
    cluster_network.create(layout)


def bring_up(layout: Layout, supervisor: Supervisor, programs: Path) -> None:
    """Start the parts in the order of their needs; return when the node is Ready."""
    cluster_pki.write(layout)
    for path, text in cluster_config.files(layout).items():
        path.write_text(text)
    for part in (cluster_parts.etcd, cluster_parts.containerd, cluster_parts.api_server):
        supervisor.start(part(layout))
    supervisor.until(layout.containerd_socket.exists, "container runtime")
    _load_pause(layout, programs)
    api = Api(layout)
    supervisor.until(lambda: api.get("/readyz") is not None, "API server")
    for part in (
        cluster_parts.kubelet,
        cluster_parts.controllers,
        cluster_parts.scheduler,
        cluster_parts.proxy,
        cluster_parts.policies,
        cluster_parts.dns,
        cluster_parts.volumes,
    ):
        supervisor.start(part(layout))
    _apply(layout, programs)
    supervisor.until(api.node_ready, "Ready node")
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    supervisor.until(lambda: api.get(account) is not None, "default service account")
    supervisor.until(cluster_network.decides, "one who decides by NetworkPolicies")


def _load_pause(layout: Layout, programs: Path) -> None:
    archive = layout.folder / "pause.tar"
    cluster_archive.pack(programs / "pause", cluster_config.PAUSE_IMAGE, archive)
    socket = str(layout.containerd_socket)
    run(str(programs / "ctr"), "-a", socket, "-n", "k8s.io", "images", "import", str(archive))


def _apply(layout: Layout, programs: Path) -> None:
    kubectl = [str(programs / "kubectl"), f"--kubeconfig={layout.kubeconfig}"]
    manifests = cluster_config.manifests(layout)
    environ = _environ(layout, programs)
    run(*kubectl, "apply", "-f", "-", stdin=manifests, environ=environ)


def _environ(layout: Layout, programs: Path) -> dict[str, str]:
    """Nothing of the host's settings, proxies above all, reaches the parts."""
    path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": str(layout.folder)}


if __name__ == "__main__":
    os.chdir("/")
    main()
