"""Who reaches whom in a release: every pair, tried with a real connection from within the pod.

Each of the two tests is the other's control: what is denied with policies is reached without.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster_client import Cluster
from support.chart import reached
from support.chart.reached_site import Site
from support.chart.release import Release, chart_images, forget_definitions
from support.strimzi.stand_in import strimzi


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    """The chart, with Strimzi or who plays its part, and pods of strangers."""
    forget_definitions(cluster)
    images = chart_images(cluster)
    with (
        cluster.namespace() as namespace,
        cluster.namespace() as sensors,
        cluster.namespace() as elsewhere,
        strimzi(cluster, namespace),
    ):
        made = Site(Release(cluster, namespace, images), sensors, elsewhere)
        made.install()
        made.visit()
        yield made


def wrong(site: Site, may: Callable[[str, str], bool]) -> Mapping[str, Mapping[str, set[str]]]:
    """Try every pair; return by source what it reaches and may not, and what it should and cannot.

    `may` says of the names of a source and a target whether the one may reach the other.
    """
    sources, targets = site.sources(), site.targets()

    def tried(source: str) -> Mapping[str, set[str]]:
        others = [one for one in targets if one.name.partition(",")[0] != source]
        expected = {one.name for one in others if may(source, one.name)}
        found = site.reached(sources[source], others, expected)
        return {"reaches": found - expected, "does not reach": expected - found}

    with ThreadPoolExecutor(max_workers=4) as pool:
        outcomes = dict(zip(sources, pool.map(tried, sources), strict=True))
    return {name: found for name, found in outcomes.items() if any(found.values())}


def test_each_pod_reaches_what_the_readme_says_and_nothing_else(site: Site):
    assert wrong(site, lambda source, target: reached.may(site.roles[source], target)) == {}


def test_without_policies_each_reaches_all(site: Site):
    site.release.upgrade(*site.values, "--set=networkPolicy.enabled=false")
    assert wrong(site, lambda _source, _target: True) == {}
