"""What users add to pods: each value, on each of the workloads, those of the operator included."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sensorpipe_operator.desired.builders import build_children
from sensorpipe_operator.settings import Settings
from support.chart.parts import OPERATOR, environ
from support.chart.render import (
    Object,
    RefusedError,
    containers,
    of_kind,
    one,
    pods,
    render,
)
from support.chart.values import VALUES
from support.kube.operator_parts import sensor

OURS = ("operator", "compactor", "server", "mosquitto", "mongodb")
"""Components whose pods the chart makes."""
HOOKS = ("test", "passwords")
"""Those that take the common values alone."""
STRIMZIS = ("kafka",)
MADE = "generator"
"""What the operator makes."""

LABELS, ANNOTATIONS = {"team": "water"}, {"example.com/scrape": "yes"}
TOLERATIONS = [{"key": "sensors", "operator": "Exists", "effect": "NoSchedule"}]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
NODES = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
AFFINITY = {
    "nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": NODES}},
    "podAntiAffinity": {_REQUIRED: [{"topologyKey": "rack", "labelSelector": {}}]},
}
PLACED: dict[str, Any] = {
    "podLabels": LABELS,
    "podAnnotations": ANNOTATIONS,
    "nodeSelector": {"disk": "ssd"},
    "tolerations": TOLERATIONS,
    "affinity": AFFINITY,
    "priorityClassName": "important",
}
ADDED: dict[str, Any] = {
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraVolumes": [{"name": "extra", "configMap": {"name": "more"}}],
    "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra", "readOnly": True}],
    "serviceAccount": {"create": True, "annotations": {"role": "mine"}},
}


def rendered(folder: Path, values: Object, *more: str) -> list[Object]:
    """Return what is installed with these values."""
    # renderings are kept by their arguments, so each content has a file of its own
    file = folder / f"{len(list(folder.iterdir()))}.yaml"
    file.write_text(yaml.safe_dump(values))
    return render(values=(file,), more=more)


def generator(objects: list[Object]) -> Object:
    """Return the pod that the operator would make with what the chart tells it."""
    settings = Settings.read(environ(objects, OPERATOR)).generator
    found: Object = build_children(sensor(), "u", settings)[1]["spec"]["template"]
    return found


def pod_of(objects: list[Object], component: str) -> Object:
    """Return a component's pod template; of Kafka, the one of its brokers."""
    if component == MADE:
        return generator(objects)
    if component in STRIMZIS:
        return brokers(objects)[0]
    (found,) = [
        pod
        for _, pod in pods(objects)
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] == component
    ]
    return found


def brokers(objects: list[Object]) -> list[Object]:
    """Return both of Strimzi's pod templates, as if they were Kubernetes' own."""
    spec = one(objects, "Kafka", "demo-sensorpipe")["spec"]
    templates = [spec[part]["template"]["pod"] for part in ("kafka", "entityOperator")]
    return [{"metadata": one.get("metadata", {}), "spec": one} for one in templates]


def every_pod(objects: list[Object]) -> list[tuple[str, Object]]:
    """Return all pods that come of a release, by name."""
    strimzis = [(f"Strimzi/{place}", pod) for place, pod in enumerate(brokers(objects))]
    return [*pods(objects), *strimzis, ("generator", generator(objects))]


def found(pod: Object, name: str) -> Any:
    """Return what a pod has where a value should have brought something."""
    spec, metadata = pod["spec"], pod["metadata"]
    first = spec.get("containers", [{}])[0]
    match name:
        case "podLabels" | "podAnnotations":
            return metadata.get(name.removeprefix("pod").lower(), {})
        case "extraVolumes":
            return spec.get("volumes", [])
        case "extraEnv" | "extraVolumeMounts":
            return first.get("env" if name == "extraEnv" else "volumeMounts", [])
        case "serviceAccount":
            return spec.get("serviceAccountName")
        case _:
            return spec.get(name)


def has(pod: Object, name: str, value: Any) -> bool:
    """Whether a pod has what a value adds."""
    there = found(pod, name)
    if name == "serviceAccount":
        return there is not None
    if name == "affinity":
        return all(word in json.dumps(there) for word in ('"zone"', '"rack"'))
    if name == "nodeSelector" and there is None:  # Strimzi's pods have it as an affinity
        text = json.dumps(found(pod, "affinity"))
        return all(f'"key": "{key}"' in text for key in value)
    if name.startswith("extra"):
        return all(one in there for one in value)
    return bool(value.items() <= there.items() if isinstance(value, dict) else there == value)


def test_every_workload_is_known_here() -> None:
    """One that is new must come into the lists above, or take the common values at least."""
    found = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for _, pod in pods(render())}
    assert found == {*OURS, *HOOKS}
    for component in (*OURS, MADE):
        assert set(PLACED) | set(ADDED) <= set(VALUES[component])
    assert set(PLACED) <= set(VALUES["kafka"])
    assert set(PLACED) <= set(VALUES)


