"""What the chart renders: as Helm, every Kubernetes it is for, and Strimzi want it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from cluster_client import Cluster
from cluster_command import run
from cluster_home import UnavailableError
from support.chart import go as chart_go
from support.chart import helms as chart_helms
from support.chart import schemas as chart_schemas
from support.chart.profiles import PROFILES, Profile
from support.chart.render import CHART, Object, given, manifest, render
from support.services import ROOT
from support.strimzi import crds as strimzi_crds

MINORS = list(chart_go.KUBERNETES)
OTHERS = [f"{name}.yaml" for name in ("podmonitors", "prometheusrules")]
OTHERS += [f"{name}.yaml" for name in ("scaledobjects", "triggerauthentications")]
OWN_CRDS = sorted((CHART / "files/crds").glob("*.yaml"))

each_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))


def crds() -> list[Path]:
    """Return the definitions of all custom resources that the chart may install, or rely on."""
    strimzi = sorted(strimzi_crds.CRDS.glob("Kafka*.yaml"))
    if not strimzi:
        raise UnavailableError("no CRDs of Strimzi here; `make test-strimzi` brings them")
    return [*OWN_CRDS, *strimzi, *map(chart_go.schema, OTHERS)]


def rendered(profile: Profile, *more: str, program: Path | None = None) -> list[Object]:
    return render(*profile.sets, values=profile.files, more=more, program=program)


@pytest.mark.parametrize("major", chart_helms.MAJORS)
@each_profile
def test_lint_finds_nothing(major: str, profile: Profile) -> None:
    command = [str(chart_helms.helm(major)), "lint", "--strict", "--quiet", str(CHART)]
    assert run(*command, *given(profile.sets, profile.files), timeout=60).strip() == ""


@pytest.mark.parametrize("minor", MINORS)
@each_profile
def test_every_object_is_as_its_schema_wants_it(minor: str, profile: Profile) -> None:
    schemas = chart_schemas.kubernetes(minor, *crds())
    objects = rendered(profile, "--kube-version", f"v{minor}.0")
    assert [fault for found in objects for fault in schemas.faults(found)] == []


@each_profile
def test_both_helms_make_the_same_of_it(profile: Profile) -> None:
    by_four, by_three = (
        {
            (o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o
            for o in rendered(profile, "--kube-version", "v1.34.0", program=chart_helms.helm(major))
        }
        for major in chart_helms.MAJORS
    )
    assert by_four == by_three


@pytest.mark.parametrize("major", chart_helms.MAJORS)
def test_it_may_be_a_part_of_another_chart(tmp_path: Path, major: str) -> None:
    parent = {
        "apiVersion": "v2",
        "name": "plant",
        "version": "1.0.0",
        "dependencies": [
            {"name": "sensorpipe", "version": "*", "condition": "sensorpipe.enabled"},
        ],
    }
    values = {"global": {"region": "north"}, "sensorpipe": {"enabled": True}}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(parent))
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    shutil.copytree(CHART, tmp_path / "charts/sensorpipe")
    text = run(str(chart_helms.helm(major)), "template", "demo", str(tmp_path), timeout=60)
    assert "name: demo-sensorpipe-server" in text


@each_profile
def test_nothing_is_said_twice(profile: Profile) -> None:
    for document in yaml.compose_all(manifest(*profile.sets, values=profile.files)):
        assert twice(document) == []


def twice(node: yaml.Node | None) -> list[str]:
    """Return the keys that a mapping has more than once, of which YAML's readers keep the last."""
    if isinstance(node, yaml.SequenceNode):
        return [key for inner in node.value for key in twice(inner)]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = [key.value for key, _ in node.value]
    inside = [key for _, inner in node.value for key in twice(inner)]
    return sorted({key for key in keys if keys.count(key) > 1}) + inside


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"spec": {"replica": 1}}, "'replica' was unexpected"),
        ({"spec": None}, "None is not of type 'object'"),
        ({"apiVersion": "apps/v2"}, "there is no apps/v2/Deployment"),
        ({"metadata": {"name": "demo", "label": {}}}, "'label' was unexpected"),
    ],
)
def test_the_check_itself_refuses(change: Object, fault: str) -> None:
    schemas = chart_schemas.kubernetes("1.37")
    found: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "demo"}}
    assert any(fault in said for said in schemas.faults(found | change))


