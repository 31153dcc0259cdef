"""A place for a release on a cluster: a namespace with Strimzi, and images that the cluster has."""

from collections.abc import Iterator
from contextlib import contextmanager

from cluster_client import Cluster
from support.chart.release import Release, chart_images, forget_definitions
from support.strimzi.stand_in import strimzi


@contextmanager
def uninstalled(cluster: Cluster) -> Iterator[Release]:
    """Yield a release that is not installed yet, with Strimzi or who plays its part."""
    forget_definitions(cluster)
    images = chart_images(cluster)
    with cluster.namespace() as namespace, strimzi(cluster, namespace):
        yield Release(cluster, namespace, images)