@pytest.mark.parametrize("name", PLACED)
def test_a_common_value_reaches_every_pod_of_the_chart(tmp_path: Path, name: str) -> None:
    objects = rendered(tmp_path, {name: PLACED[name]})
    for workload, pod in every_pod(objects):
        assert has(pod, name, PLACED[name]) is (workload != "generator"), workload


@pytest.mark.parametrize("component", [*OURS, *STRIMZIS, MADE])
@pytest.mark.parametrize("name", [*PLACED, *ADDED])
def test_a_components_value_reaches_its_pods_and_no_others(
    tmp_path: Path, name: str, component: str
) -> None:
    if component in STRIMZIS and name in ADDED:
        assert name not in VALUES[component]
        return
    added = {**PLACED, **ADDED}[name]
    values = {component: {name: added}}
    if name == "extraVolumeMounts":
        values[component]["extraVolumes"] = ADDED["extraVolumes"]
    before, after = render(), rendered(tmp_path, values)

    assert not has(pod_of(before, component), name, added) or name == "serviceAccount"
    assert has(pod_of(after, component), name, added)
    for workload, pod in every_pod(after):
        labels = pod["metadata"].get("labels", {})
        its_own = labels.get("app.kubernetes.io/component") == component
        if name != "serviceAccount" and not its_own and "Strimzi" not in workload:
            assert not has(pod, name, added), workload


@pytest.mark.parametrize("component", [*OURS, *STRIMZIS])
def test_a_components_value_goes_before_the_common_one(tmp_path: Path, component: str) -> None:
    own = {
        "podLabels": {"team": "fire", "own": "yes"},
        "podAnnotations": {"example.com/scrape": "no"},
        "nodeSelector": {"gpu": "yes"},
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "urgent",
    }
    pod = pod_of(rendered(tmp_path, {**PLACED, component: own}), component)
    assert all(has(pod, name, value) for name, value in own.items())
    assert not has(pod, "nodeSelector", PLACED["nodeSelector"])


def test_selectors_never_have_what_users_add(tmp_path: Path) -> None:
    """A Deployment's selector cannot be changed, and a Service would lose its pods."""
    values = {"podLabels": LABELS, "server": {"podLabels": {"own": "yes"}}}
    plain, more = render(), rendered(tmp_path, values)
    for kind in ("Deployment", "StatefulSet", "Service", "NetworkPolicy"):
        for name, found in of_kind(more, kind).items():
            before = of_kind(plain, kind)[name]["spec"]
            for field in ("selector", "podSelector"):
                assert found["spec"].get(field) == before.get(field), name


def test_kafkas_rules_stay_beside_those_of_users(tmp_path: Path) -> None:
    values = {"affinity": AFFINITY, "nodeSelector": {"disk": "ssd"}}
    broker, operators = (pod["spec"]["affinity"] for pod in brokers(rendered(tmp_path, values)))

    apart, added = broker["podAntiAffinity"][_REQUIRED]
    assert apart["labelSelector"]["matchLabels"]["strimzi.io/name"] == "demo-sensorpipe-kafka"
    assert added["topologyKey"] == "rack"
    for affinity in (broker, operators):
        (term,) = affinity["nodeAffinity"][_REQUIRED]["nodeSelectorTerms"]
        assert [rule["key"] for rule in term["matchExpressions"]] == ["zone", "disk"]
    assert operators["podAntiAffinity"] == AFFINITY["podAntiAffinity"]


@pytest.mark.parametrize("component", [*OURS, MADE])
def test_a_service_account_is_made_named_and_annotated(tmp_path: Path, component: str) -> None:
    account = {"create": True, "name": "mine", "annotations": {"role": "arn"}}
    values = {component: {"serviceAccount": account}, "sensors": {"namespaces": ["plant"]}}
    objects = rendered(tmp_path, values)
    made = [o for o in objects if o["kind"] == "ServiceAccount" and o["metadata"]["name"] == "mine"]

    namespaces = ["sensors", "plant"] if component == MADE else ["sensors"]
    assert [o["metadata"]["namespace"] for o in made] == namespaces
    assert all(o["metadata"]["annotations"] == {"role": "arn"} for o in made)
    assert all(o["automountServiceAccountToken"] is False for o in made)
    assert pod_of(objects, component)["spec"]["serviceAccountName"] == "mine"
    assert pod_of(objects, component)["spec"]["automountServiceAccountToken"] is False


def test_an_account_that_is_there_already_has_the_operators_rights(tmp_path: Path) -> None:
    account = {"create": False, "name": "theirs"}
    objects = rendered(tmp_path, {"operator": {"serviceAccount": account}})

    assert OPERATOR not in of_kind(objects, "ServiceAccount")
    bound = [o for o in objects if o["kind"].endswith("RoleBinding")]
    assert bound
    names = {subject["name"] for o in bound for subject in o["subjects"]}
    assert "theirs" in names
    assert OPERATOR not in names
    with pytest.raises(RefusedError, match=r"operator\.serviceAccount\.name: is required"):
        rendered(tmp_path, {"operator": {"serviceAccount": {"create": False}}})


