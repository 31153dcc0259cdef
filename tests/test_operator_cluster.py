"""Sensors on a real Kubernetes: what a user does with kubectl, and what then happens."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import broker_pod
import operator_process
import pytest
import yaml
from cluster_client import Cluster, KubectlError
from operator_process import Namespace, Operator, until
from readings_heard import hearing
from sensorpipe_operator.cluster import ClusterError
from sensorpipe_schema.sensor import API_VERSION, Sensor, SensorError
from services import ROOT
from test_sensor_spec import GOOD, WRONG, changed

pytestmark = pytest.mark.cluster


def sensor(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Sensor with one measurement, so that its facility has one topic."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Sensor",
        "metadata": {"name": name},
        "spec": {
            "facility": name,
            "interval": "500ms",
            "measurements": [{"name": "level", "signal": {"normal": {"mean": 1, "stdev": 1}}}],
            **spec,
        },
    }


@pytest.fixture(scope="module")
def config_file(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's kubeconfig, in a cluster that knows Sensors."""
    operator_process.install(cluster)
    return operator_process.kubeconfig(cluster, tmp_path_factory.mktemp("account"))


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, config_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """One operator for the whole cluster."""
    image = cluster.load_image("generator")
    folder = tmp_path_factory.mktemp("operator")
    with operator_process.running(cluster, folder, config_file, GENERATOR_IMAGE=image) as it:
        yield it


@pytest.fixture
def namespace(cluster: Cluster, operator: Operator) -> Iterator[Namespace]:
    """A namespace with a broker's Secret in it."""
    del operator
    with cluster.namespace() as name:
        made = Namespace(cluster, name)
        made.apply(broker_pod.secret(name))
        yield made


@pytest.fixture
def broker(cluster: Cluster, namespace: Namespace) -> Iterator[int]:
    """The port of a Mosquitto pod in the namespace."""
    broker_pod.start(cluster, namespace.name)
    with cluster.port_forward("deployment/mosquitto", 1883, namespace.name) as port:
        yield port


QUEUE = "sensorpipe_operator_queue"
WRITES = "sensorpipe_operator_writes_total"


@contextmanager
def frozen(operator: Operator) -> Iterator[None]:
    """Have the operator of the whole cluster do nothing, so that another can work alone."""
    operator.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        operator.process.send_signal(signal.SIGCONT)


def settled(namespace: Namespace, generation: int) -> list[str]:
    """Return the Sensors whose status speaks of this generation."""
    return sorted(
        item["metadata"]["name"]
        for item in namespace.get("sensors")["items"]
        if item.get("status", {}).get("observedGeneration") == generation
    )


def versions(namespace: Namespace, names: list[str]) -> dict[str, str]:
    """Return the versions of these Sensors and all their children."""
    found = namespace.get("sensors,deployments,configmaps")["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for item in found
        if item["metadata"]["name"] in names
    }


# --- the definition ---


async def test_wrong_sensors_are_refused_at_apply_with_the_field(
    cluster: Cluster, config_file: Path
) -> None:
    del config_file
    taken: list[Any] = []
    async with operator_process.api(cluster) as api:

        async def refusal(manifest: dict[str, Any]) -> str:
            manifest = json.loads(json.dumps(manifest, allow_nan=False))
            path = f"/apis/{API_VERSION}/namespaces/default/sensors"
            query = {"dryRun": "All", "fieldValidation": "Strict"}
            try:
                await api._call("POST", path, query, manifest)
            except ClusterError as error:
                return error.message
            return ""

        assert await refusal(GOOD) == ""
        for path, value, field, _ in WRONG:
            if path.startswith(("metadata.namespace", "metadata.label")) or path == "metadata":
                continue
            try:
                told = await refusal(changed(path, value))
            except ValueError:  # neither JSON nor YAML could carry it
                continue
            name = field.rsplit(".", 1)[-1].split("[")[0]
            if not told or name not in told:
                taken.append((path, value, told))
    assert taken == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("spec.interval", "9ms", "must be between 10ms and 1h"),
        ("spec.interval", "1h1ms", "must be between 10ms and 1h"),
        ("spec.interval", "10.5ms", "must be whole milliseconds"),
        ("spec.measurements[0].signal", {}, "must be exactly one of constant, normal, sine"),
        (
            "spec.measurements[0].signal",
            {"sum": [{"constant": {"value": 1}, "normal": {"mean": 1, "stdev": 1}}]},
            "must be exactly one of constant, normal, sine, linear, randomWalk",
        ),
        (
            "spec.measurements[0].signal",
            {"sine": {"amplitude": 1, "period": "367d"}},
            "must be between 10ms and 366d",
        ),
        (
            "spec.resources",
            {"limits": {"memory": "1G"}, "requests": {"memory": "1Gi"}},
            "requests.memory must not exceed limits.memory",
        ),
        ("metadata.name", "a.b", "metadata.name must be 1 to 63 lower-case letters"),
        ("metadata.name", "a" * 64, "metadata.name must be 1 to 63 lower-case letters"),
    ],
)
def test_what_is_said_to_who_applies_a_wrong_combination(
    cluster: Cluster, config_file: Path, path: str, value: Any, sentence: str
) -> None:
    del config_file
    manifest = changed(path, value)
    with pytest.raises(SensorError):
        Sensor.parse(manifest)
    with pytest.raises(KubectlError) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(manifest))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("interval", ["10ms", "1h", "0.5s", "1m30s", "0.001h", "59m60s", "0.01d"])
