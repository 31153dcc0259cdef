"""The chart's own components, as rendered: what a user may rely on without looking."""

import re

import pytest
import yaml
from sensorpipe_compactor.settings import Settings as CompactorSettings
from sensorpipe_operator.settings import Settings as OperatorSettings
from sensorpipe_schema.manifest_files import load_files
from sensorpipe_server.settings import Settings as ServerSettings
from support.chart.parts import (
    COMPACTOR,
    EXTERNAL,
    OPERATOR,
    SERVER,
    container,
    deployment,
    environ,
    files,
    write_access,
)
from support.chart.passwords import job, made
from support.chart.render import CHART, containers, of_kind, one, pods, render

CONNECTIONS, ACCESS = "/etc/sensorpipe/connections/", "/etc/sensorpipe/access/"
VARIANTS: tuple[tuple[str, ...], ...] = (
    (),
    EXTERNAL,
    ("sensors.clusterWide=true", "server.autoscaling.by=cpu", "networkPolicy.enabled=false"),
)


@pytest.mark.parametrize("variant", VARIANTS, ids=["default", "external", "cluster-wide"])
def test_every_pod_is_under_the_restricted_standard(variant):
    found = list(pods(render(*variant)))

    assert {name for name, _ in found} >= {
        f"Deployment/{name}" for name in (OPERATOR, COMPACTOR, SERVER)
    }
    for name, pod in found:
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for part in containers(pod):
            assert part["securityContext"] | {"runAsUser": 0} == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "runAsUser": 0,
            }, name
            for bound in ("limits", "requests"):
                assert {"cpu", "memory", "ephemeral-storage"} <= set(part["resources"][bound]), name


def test_only_the_operator_and_the_job_for_passwords_hold_a_token_of_kubernetes():
    objects = render()
    holders = set()
    for name, pod in pods(objects):
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        sources = [
            source
            for volume in pod["spec"].get("volumes", [])
            for source in volume.get("projected", {}).get("sources", [])
        ]
        tokens = [one["serviceAccountToken"] for one in sources if "serviceAccountToken" in one]
        holders |= {(name, token.get("audience")) for token in tokens}

    assert holders == {
        (f"Deployment/{OPERATOR}", None),
        (f"Job/{job(objects)['metadata']['name']}", None),
        ("Pod/demo-sensorpipe-test", "sensorpipe"),
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=["default", "external", "cluster-wide"])
def test_no_variable_holds_a_secret(variant):
    for name, pod in pods(render(*variant)):
        for part in containers(pod):
            for entry in part.get("env", []):
                assert "secretKeyRef" not in entry.get("valueFrom", {}), name
                assert not re.search(r"PASSWORD$|MQTT_URL$|MONGODB_URI$", entry["name"]), name
            assert "envFrom" not in part, name


@pytest.mark.parametrize("variant", VARIANTS, ids=["default", "external", "cluster-wide"])
def test_the_programs_take_the_variables(variant, tmp_path):
    objects = render(*variant)
    given = {"mqtt-url": "mqtts://u:p@broker", "mongodb-uri": "mongodb://u:p@db/sensorpipe"}
    for name in (COMPACTOR, SERVER):
        for file in files(objects, name):
            (tmp_path / file).write_text(given.get(file, "something"))
    write_access(objects, tmp_path / "access")

    def here(name: str) -> dict[str, str]:
        return {
            key: str(tmp_path)
            if key == "SENSORPIPE_FEEDS"
            else value.replace(CONNECTIONS, f"{tmp_path}/").replace(ACCESS, f"{tmp_path}/access/")
            for key, value in environ(objects, name).items()
            if not key.endswith("_CA_FILE")  # they would have to hold certificates
        }

    compactor = CompactorSettings.read(here(COMPACTOR))
    server = ServerSettings.read(here(SERVER))
    operator = OperatorSettings.read(environ(objects, OPERATOR))

    assert str(compactor.mqtt) == "mqtts://broker:8883"
    assert compactor.kafka.password == server.kafka.password == "something"
    assert server.cors_origins == ()
    assert operator.generator.image == "sensorpipe-generator:0.1.0"
    assert operator.feeds.config_map == ("sensors", "demo-sensorpipe-feeds")


