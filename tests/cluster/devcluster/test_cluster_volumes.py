"""The volumes of a cluster of our own: as many as there are, and each again and again."""

import json
from pathlib import Path

import cluster_volumes
from cluster_client import Cluster
from cluster_home import UnavailableError
from cluster_own import OwnCluster
from support.kube import part_images, restricted_pod
from support.waiting import until


def claimant(image: str, volumes: int) -> list[dict[str, object]]:
    """A pod with so many volumes, that leaves something in each."""
    names = [f"data-{number}" for number in range(volumes)]
    claimed = {f"/data/{name}": {"persistentVolumeClaim": {"claimName": name}} for name in names}
    script = "for folder in /data/*; do mkdir $folder/old; done"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim: dict[str, object] = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec}
    claims = [{**claim, "metadata": {"name": name}} for name in names]
    return [*claims, restricted_pod.pod("ask", image, script, claimed)]


def state(cluster: Cluster) -> dict[str, str]:
    """What each volume is: Available, Bound, Released."""
    volumes = json.loads(cluster.kubectl("get", "pv", "-o", "json"))["items"]
    return {one["spec"]["hostPath"]["path"]: one["status"]["phase"] for one in volumes}


def test_a_volume_that_nobody_claims_any_more_is_empty_for_the_next(cluster: Cluster):
    if not isinstance(cluster.maker, OwnCluster):
        raise UnavailableError("this cluster has a provisioner of its own")
    image = part_images.load(cluster, "mosquitto")
    with cluster.namespace() as namespace:
        cluster.apply(*claimant(image, volumes=6), namespace=namespace)
        succeeded = "--for=jsonpath={.status.phase}=Succeeded"
        cluster.kubectl("wait", succeeded, "pod/ask", "-n", namespace, "--timeout=60s")
        bound = {path for path, phase in state(cluster).items() if phase == "Bound"}
        assert len([path for path in bound if Path(path, "old").is_dir()]) == 6
        cluster.kubectl("delete", "pods,pvc", "--all", "-n", namespace, "--timeout=60s")

    def are_available() -> bool:
        found = state(cluster)
        return all(not Path(path, "old").exists() and found[path] == "Available" for path in bound)

    until(are_available, state=lambda: state(cluster))


def test_what_is_emptied_is_the_folder_and_nothing_that_it_points_to(tmp_path: Path):
    kept = tmp_path / "kept"
    kept.mkdir()
    volume = tmp_path / "volume"
    (volume / "old").mkdir(parents=True)
    (volume / "file").write_text("data")
    (volume / "link").symlink_to(kept)
    cluster_volumes._empty(volume)
    assert list(volume.iterdir()) == []
    assert kept.is_dir()