def test_intervals_that_are_taken(cluster: Cluster, config_file: Path, interval: str) -> None:
    del config_file
    manifest = changed("spec.interval", interval)
    Sensor.parse(manifest)
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(manifest))


def test_kubectl_explains_every_level(cluster: Cluster, config_file: Path) -> None:
    del config_file
    for at in ("", ".spec", ".spec.measurements", ".spec.measurements.signal.sine", ".status"):
        said = cluster.kubectl("explain", f"sensor{at}")
        assert "<no description>" not in said
    assert "From crest to crest" in cluster.kubectl(
        "explain", "sns.spec.measurements.signal.sum.sine.period"
    )


# --- readings ---


def running_pods(namespace: Namespace, selector: str) -> int:
    return len(
        namespace.get("pods", "-l", selector, "--field-selector=status.phase=Running")["items"]
    )


async def test_sensors_publish_and_a_change_loses_nothing(
    namespace: Namespace, broker: int
) -> None:
    async with hearing(broker, "test") as heard:
        namespace.apply(sensor("boiler", count=4))
        namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
        await heard.until(lambda: sum(map(len, heard.of("boiler").values())) >= 40)
        (readings,) = heard.of("boiler").values()
        times = [reading.ts for reading in readings]
        assert {later - earlier for earlier, later in zip(times, times[4:], strict=False)} == {500}
        for number, change in enumerate(({"interval": "250ms"}, {"count": 6}, {"seed": 7}), 2):
            patch = json.dumps({"spec": change})
            namespace.kubectl("patch", "sensor/boiler", "--type=merge", "-p", patch)
            await heard.until(lambda n=number: len(heard.of("boiler")) == n)  # type: ignore[misc]
            *_, newest = heard.of("boiler").values()
            await heard.until(lambda new=newest: len(new) > 48)  # type: ignore[misc]
        assert heard.faults("boiler") == []
        *former, last = heard.of("boiler").values()
        times = [reading.ts for reading in last]
        assert {b - a for a, b in zip(times, times[6:], strict=False)} == {250}
        for old, new in zip(former, [*former[1:], last], strict=True):
            assert old[-1].ts < new[0].ts  # no device was there twice


async def test_pods_share_the_devices_at_every_scale(namespace: Namespace, broker: int) -> None:
    async with hearing(broker, "test") as heard:
        namespace.apply(sensor("boiler", count=6))
        await heard.until(lambda: bool(heard.of("boiler")))
        for replicas in (3, 2):
            former = set(heard.of("boiler"))
            namespace.kubectl("scale", "sensor/boiler", f"--replicas={replicas}")
            await heard.until(
                lambda n=replicas, old=former: (  # type: ignore[misc]
                    [len(held) > 20 for src, held in heard.of("boiler").items() if src not in old]
                    == [True] * n
                )
            )
            namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
            sources = set(heard.of("boiler")) - former
            last = max(
                readings[-1].ts for src, readings in heard.of("boiler").items() if src in former
            )
            assert all(heard.of("boiler")[src][0].ts > last for src in sources)
            held = [r for s in sources for r in heard.of("boiler")[s]]
            begin = max(heard.of("boiler")[s][0].ts for s in sources) // 500 * 500 + 500
            tick = sorted(r.ts - begin for r in held if begin <= r.ts < begin + 500)
            assert tick == [0, 83, 166, 250, 333, 416]
            selector = namespace.get("sensor/boiler")["status"]["selector"]
            until(lambda n=replicas, s=selector: running_pods(namespace, s) == n)  # type: ignore[misc]
        namespace.kubectl("scale", "sensor/boiler", "--replicas=0")
        namespace.wait_reason("boiler", "ScaledToZero")
        chosen = ["-l", "sensorpipe.dev/sensor=boiler"]
        until(lambda: not namespace.get("pods", *chosen)["items"], 90)
        assert heard.faults("boiler") == []
        namespace.kubectl("scale", "sensor/boiler", "--replicas=1")
        namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")


