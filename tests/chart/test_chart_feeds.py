"""What the chart sets up for Feeds: the way from the operator to the compactor and back."""

from support.chart.render import Object, of_kind, one, render

DEVICES = (
    "mosquitto.devices.tls.secretName=tls",
    "mosquitto.devices.users[0].username=hub",
    "mosquitto.devices.users[0].secretName=hub",
)
OPERATOR, COMPACTOR, FEEDS = (
    f"demo-sensorpipe-{name}" for name in ("operator", "compactor", "feeds")
)


def env(objects: list[Object], name: str) -> dict[str, str]:
    """Return the variables of a Deployment's container."""
    (container,) = one(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_the_operator_writes_what_the_compactor_mounts():
    objects = render()
    config = one(objects, "ConfigMap", FEEDS)
    assert "data" not in config, "an upgrade would remove what the operator has written"
    pod = one(objects, "Deployment", COMPACTOR)["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    folder = env(objects, COMPACTOR)["SENSORPIPE_FEEDS"]
    assert "subPath" not in mounts[folder], "the kubelet would never update it"
    mounted = volumes[mounts[folder]["name"]]["configMap"]
    assert mounted["name"] == FEEDS
    assert mounted["optional"]
    namespace = config["metadata"]["namespace"]
    assert env(objects, OPERATOR)["SENSORPIPE_FEEDS_CONFIG_MAP"] == f"{namespace}/{FEEDS}"


def test_the_compactor_needs_no_token():
    pod = one(render(), "Deployment", COMPACTOR)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod


def test_the_operator_finds_the_compactors_pod_and_no_other():
    objects = render()
    selector = env(objects, OPERATOR)["SENSORPIPE_COMPACTOR_PODS"]
    wanted = dict(pair.split("=") for pair in selector.split(","))
    selected = [
        found["metadata"]["name"]
        for kind in ("Deployment", "StatefulSet")
        for found in of_kind(objects, kind).values()
        if wanted.items() <= found["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert selected == [COMPACTOR]


def test_the_right_to_change_pods_ends_at_the_releases_namespace():
    def patching(objects: list[Object], kind: str) -> list[tuple[str, str]]:
        return [
            (found["metadata"]["name"], found["metadata"].get("namespace", ""))
            for found in of_kind(objects, kind).values()
            for rule in found["rules"]
            if "pods" in rule["resources"] and "patch" in rule["verbs"]
        ]

    for sets in ((), ("sensors.clusterWide=true",), ("sensors.namespaces={plant}",)):
        objects = render(*sets, namespace="release")
        assert patching(objects, "ClusterRole") == []
        assert patching(objects, "Role") == [(FEEDS, "release")]


def test_the_operator_alone_may_ask_the_compactor():
    policy = one(render(), "NetworkPolicy", COMPACTOR)
    (rule,) = policy["spec"]["ingress"]
    (source,) = rule["from"]
    labels = source["podSelector"]["matchLabels"]
    assert labels["app.kubernetes.io/component"] == "operator"
    assert rule["ports"] == [{"port": 9090, "protocol": "TCP"}]
    watched = render("networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=watch")
    assert len(one(watched, "NetworkPolicy", COMPACTOR)["spec"]["ingress"]) == 2


def test_the_operator_knows_what_mosquitto_lets_the_compactor_read():
    topics = "mosquitto.deviceTopics={zigbee2mqtt/#,application/%u/#}"
    given = env(render(*DEVICES, topics), OPERATOR)["SENSORPIPE_COMPACTOR_TOPICS"]
    assert given.split(",") == ["sensor_readings/#", "zigbee2mqtt/#", "application/+/#"]


def test_of_a_broker_of_ones_own_nothing_is_assumed():
    external = (
        "mosquitto.enabled=false",
        "mosquitto.external.compactorSecret=broker",
        "mosquitto.external.generatorSecret=broker",
    )
    assert "SENSORPIPE_COMPACTOR_TOPICS" not in env(render(*external), OPERATOR)


def test_people_with_the_clusters_own_roles_may_use_feeds():
    roles = of_kind(render(), "ClusterRole").values()
    allowed = {
        label.rpartition("-")[2]: {
            (resource, verb)
            for role in roles
            if role["metadata"]["labels"].get(label) == "true"
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for label in (f"rbac.authorization.k8s.io/aggregate-to-{name}" for name in ("view", "edit"))
    }
    assert ("feeds", "get") in allowed["view"]
    assert ("feeds", "create") not in allowed["view"]
    assert {("feeds", "create"), ("feeds", "patch"), ("feeds", "delete")} <= allowed["edit"]
    assert ("feeds/status", "patch") not in allowed["edit"]