USERS = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups")


@pytest.mark.parametrize(
    ("adapt", "known", "leaves"),
    [
        ("auto", (), False),
        ("auto", ("--api-versions", "security.openshift.io/v1"), True),
        ("force", (), True),
        ("disabled", ("--api-versions", "security.openshift.io/v1"), False),
    ],
)
def test_openshift_gives_users_and_groups(
    tmp_path: Path, adapt: str, known: tuple[str, ...], *, leaves: bool
) -> None:
    asked = {"global": {"compatibility": {"openshift": {"adaptSecurityContext": adapt}}}}
    objects = rendered(tmp_path, asked, *known)
    for workload, pod in every_pod(objects):
        contexts = [pod["spec"]["securityContext"]]
        contexts += [part.get("securityContext", {}) for part in pod["spec"].get("containers", [])]
        fixed = {field for context in contexts for field in USERS if field in context}
        assert (not fixed) is leaves, workload
        assert contexts[0]["runAsNonRoot"] is True
        assert contexts[0]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize(
    ("registry", "prefix", "own", "mosquitto"),
    [
        ("", "", "sensorpipe-server", "docker.io/library/eclipse-mosquitto"),
        (
            "",
            "registry.example/team",
            "registry.example/team/sensorpipe-server",
            "docker.io/library/eclipse-mosquitto",
        ),
        (
            "mirror.example:5000/hub/",
            "",
            "mirror.example:5000/hub/sensorpipe-server",
            "mirror.example:5000/hub/library/eclipse-mosquitto",
        ),
        (
            "mirror.example",
            "registry.example/team",
            "mirror.example/team/sensorpipe-server",
            "mirror.example/library/eclipse-mosquitto",
        ),
        (
            "mirror.example",
            "team",
            "mirror.example/team/sensorpipe-server",
            "mirror.example/library/eclipse-mosquitto",
        ),
        (
            "localhost",
            "localhost:5000",
            "localhost/sensorpipe-server",
            "localhost/library/eclipse-mosquitto",
        ),
    ],
)
def test_one_registry_is_in_the_place_of_every_host(
    registry: str, prefix: str, own: str, mosquitto: str
) -> None:
    objects = render(f"global.imageRegistry={registry}", f"image.registry={prefix}")
    images = {
        part["image"].partition("@")[0].rpartition(":")[0]
        for _, pod in every_pod(objects)
        for part in (containers(pod) if "containers" in pod["spec"] else ())
    }
    assert {own, mosquitto, own.replace("server", "generator")} <= images
    if registry:
        assert all(image.startswith(registry.rstrip("/")) for image in images)


def test_secrets_for_pulling_are_names_or_objects() -> None:
    objects = render("image.pullSecrets={a}", "global.imagePullSecrets[0].name=b")
    more = render("image.pullSecrets={a}", "global.imagePullSecrets={a,b}")
    for found in (objects, more):
        for workload, pod in every_pod(found):
            assert pod["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}], workload


def test_more_objects_are_installed_and_may_be_templates(tmp_path: Path) -> None:
    text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}-text"}'
    mapped = {**yaml.safe_load(text), "metadata": {"name": "{{ .Release.Name }}-map"}}
    found = of_kind(rendered(tmp_path, {"extraObjects": [text, mapped]}), "ConfigMap")
    assert {"demo-text", "demo-map"} <= set(found)


@pytest.mark.parametrize(
    ("component", "added", "words"),
    [
        ("", {"podLabels": {"app.kubernetes.io/name": "x"}}, "podLabels: `app.kubernetes.io/name`"),
        ("kafka", {"podLabels": {"strimzi.io/name": "x"}}, "kafka.podLabels: `strimzi.io/name`"),
        ("generator", {"podLabels": {"sensorpipe.dev/sensor": "x"}}, "generator.podLabels: `sens"),
        ("server", {"podAnnotations": {"checksum/secrets": "x"}}, "server.podAnnotations: `check"),
        (
            "server",
            {"extraEnv": [{"name": "SENSORPIPE_RETENTION", "value": "x"}]},
            "server.extraEnv: `SENSORPIPE_RETENTION`",
        ),
        (
            "mongodb",
            {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            "mongodb.extraEnv: `A`",
        ),
        (
            "operator",
            {"extraVolumes": [{"name": "token", "emptyDir": {}}]},
            "operator.extraVolumes: `token`",
        ),
        (
            "mosquitto",
            {"extraVolumeMounts": [{"name": "data", "mountPath": "/mosquitto/data/"}]},
            "mosquitto.extraVolumeMounts: `/mosquitto/data`",
        ),
    ],
)
def test_what_is_there_already_is_not_replaced(
    tmp_path: Path, component: str, added: Object, words: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        rendered(tmp_path, {component: added} if component else added)
    assert words in str(refused.value)