def test_suspend_stops_and_resumes(namespace: Namespace, broker: int) -> None:
    del broker
    namespace.apply(sensor("boiler"))
    namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
    for suspend, reason, devices in ((True, "Suspended", 0), (False, "Running", 1)):
        patch = json.dumps({"spec": {"suspend": suspend}})
        namespace.kubectl("patch", "sensor/boiler", "--type=merge", "-p", patch)
        namespace.wait_reason("boiler", reason)
        status = namespace.get("sensor/boiler")["status"]
        assert (status["devices"], status["readyReplicas"]) == (devices, devices)


def test_kubectl_get_tells_the_truth(namespace: Namespace, broker: int) -> None:
    del broker
    namespace.apply(sensor("boiler", count=10, interval="2s"))
    namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
    head, row = namespace.kubectl("get", "sns").splitlines()
    assert head.split() == ["NAME", "FACILITY", "DEVICES", "REPLICAS", "READY", "READINGS/S", "AGE"]
    assert row.split()[:-1] == ["boiler", "boiler", "10", "1", "True", "5"]
    assert "boiler" in namespace.kubectl("get", "sns", "--field-selector=spec.facility=boiler")
    assert namespace.kubectl("get", "sns", "--field-selector=spec.facility=other") == ""


def test_the_samples_run(namespace: Namespace, broker: int) -> None:
    del broker
    namespace.kubectl("apply", "-f", str(ROOT / "manifests/samples"))
    namespace.kubectl("wait", "--for=condition=Ready", "sensors", "--all", "--timeout=90s")
    assert namespace.kubectl("get", "sensors", "-o", "name").count("facility-") == 3


# --- drift and deletion ---


def test_drift_is_undone_and_children_come_back(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    namespace.kubectl("set", "image", "deployment/boiler", "generator=other:1")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    until(lambda: "other" not in namespace.kubectl("get", "deploy/boiler", "-o", image))
    uid = namespace.get("deploy/boiler")["metadata"]["uid"]
    namespace.kubectl("delete", "deploy/boiler", "configmap/boiler")
    until(lambda: namespace.names("deployments") == ["boiler"])
    until(lambda: "boiler" in namespace.names("configmaps"))
    assert namespace.get("deploy/boiler")["metadata"]["uid"] != uid


def test_nothing_is_left_of_a_deleted_sensor(namespace: Namespace) -> None:
    namespace.apply(*(sensor(name, replicas=2) for name in ("a", "b")))
    until(lambda: namespace.names("deployments") == ["a", "a.1", "b", "b.1"])
    namespace.kubectl("delete", "sensor/a")
    until(lambda: namespace.names("deployments") == ["b", "b.1"])
    namespace.kubectl("delete", "sensors", "--all")
    until(lambda: namespace.ours() == [], 90)


def test_deletion_needs_no_operator(
    cluster: Cluster, namespace: Namespace, operator: Operator
) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    with frozen(operator):
        namespace.kubectl("delete", "sensor/boiler")
        until(lambda: namespace.ours() == [])
        namespace.apply(sensor("boiler", replicas=0))
        cluster.kubectl("delete", "namespace", namespace.name, "--timeout=60s")
        assert namespace.gone()


# --- trouble ---


def test_an_image_that_cannot_be_pulled_is_named(
    cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    settings = {"GENERATOR_IMAGE": "localhost/nosuch:1", "WATCH_NAMESPACES": namespace.name}
    with frozen(operator), operator_process.running(cluster, tmp_path, config_file, **settings):
        namespace.apply(sensor("boiler"))
        namespace.wait_reason("boiler", "ImageUnavailable", seconds=30)
        message = namespace.condition("boiler")["message"]
        assert message.startswith("Image localhost/nosuch:1 cannot be pulled: ")
        namespace.kubectl("delete", "sensor/boiler")


def test_a_crash_is_told_with_the_generators_last_words(namespace: Namespace) -> None:
    wrong = broker_pod.secret(namespace.name) | {"stringData": {"url": "http://broker:80"}}
    namespace.apply(wrong, sensor("boiler"))
    namespace.wait_reason("boiler", "Crashing")
    message = namespace.condition("boiler")["message"]
    assert "exit code 1: sensorpipe-generator: SENSORPIPE_MQTT_URL: must be mqtt://" in message


def test_a_missing_secret_is_named(namespace: Namespace) -> None:
    namespace.kubectl("delete", "secret/sensorpipe-broker")
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "Misconfigured")
    assert 'secret "sensorpipe-broker" not found' in namespace.condition("boiler")["message"]
    namespace.kubectl("wait", "--for=condition=Accepted", "sensor/boiler", "--timeout=5s")
    assert "Misconfigured" in namespace.kubectl("get", "events")


def test_a_broker_that_is_not_there_is_named(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "NotConnected")


def test_a_quota_is_named(namespace: Namespace) -> None:
    namespace.kubectl("create", "quota", "few", "--hard=pods=0")
    until(lambda: "pods" in namespace.get("quota/few").get("status", {}).get("hard", {}))
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "QuotaExceeded")
    assert "exceeded quota: few" in namespace.condition("boiler")["message"]