def test_the_check_refuses_what_strimzi_does_not_know_and_what_is_there_twice() -> None:
    schemas = chart_schemas.kubernetes("1.37", *crds())
    topic = {"kind": "KafkaTopic", "metadata": {"name": "t"}, "spec": {"partition": 1}}
    (fault,) = schemas.faults({"apiVersion": "kafka.strimzi.io/v1", **topic})
    assert "'partition' was unexpected" in fault
    assert "there is no kafka.strimzi.io/v1beta2/KafkaTopic" in str(
        schemas.faults({"apiVersion": "kafka.strimzi.io/v1beta2", **topic})
    )
    container = {"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    pod = {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    (fault,) = schemas.faults({"apiVersion": "v1", **pod})
    assert "env: ('A',) is there more than once" in fault


def test_samples_and_examples_are_sensors_and_feeds() -> None:
    schemas = chart_schemas.kubernetes("1.37", *OWN_CRDS)
    notes = (CHART / "templates/NOTES.txt").read_text()
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    folders = [ROOT / "manifests/samples", ROOT / "manifests/feeds"]
    texts = [file.read_text() for each in folders for file in sorted(each.glob("*.yaml"))]
    texts.append(notes.partition("<<'END'\n")[2].partition("\nEND")[0])
    sensors = [sensor for text in texts for sensor in yaml.safe_load_all(text)]
    sensors += yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])
    assert len(sensors) >= 19
    assert [fault for sensor in sensors for fault in schemas.faults(sensor)] == []


@contextmanager
def known(cluster: Cluster, *files: Path) -> Iterator[None]:
    """Have the cluster know these resources for a while, if it does not anyway."""
    given = cluster.kubectl("get", "crd", "-o", "name")
    new = [f for f in files if yaml.safe_load(f.read_text())["metadata"]["name"] not in given]
    paths = [word for file in new for word in ("-f", str(file))]
    if new:
        cluster.kubectl("apply", "--server-side", *paths)
    try:
        if new:
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *paths)
        yield
    finally:
        if new:
            cluster.kubectl("delete", "--wait=false", *paths)


@pytest.fixture(scope="module")
def furnished(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster that knows all custom resources the chart may need."""
    strimzi_crds.install(cluster)
    with known(cluster, *map(chart_go.schema, OTHERS)):
        yield cluster


@pytest.mark.cluster
@each_profile
def test_an_api_server_takes_it_without_a_warning(furnished: Cluster, profile: Profile) -> None:
    with furnished.namespace() as namespace, furnished.namespace() as another:
        sets = tuple(s.replace("{plant-1,plant-2}", f"{{{another}}}") for s in profile.sets)
        objects = render(*sets, values=profile.files, namespace=namespace)
        # a pod of its own, as that of `helm test`, is refused where its account is not
        accounts = [found for found in objects if found["kind"] == "ServiceAccount"]
        furnished.apply(*accounts, namespace=namespace)
        told = furnished.kubectl(
            "apply",
            *("--server-side", "--dry-run=server", "--warnings-as-errors", "--validate=strict"),
            *("-f", "-"),
            stdin=yaml.safe_dump_all(objects),
        )
    assert told.count("serverside-applied (server dry run)") == len(objects)


@pytest.mark.cluster
@pytest.mark.parametrize("major", chart_helms.MAJORS)
@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_helm_would_install_it_there(furnished: Cluster, major: str, name: str) -> None:
    profile = PROFILES[name]
    with furnished.namespace() as namespace:
        command = [str(chart_helms.helm(major)), "install", "demo", str(CHART), "-n", namespace]
        command += ["--dry-run=server", *given(profile.sets, profile.files)]
        told = run(*command, environ=furnished.environ, timeout=120)
    assert "kubectl get sensors" in told.partition("\nNOTES:\n")[2]