def test_the_server_is_told_which_pages_may_read_its_api():
    values = ("server.corsOrigins={https://dash.example.com,http://localhost:3000}",)
    found = environ(render(*values), SERVER)["SENSORPIPE_CORS_ORIGINS"]
    assert found == "https://dash.example.com,http://localhost:3000"


def test_compactor_and_server_are_two_users_of_strimzis_kafka():
    objects = render()
    strimzis = {
        "kafka-ca.crt": ("demo-sensorpipe-cluster-ca-cert", "ca.crt"),
    }

    assert environ(objects, COMPACTOR)["SENSORPIPE_KAFKA_USERNAME"] == COMPACTOR
    assert environ(objects, SERVER)["SENSORPIPE_KAFKA_USERNAME"] == SERVER
    assert files(objects, COMPACTOR) == {
        "mqtt-url": ("demo-sensorpipe-mosquitto", "compactor-url"),
        "mqtt-client-id": ("demo-sensorpipe-mosquitto", "compactor-client-id"),
        "kafka-password": ("demo-sensorpipe-kafka-passwords", "compactor-password"),
        **strimzis,
    }
    assert files(objects, SERVER) == {
        "mongodb-uri": ("demo-sensorpipe-mongodb", "uri"),
        "kafka-password": ("demo-sensorpipe-kafka-passwords", "server-password"),
        **strimzis,
    }


def test_strimzi_gives_its_users_the_passwords_that_the_programs_have():
    objects = render()

    for name in (COMPACTOR, SERVER):
        user = one(objects, "KafkaUser", name)["spec"]["authentication"]
        source = user["password"]["valueFrom"]["secretKeyRef"]
        assert (source["name"], source["key"]) == files(objects, name)["kafka-password"]
        assert source["key"] in made(objects).values("sensors", source["name"])


def test_services_of_ones_own_are_reached_by_their_secrets():
    objects = render(*EXTERNAL)

    assert files(objects, COMPACTOR) == {
        "mqtt-url": ("mqtt-in", "url"),
        "mqtt-ca.crt": ("mqtt-in", "ca.crt"),
        "kafka-username": ("kafka-in", "username"),
        "kafka-password": ("kafka-in", "password"),
        "kafka-ca.crt": ("kafka-ca", "ca.crt"),
    }
    assert files(objects, SERVER) == {
        "mongodb-uri": ("mongo", "uri"),
        "kafka-username": ("kafka-out", "username"),
        "kafka-password": ("kafka-out", "password"),
        "kafka-ca.crt": ("kafka-ca", "ca.crt"),
    }
    variables = environ(objects, OPERATOR)
    assert variables["SENSORPIPE_BROKER_SECRET"] == "mqtt-out"
    assert variables["SENSORPIPE_BROKER_CA_KEY"] == "ca.crt"
    assert environ(objects, SERVER)["SENSORPIPE_KAFKA_MECHANISM"] == "PLAIN"


def test_secrets_that_exist_already_are_used():
    objects = render("mosquitto.existingSecret=mine", "mongodb.existingSecret=ours")

    assert files(objects, COMPACTOR)["mqtt-url"] == ("mine", "compactor-url")
    assert files(objects, SERVER)["mongodb-uri"] == ("ours", "uri")


def test_a_plain_kafka_needs_no_secret():
    objects = render(
        "kafka.enabled=false,kafka.external.bootstrap=k:9092,kafka.external.security=PLAINTEXT"
    )

    assert set(files(objects, COMPACTOR)) == {"mqtt-url", "mqtt-client-id"}
    assert set(files(objects, SERVER)) == {"mongodb-uri"}


@pytest.mark.parametrize("size", [100_000, 20_000_000])  # Helm prints the latter as 2e+07
def test_sources_take_as_much_memory_as_is_set(size):
    variables = environ(render(f"compactor.sourceBytes={size}"), COMPACTOR)
    assert variables["SENSORPIPE_SOURCE_BYTES"] == str(size)