def test_a_deployment_of_somebody_else_is_left_alone(namespace: Namespace) -> None:
    namespace.kubectl("create", "deployment", "boiler", "--image=theirs:1", "--replicas=0")
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "NameTaken")
    owners = namespace.get("deploy/boiler")["metadata"].get("ownerReferences", [])
    assert owners == []


# --- the operator itself ---


def test_a_killed_operator_finishes_what_it_missed(
    cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    image = cluster.load_image("generator")
    run = partial(operator_process.running, cluster, tmp_path, config_file, GENERATOR_IMAGE=image)
    names = [f"s{i:02}" for i in range(50)]
    with frozen(operator):
        with run() as first:
            namespace.apply(*(sensor(name, replicas=0) for name in names))
            until(lambda: settled(namespace, 1) == names)
            kept = versions(namespace, names[:10])
            namespace.apply(*(sensor(name, replicas=0, seed=1) for name in names[10:30]))
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        namespace.apply(*(sensor(name, replicas=0, seed=1) for name in names[30:]))
        namespace.kubectl("delete", "sensor", *names[45:])
        with run() as second:
            until(lambda: settled(namespace, 2) == names[10:45])
            until(lambda: namespace.names("deployments") == names[:45])
            assert versions(namespace, names[:10]) == kept
            assert second.stop() == 0


def test_two_operators_by_accident_do_not_fight(
    cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    image = cluster.load_image("generator")
    namespace.apply(sensor("boiler", replicas=0))
    with operator_process.running(cluster, tmp_path, config_file, GENERATOR_IMAGE=image) as other:
        namespace.wait_reason("boiler", "ScaledToZero")
        for generation in (2, 3, 4):
            patch = json.dumps({"spec": {"seed": generation}})
            namespace.kubectl("patch", "sensor/boiler", "--type=merge", "-p", patch)
            until(lambda n=generation: settled(namespace, n) == ["boiler"])  # type: ignore[misc]
        until(lambda: not operator.metric(QUEUE) and not other.metric(QUEUE))
        content = namespace.get("configmap/boiler")["data"].values()
        assert ['"seed": 4' in text for text in content] == [True]
        kept = versions(namespace, ["boiler"])
        writes = operator.metric(WRITES) + other.metric(WRITES)
        namespace.apply(sensor("other", replicas=0))  # something else that both react to
        namespace.wait_reason("other", "ScaledToZero")
        assert versions(namespace, ["boiler"]) == kept
        assert operator.metric(WRITES) + other.metric(WRITES) - writes <= 6


def test_the_operator_outlives_the_api_server(
    cluster: Cluster, namespace: Namespace, operator: Operator
) -> None:
    cluster.restart_api_server()

    def answers() -> bool:
        try:
            return cluster.kubectl("get", "--raw", "/readyz", timeout=10) == "ok"
        except KubectlError:
            return False

    until(answers)
    namespace.apply(sensor("after", replicas=0))
    namespace.wait_reason("after", "ScaledToZero")
    assert operator.process.poll() is None
    until(lambda: operator.get("/healthz")[0] == 200)


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("view", {"get": "yes", "create": "no", "patch": "no", "delete": "no"}),
        ("edit", {"get": "yes", "create": "yes", "patch": "yes", "delete": "yes"}),
    ],
)
def test_the_clusters_own_roles_cover_sensors(
    namespace: Namespace, role: str, verbs: dict[str, str]
) -> None:
    namespace.kubectl("create", "rolebinding", role, f"--clusterrole={role}", "--user=ann")

    def can(*question: str) -> str:
        try:
            return namespace.kubectl("auth", "can-i", *question, "--as=ann").strip()
        except KubectlError:  # its exit code says no
            return "no"

    until(lambda: can("get", "sensors.sensorpipe.dev") == "yes")
    assert {verb: can(verb, "sensors.sensorpipe.dev") for verb in verbs} == verbs
    scale = can("patch", "sensors.sensorpipe.dev", "--subresource=scale")
    assert scale == verbs["patch"]
    assert can("patch", "sensors.sensorpipe.dev", "--subresource=status") == "no"


