"""What the chart has Prometheus scrape and Grafana show: this release, and nothing else."""

import json
import re

import pytest
from support.chart.render import CHART, of_kind, one, render

WATCHED = (
    "monitoring.podMonitor.enabled=true",
    "monitoring.rules.enabled=true",
    "monitoring.dashboard.enabled=true",
)
SENSORS_TOO = (*WATCHED, "monitoring.sensorDashboard.enabled=true")
RULES = CHART / "files/alerts.yaml"
DASHBOARD = CHART / "files/dashboard.json"
SENSOR_DASHBOARD = CHART / "files/sensor-dashboard.json"


def panels(text):
    return [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]


def shown(objects, part="dashboard"):
    """Return a dashboard's text."""
    end = f"-sensorpipe-{part}"
    (found,) = [o for o in objects if o["metadata"]["name"].endswith(end)]
    (text,) = found["data"].values()
    return text


def queries(text):
    return [target["expr"] for panel in panels(text) for target in panel["targets"]]


def expressions(objects):
    (found,) = of_kind(objects, "PrometheusRule").values()
    return [rule["expr"] for group in found["spec"]["groups"] for rule in group["rules"]]


def test_nothing_of_it_is_there_unless_asked_for():
    objects = render()
    assert not of_kind(objects, "PodMonitor")
    assert not of_kind(objects, "PrometheusRule")
    assert not [o for o in objects if "dashboard" in o["metadata"]["name"]]


def test_the_pod_monitor_finds_the_pods_of_the_three_programs():
    objects = render(*WATCHED)
    spec = one(objects, "PodMonitor", "demo-sensorpipe")["spec"]
    (expression,) = spec["selector"]["matchExpressions"]
    found = {}
    for name, deployment in of_kind(objects, "Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        if labels[expression["key"]] not in expression["values"]:
            continue
        found[name] = [
            port["containerPort"]
            for endpoint in spec["podMetricsEndpoints"]
            for port in container["ports"]
            if port["name"] == endpoint["port"]
            and not any(
                rule.get("action") == "drop"
                and rule["regex"] == labels["app.kubernetes.io/component"]
                for rule in endpoint["relabelings"]
            )
        ]
    parts = ("operator", "compactor", "server")
    assert found == {f"demo-sensorpipe-{part}": [9090] for part in parts}


def test_the_pod_monitor_of_generators_finds_what_the_operator_makes():
    from sensorpipe_operator.desired.builders import build_children
    from sensorpipe_operator.settings import Settings
    from sensorpipe_schema.sensor import Sensor

    settings = Settings.read({"SENSORPIPE_GENERATOR_IMAGE": "generator"})
    measurements = [{"name": "t", "signal": {"constant": {"value": 1}}}]
    document = {
        "apiVersion": "sensorpipe.dev/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": "s", "namespace": "n"},
        "spec": {"facility": "f", "interval": "1s", "measurements": measurements},
    }
    made = build_children(Sensor.parse(document), "uid", settings.generator)
    (pod,) = [body["spec"]["template"] for body in made if body["kind"] == "Deployment"]
    spec = one(render(*WATCHED), "PodMonitor", "demo-sensorpipe-generators")["spec"]
    assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert "sensorpipe.dev/sensor" in pod["metadata"]["labels"]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] == pod["spec"]["containers"][0]["ports"][0]["name"]


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ("sensors.clusterWide=false", {"matchNames": ["sensors"]}),
        ("sensors.namespaces={north,sensors}", {"matchNames": ["sensors", "north"]}),
        ("sensors.clusterWide=true", {"any": True}),
    ],
)
def test_generators_are_scraped_where_their_sensors_are(setting, where):
    monitor = one(render(*WATCHED, setting), "PodMonitor", "demo-sensorpipe-generators")
    assert monitor["spec"]["namespaceSelector"] == where


def test_what_the_sensors_measure_is_scraped_from_the_api_if_asked_for():
    objects = render(
        "monitoring.sensorMonitor.enabled=true",
        "monitoring.sensorMonitor.tokenSecret.name=scraping",
        "monitoring.sensorMonitor.interval=30s",
        "monitoring.sensorMonitor.labels.release=prom",
    )
    (monitor,) = of_kind(objects, "PodMonitor").values()
    assert monitor["metadata"]["name"] == "demo-sensorpipe-sensors"
    assert monitor["metadata"]["labels"]["release"] == "prom"
    assert monitor["spec"]["podMetricsEndpoints"] == [
        {
            "port": "http",
            "path": "/metrics/sensors",
            "interval": "30s",
            "authorization": {"credentials": {"name": "scraping", "key": "token"}},
        }
    ]
    found = {
        name: container["ports"]
        for name, deployment in of_kind(objects, "Deployment").items()
        if monitor["spec"]["selector"]["matchLabels"].items()
        <= deployment["spec"]["template"]["metadata"]["labels"].items()
        for container in deployment["spec"]["template"]["spec"]["containers"]
    }
    assert list(found) == ["demo-sensorpipe-server"]
    assert {"name": "http", "containerPort": 8080, "protocol": "TCP"} in found[
        "demo-sensorpipe-server"
    ]