@pytest.mark.parametrize(
    ("values", "codec"), [("", "zstd"), ("compactor.compression=none", "none")]
)
def test_what_the_compactor_writes_is_compressed_as_is_set(values, codec):
    variables = environ(render(values), COMPACTOR)
    assert variables["SENSORPIPE_KAFKA_COMPRESSION"] == codec


def test_two_compactors_never_run_at_a_time():
    compactor = deployment(render("server.replicas=5"), COMPACTOR)

    assert compactor["replicas"] == 1
    assert compactor["strategy"] == {"type": "Recreate"}
    assert compactor["template"]["spec"]["terminationGracePeriodSeconds"] > 20
    assert deployment(render(), OPERATOR)["strategy"] == {"type": "Recreate"}


def test_an_upgrade_of_the_server_drops_no_request():
    server = deployment(render(), SERVER)
    (program,) = server["template"]["spec"]["containers"]

    assert server["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert program["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert program["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_each_program_is_probed_on_its_port():
    objects = render()

    for name, ports, probed in (
        (OPERATOR, {"http": 9090}, "http"),
        (COMPACTOR, {"http": 9090}, "http"),
        (SERVER, {"http": 8080, "monitoring": 9090}, "monitoring"),
    ):
        program = container(objects, name)
        assert {port["name"]: port["containerPort"] for port in program["ports"]} == ports
        for probe in ("startupProbe", "livenessProbe"):
            assert program[probe]["httpGet"] == {"path": "/healthz", "port": probed}
        assert program["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": probed}


def test_selectors_find_their_pods_and_outlive_an_upgrade():
    for found in render():
        if found["kind"] != "Deployment":
            continue
        selector = found["spec"]["selector"]["matchLabels"]
        assert set(selector) == {
            f"app.kubernetes.io/{key}" for key in ("name", "instance", "component")
        }
        assert selector.items() <= found["spec"]["template"]["metadata"]["labels"].items()


def test_an_autoscaler_has_the_number_of_servers_to_itself():
    assert "replicas" not in deployment(render("server.autoscaling.by=lag"), SERVER)
    assert deployment(render("server.replicas=3"), SERVER)["replicas"] == 3


@pytest.mark.parametrize(
    ("setting", "there"),
    [
        ("server.replicas=1", False),
        ("server.replicas=2", True),
        ("server.autoscaling.by=cpu", True),
        ("server.replicas=2,podDisruptionBudget.enabled=false", False),
    ],
)
def test_a_budget_keeps_a_server_where_there_are_several(setting, there):
    budgets = of_kind(render(setting), "PodDisruptionBudget")

    assert (SERVER in budgets) is there
    if there:
        assert budgets[SERVER]["spec"]["maxUnavailable"] == 1


def test_sensors_of_several_namespaces_need_no_cluster_wide_rights():
    objects = render("sensors.namespaces={north,south,sensors}")
    granted = [
        o for o in objects if (o["kind"], o["metadata"]["name"]) == ("RoleBinding", OPERATOR)
    ]

    assert sorted(o["metadata"]["namespace"] for o in granted) == ["north", "sensors", "south"]
    for binding in granted:
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": OPERATOR, "namespace": "sensors"}
        ]
    assert not of_kind(objects, "ClusterRoleBinding")
    variables = environ(objects, OPERATOR)
    assert OperatorSettings.read(variables).namespaces == ("sensors", "north", "south")


def test_sensors_anywhere_are_watched_with_a_cluster_role():
    objects = render("sensors.clusterWide=true")

    (binding,) = of_kind(objects, "ClusterRoleBinding").values()
    assert binding["roleRef"]["name"] in of_kind(objects, "ClusterRole")
    assert OPERATOR not in of_kind(objects, "RoleBinding")
    assert OperatorSettings.read(environ(objects, OPERATOR)).namespaces == ()


def test_the_operators_rights_are_the_same_in_one_namespace_and_in_all():
    objects = render("sensors.clusterWide=true")
    (binding,) = of_kind(objects, "ClusterRoleBinding").values()
    everywhere = one(objects, "ClusterRole", binding["roleRef"]["name"])["rules"]

    assert one(render(), "Role", OPERATOR)["rules"] == everywhere


def test_all_operators_of_a_release_have_its_lease_and_may_write_no_other():
    objects = render("operator.replicas=2")
    lease = one(objects, "Lease", OPERATOR)
    name = lease["metadata"]["name"]

    assert "spec" not in lease  # the operator's to write
    assert OperatorSettings.read(environ(objects, OPERATOR)).lease == ("sensors", name)
    role = one(objects, "Role", OPERATOR.removesuffix("operator") + "lease")
    rights = {verb: rule.get("resourceNames") for rule in role["rules"] for verb in rule["verbs"]}
    assert rights == {"get": [name], "update": [name], "create": None}
    operator = one(objects, "Deployment", OPERATOR)["spec"]
    assert operator["replicas"] == 2
    assert operator["template"]["spec"]["topologySpreadConstraints"]
    assert operator["strategy"] == {"type": "Recreate"}


def test_releases_of_one_name_share_nothing_that_has_no_namespace():
    def outside(namespace: str, release: str) -> set[str]:
        objects = render(
            "sensors.clusterWide=true", "crds.enabled=false", namespace=namespace, release=release
        )
        return {o["metadata"]["name"] for o in objects if "namespace" not in o["metadata"]}

    assert len(outside("a", "demo")) == 3
    assert not outside("a", "demo") & outside("b", "demo")
    assert not outside("a", "b-c") & outside("a-b", "c")


@pytest.mark.parametrize("plural", ["sensors", "feeds"])
def test_the_resources_are_the_one_source_and_stay(plural: str):
    source = yaml.safe_load((CHART / f"files/crds/{plural}.yaml").read_text())
    rendered = one(render(), "CustomResourceDefinition", f"{plural}.sensorpipe.dev")

    assert rendered["spec"] == source["spec"]
    assert rendered["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    leaving = one(render("crds.keep=false"), rendered["kind"], f"{plural}.sensorpipe.dev")
    assert "annotations" not in leaving["metadata"]
    assert not of_kind(render("crds.enabled=false"), "CustomResourceDefinition")


def test_the_images_that_the_chart_announces_are_those_it_runs():
    objects = render()
    run = {part["image"] for _, pod in pods(objects) for part in containers(pod)}
    run.add(environ(objects, OPERATOR)["SENSORPIPE_GENERATOR_IMAGE"])
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    announced = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])

    assert {each["image"] for each in announced} == run


def test_images_come_from_a_registry_by_tag_or_digest():
    digest = "sha256:" + "0" * 64
    objects = render(
        "image.registry=registry.example/team",
        "image.tag=1.2.3",
        f"server.image.digest={digest}",
        "generator.image.tag=v9",
        "image.pullSecrets={one,two}",
    )

    team = "registry.example/team"
    assert container(objects, COMPACTOR)["image"] == f"{team}/sensorpipe-compactor:1.2.3"
    assert container(objects, SERVER)["image"] == f"{team}/sensorpipe-server@{digest}"
    generator = OperatorSettings.read(environ(objects, OPERATOR)).generator
    assert generator.image == f"{team}/sensorpipe-generator:v9"
    assert generator.pull_secrets == ("one", "two")
    template = deployment(objects, SERVER)["template"]["spec"]
    assert template["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]


def test_the_sensor_to_paste_is_one(tmp_path):
    notes = (CHART / "templates/NOTES.txt").read_text()
    (text,) = re.findall(r"<<'END'\n(.*?)\nEND\n", notes, re.DOTALL)
    (tmp_path / "boiler.yaml").write_text(text)

    (sensor,) = load_files([tmp_path / "boiler.yaml"])

    assert sensor.spec.facility == "hall_1"