def test_an_operator_of_one_namespace_needs_no_right_beyond_it(
    cluster: Cluster, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    account = f"only-{namespace.name}"
    cluster.kubectl("create", "serviceaccount", account, "-n", operator_process.NAMESPACE)
    binding = [f"--serviceaccount={operator_process.NAMESPACE}:{account}"]
    binding += ["--clusterrole=sensorpipe-operator"]
    namespace.kubectl("create", "rolebinding", "operator", *binding)
    config_file = operator_process.kubeconfig(cluster, tmp_path, account)
    settings = {"GENERATOR_IMAGE": "localhost/none:1", "WATCH_NAMESPACES": namespace.name}
    with frozen(operator), operator_process.running(cluster, tmp_path, config_file, **settings):
        namespace.apply(sensor("boiler", replicas=0))
        namespace.wait_reason("boiler", "ScaledToZero")
        namespace.kubectl("delete", "deploy/boiler")
        until(lambda: namespace.names("deployments") == ["boiler"])
        namespace.kubectl("delete", "sensor/boiler")
    cluster.kubectl("delete", "serviceaccount", account, "-n", operator_process.NAMESPACE)


def test_the_operator_runs_as_a_pod(
    cluster: Cluster, namespace: Namespace, operator: Operator, broker: int
) -> None:
    del broker
    made = list(yaml.safe_load_all((ROOT / "manifests/operator/deployment.yaml").read_text()))
    container = made[0]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = cluster.load_image("operator")
    container["env"][0]["value"] = cluster.load_image("generator")
    home = operator_process.NAMESPACE
    with frozen(operator):
        cluster.apply(*made, namespace=home)
        try:
            wait = ["rollout", "status", "deployment/sensorpipe-operator", "--timeout=90s"]
            cluster.kubectl("-n", home, *wait)
            namespace.apply(sensor("boiler"))
            namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
        finally:
            cluster.kubectl("delete", "-n", home, "deployment/sensorpipe-operator", "--wait")


@pytest.mark.parametrize(
    ("allowed", "question"),
    [
        ("yes", "list sensors.sensorpipe.dev"),
        ("yes", "patch sensors.sensorpipe.dev --subresource=status"),
        ("yes", "create deployments.apps"),
        ("no", "patch sensors.sensorpipe.dev"),
        ("no", "delete sensors.sensorpipe.dev"),
        ("no", "get secrets"),
        ("no", "list secrets"),
        ("no", "create pods"),
        ("no", "delete pods"),
        ("no", "create pods --subresource=exec"),
        ("no", "delete configmaps"),
        ("no", "list namespaces"),
        ("no", "list customresourcedefinitions.apiextensions.k8s.io"),
        ("no", "create rolebindings.rbac.authorization.k8s.io"),
        ("no", "impersonate users"),
    ],
)
def test_the_operator_may_do_what_it_must_and_no_more(
    cluster: Cluster, config_file: Path, allowed: str, question: str
) -> None:
    del config_file
    account = f"system:serviceaccount:{operator_process.NAMESPACE}:{operator_process.ACCOUNT}"
    command = ["auth", "can-i", *question.split(), "-n", "default", f"--as={account}"]
    try:
        said = cluster.kubectl(*command)
    except KubectlError:
        said = "no"
    assert said.strip() == allowed