def test_labels_and_interval_are_those_of_the_values():
    objects = render(
        *WATCHED, "monitoring.podMonitor.labels.release=prom", "monitoring.podMonitor.interval=30s"
    )
    for monitor in of_kind(objects, "PodMonitor").values():
        assert monitor["metadata"]["labels"]["release"] == "prom"
        assert {e["interval"] for e in monitor["spec"]["podMetricsEndpoints"]} == {"30s"}
    assert one(objects, "ConfigMap", "demo-sensorpipe-dashboard")["metadata"]["labels"][
        "grafana_dashboard"
    ]


def test_every_query_looks_at_this_release_only():
    objects = render(*WATCHED, release="other", namespace="plant")
    monitors = {f"plant/{name}" for name in of_kind(objects, "PodMonitor")}
    for query in [*expressions(objects), *queries(shown(objects))]:
        jobs = re.findall(r'\{job="([^"]*)"', query)
        assert len(jobs) == len(re.findall(r"\b(?:sensorpipe_\w+|up|process_\w+)\{", query)), query
        assert jobs, query
        assert set(jobs) <= monitors, query


def test_two_releases_share_neither_dashboard_nor_file():
    made = [render(*WATCHED, namespace=namespace) for namespace in ("north", "south")]
    assert len({json.loads(shown(objects))["uid"] for objects in made}) == 2
    names = [set(of_kind(o, "ConfigMap")["demo-sensorpipe-dashboard"]["data"]) for o in made]
    assert not names[0] & names[1]


def test_the_sensors_have_a_dashboard_of_their_own_if_asked_for():
    assert not [o for o in render(*WATCHED) if "sensor-dashboard" in o["metadata"]["name"]]
    alone = render(
        "monitoring.sensorDashboard.enabled=true", "monitoring.sensorDashboard.labels.a=b"
    )
    found = one(alone, "ConfigMap", "demo-sensorpipe-sensor-dashboard")
    labels = found["metadata"]["labels"]
    assert (labels["grafana_dashboard"], labels["a"]) == ("1", "b")
    assert not [o for o in alone if o["metadata"]["name"] == "demo-sensorpipe-dashboard"]
    both = render(*SENSORS_TOO)
    uids = {json.loads(shown(both, part))["uid"] for part in ("dashboard", "sensor-dashboard")}
    assert len(uids) == 2
    maps = of_kind(both, "ConfigMap").items()
    files = [set(each["data"]) for name, each in maps if name.endswith("-dashboard")]
    assert len(set.union(*files)) == 2


