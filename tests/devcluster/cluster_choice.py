"""Which cluster the tests get: the one given, kind's, or one of our own."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cluster_kind
import cluster_own
import cluster_programs
from cluster_client import Cluster
from cluster_home import UnavailableError

GIVEN = "SENSORPIPE_TEST_KUBECONFIG"
IMAGES = "SENSORPIPE_TEST_IMAGES"


@dataclass(frozen=True, slots=True)
class GivenCluster:
    """Somebody's cluster: used, never started, changed or removed."""

    def load(self, archive: Path) -> None:
        """Refuse: only its owner can bring images to it."""
        raise UnavailableError(
            f"{archive.name} cannot be loaded into the cluster of {GIVEN}: push the images of "
            f"`make images` where it can pull them, and name them in {IMAGES}, for instance "
            "registry.example/sensorpipe-{app}:test"
        )

    def kill_part(self, name: str) -> None:
        """Refuse: others may be using it."""
        raise UnavailableError(f"{name} of the cluster of {GIVEN} is not the tests' to kill")

    def stop(self) -> None:
        """Leave it as it is."""


def cluster() -> Cluster:
    """Return a cluster, started if need be; UnavailableError says why none is possible."""
    if given := os.environ.get(GIVEN):
        return _given(Path(given))
    return _made(kept=False)


def keep() -> Cluster:
    """Return the cluster of `make cluster-up`, which stays until `make cluster-down`."""
    return _made(kept=True)


def _made(*, kept: bool) -> Cluster:
    """Return kind's cluster, or one of our own where kind cannot make any."""
    try:
        kind = cluster_kind.running() or cluster_kind.start(kept=kept)
    except UnavailableError as no_kind:
        if (no_own := cluster_own.why_not()) is not None:
            raise UnavailableError(f"no cluster: {GIVEN} is not set; {no_kind}; {no_own}") from None
    else:
        return Cluster(kind.kubeconfig, kind)
    own = cluster_own.running() or cluster_own.start(kept=kept)
    return Cluster(own.layout.kubeconfig, own, own.programs)


def _given(kubeconfig: Path) -> Cluster:
    if not kubeconfig.is_file():
        raise UnavailableError(f"{GIVEN} names no file: {kubeconfig}")
    programs = None if shutil.which("kubectl") else cluster_programs.built()
    if programs is None and shutil.which("kubectl") is None:
        raise UnavailableError(f"no kubectl here for the cluster of {GIVEN}")
    images = os.environ.get(IMAGES, "")
    return Cluster(kubeconfig, GivenCluster(), programs, images=images)