@pytest.mark.parametrize("part", ["dashboard", "sensor-dashboard"])
def test_a_dashboard_is_whole(part):
    content = json.loads(shown(render(*SENSORS_TOO), part))
    ids = [panel["id"] for panel in content["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    for panel in panels(json.dumps(content)):
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("file", [RULES, DASHBOARD, SENSOR_DASHBOARD], ids=lambda file: file.name)
def test_nothing_is_left_of_the_names_that_stand_for_the_release(file):
    objects = render(*SENSORS_TOO)
    shown_ones = [shown(objects, part) for part in ("dashboard", "sensor-dashboard")]
    text = json.dumps([*expressions(objects), *shown_ones])
    assert "NAMESPACE" in file.read_text()
    assert not re.search(r"NAMESPACE|FULLNAME|\bUID\b", text)


def test_the_queries_are_sound(tmp_path):
    import yaml
    from cluster_command import run
    from support.chart import go as chart_go

    promtool = chart_go.program("promtool")
    rules = [
        {"record": f"query_{at}", "expr": query.replace("$__rate_interval", "5m")}
        for at, query in enumerate(queries(shown(render(*WATCHED))))
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run(str(promtool), "check", "rules", str(file))


# --- autoscaling ---


def scaled(*sets):
    objects = render(*sets)
    kinds = ("HorizontalPodAutoscaler", "ScaledObject", "TriggerAuthentication")
    return {kind: of_kind(objects, kind) for kind in kinds if of_kind(objects, kind)}


def test_nothing_scales_the_server_unless_asked_for():
    assert not scaled()


def test_by_cpu_is_the_clusters_own_autoscaler_and_no_other():
    found = scaled("server.autoscaling.by=cpu,server.autoscaling.cpuPercent=55")
    assert found.keys() == {"HorizontalPodAutoscaler"}
    spec = found["HorizontalPodAutoscaler"]["demo-sensorpipe-server"]["spec"]
    assert spec["scaleTargetRef"]["name"] == "demo-sensorpipe-server"
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 55


def test_by_lag_is_keda_with_the_servers_own_user():
    found = scaled("server.autoscaling.by=lag")
    assert found.keys() == {"ScaledObject", "TriggerAuthentication"}
    assert found["ScaledObject"].keys() == {"demo-sensorpipe-server"}
    (trigger,) = found["ScaledObject"]["demo-sensorpipe-server"]["spec"]["triggers"]
    metadata = trigger["metadata"]
    assert metadata["consumerGroup"] == "data_server_group"
    assert metadata["topic"] == "compacted_sensor_readings"
    assert metadata["allowIdleConsumers"] == "false"
    assert metadata["bootstrapServers"] == "demo-sensorpipe-kafka-bootstrap.sensors.svc:9093"
    assert (metadata["sasl"], metadata["tls"]) == ("scram_sha512", "enable")
    assert all(isinstance(value, str) for value in metadata.values())
    spec = found["TriggerAuthentication"][trigger["authenticationRef"]["name"]]["spec"]
    assert [ref["parameter"] for ref in spec["secretTargetRef"]] == ["password", "ca"]
    deployment = one(render("server.autoscaling.by=lag"), "Deployment", "demo-sensorpipe-server")
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = [v for v in pod["volumes"] if v["name"] == "connections"]
    mounted = {
        (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    assert {(ref["name"], ref["key"]) for ref in spec["secretTargetRef"]} <= mounted
    (name,) = spec["env"]
    (container,) = pod["containers"]
    assert name["containerName"] == container["name"]
    assert name["name"] in [variable["name"] for variable in container["env"]]


@pytest.mark.parametrize(("partitions", "most"), [(2, 2), (3, 3), (12, 5)])
def test_there_are_never_more_servers_than_partitions(partitions, most):
    found = scaled(
        "server.autoscaling.by=lag,server.autoscaling.maxReplicas=5",
        f"kafka.topics.partitions={partitions}",
    )
    assert found["ScaledObject"]["demo-sensorpipe-server"]["spec"]["maxReplicaCount"] == most


ELSEWHERE = "server.autoscaling.by=lag,kafka.enabled=false,kafka.external.bootstrap=k:9092"


def test_a_plain_kafka_elsewhere_needs_no_authentication():
    found = scaled(f"{ELSEWHERE},kafka.external.security=PLAINTEXT")
    assert found.keys() == {"ScaledObject"}
    (trigger,) = found["ScaledObject"]["demo-sensorpipe-server"]["spec"]["triggers"]
    assert "authenticationRef" not in trigger
    assert trigger["metadata"]["tls"] == "disable"
    assert "sasl" not in trigger["metadata"]


def test_a_kafka_elsewhere_is_asked_with_the_secrets_given():
    found = scaled(
        f"{ELSEWHERE},kafka.external.mechanism=PLAIN,kafka.external.caSecret=ca",
        "kafka.external.compactorSecret=c,kafka.external.serverSecret=s",
    )
    (trigger,) = found["ScaledObject"]["demo-sensorpipe-server"]["spec"]["triggers"]
    assert trigger["metadata"]["sasl"] == "plaintext"
    spec = found["TriggerAuthentication"]["demo-sensorpipe-server"]["spec"]
    assert "env" not in spec
    assert [(ref["name"], ref["key"]) for ref in spec["secretTargetRef"]] == [
        ("s", "username"),
        ("s", "password"),
        ("ca", "ca.crt"),
    ]


def test_the_compactor_is_never_scaled():
    for by in ("cpu", "lag"):
        objects = render(f"server.autoscaling.by={by}")
        targets = [
            o["spec"]["scaleTargetRef"] for o in objects if "scaleTargetRef" in o.get("spec", {})
        ]
        assert [target["name"] for target in targets] == ["demo-sensorpipe-server"]


def runbooks(*settings):
    (found,) = of_kind(render(*WATCHED, *settings), "PrometheusRule").values()
    rules = [rule for group in found["spec"]["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule["annotations"].get("runbook_url") for rule in rules}


@pytest.mark.parametrize("end", ["", "/"])
def test_every_alert_leads_to_its_runbook(end):
    links = runbooks(f"monitoring.rules.runbooks=https://docs.example/runbooks{end}")
    assert links == {alert: f"https://docs.example/runbooks/{alert}/" for alert in links}


def test_without_an_address_no_alert_has_a_dead_link():
    assert set(runbooks().values()) == {None}
