"""The chart's NetworkPolicies: the arrows of the flow of data, and nothing else."""

from typing import Any

import pytest
from sensorpipe_operator import names
from support.chart.parts import EXTERNAL, policy
from support.chart.render import one, render


def test_pods_reach_only_what_the_flow_of_data_needs():
    objects = render()
    dns, kafka = {53, 5353}, "demo-sensorpipe-kafka"

    def reached(name: str) -> list[tuple[str | None, set[int]]]:
        found = []
        for rule in policy(objects, name)["egress"]:
            (peer,) = rule.get("to", [{}])
            labels = peer.get("podSelector", {}).get("matchLabels", {})
            who = labels.get("app.kubernetes.io/component") or labels.get("strimzi.io/name")
            found.append((who, {port["port"] for port in rule["ports"]}))
        return found

    assert reached("generators") == [(None, dns), ("mosquitto", {1883})]
    assert reached("compactor") == [(None, dns), ("mosquitto", {1883}), (kafka, {9093})]
    assert reached("server") == [(None, dns), (kafka, {9093}), ("mongodb", {27017})]
    assert reached("test") == [(None, dns), ("server", {8080})]
    for name in ("generators", "operator", "test"):
        assert not policy(objects, name).get("ingress"), name
    (asking,) = policy(objects, "compactor")["ingress"]
    (peer,) = asking["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "operator"


def test_the_generators_policy_selects_what_the_operator_makes():
    objects = render("sensors.namespaces={north}")
    found = [
        o["metadata"]["namespace"]
        for o in objects
        if o["metadata"]["name"] == "demo-sensorpipe-generators"
    ]

    assert found == ["sensors", "north"]
    selected = policy(render(), "generators")["podSelector"]["matchLabels"]
    assert selected.items() <= names.labels("boiler").items()


def test_api_broker_and_metrics_are_open_to_those_named():
    objects = render(
        "networkPolicy.apiFrom[0].namespaceSelector.matchLabels.team=web",
        "networkPolicy.brokerFrom[0].ipBlock.cidr=10.20.0.0/16",
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=watch",
    )
    web, watch = ({"namespaceSelector": {"matchLabels": {"team": t}}} for t in ("web", "watch"))

    api, metrics = policy(objects, "server")["ingress"]
    assert web in api["from"]
    assert watch not in api["from"]
    assert metrics["from"] == [watch]
    assert [port["port"] for port in (*api["ports"], *metrics["ports"])] == [8080, 9090]
    (broker,) = policy(objects, "mosquitto")["ingress"]
    assert broker["from"][2:] == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]
    assert broker["ports"] == [{"port": 1883, "protocol": "TCP"}]
    assert policy(objects, "compactor")["ingress"][1:] == [
        {"from": [watch], "ports": [{"port": 9090, "protocol": "TCP"}]}
    ]


def test_devices_reach_the_listener_with_tls_and_nothing_else():
    users = [f"mosquitto.devices.users[0].{key}" for key in ("username=meter", "secretName=s")]
    listener = ("mosquitto.devices.tls.secretName=tls", *users)
    pipeline, *closed = policy(render(*listener), "mosquitto")["ingress"]
    assert pipeline == policy(render(), "mosquitto")["ingress"][0]
    assert closed == []

    yard = "networkPolicy.devicesFrom[0].ipBlock.cidr=10.20.0.0/16"
    objects = render(*listener, yard, "mosquitto.devices.service.type=LoadBalancer")
    assert policy(objects, "mosquitto")["ingress"] == [
        pipeline,
        {
            "from": [{"ipBlock": {"cidr": "10.20.0.0/16"}}],
            "ports": [{"port": 8883, "protocol": "TCP"}],
        },
    ]
    service = one(objects, "Service", "demo-sensorpipe-mosquitto-devices")["spec"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert [port["port"] for port in service["ports"]] == [8883]
    assert service["selector"] == policy(objects, "mosquitto")["podSelector"]["matchLabels"]
    ports = one(objects, "Service", "demo-sensorpipe-mosquitto")["spec"]["ports"]
    assert [port["port"] for port in ports] == [1883]


def test_services_elsewhere_may_be_reached():
    objects = render(*EXTERNAL)
    anywhere = {"ports": [{"port": 1, "endPort": 65535, "protocol": "TCP"}]}

    assert anywhere in policy(objects, "generators")["egress"]
    assert anywhere in policy(objects, "compactor")["egress"]
    assert {"ports": [{"port": 9096, "protocol": "TCP"}]} in policy(objects, "server")["egress"]


@pytest.mark.parametrize("component", ["server", "mosquitto"])
def test_a_load_balancer_does_not_hide_from_policies_who_comes(component: str):
    def service(kind: str) -> dict[str, Any]:
        sets = (f"type={kind}", "annotations.internal=yes")
        objects = render(*(f"{component}.service.{setting}" for setting in sets))
        made = one(objects, "Service", f"demo-sensorpipe-{component}")
        assert made["metadata"]["annotations"] == {"internal": "yes"}
        found: dict[str, Any] = made["spec"]
        assert found["type"] == kind
        return found

    assert service("LoadBalancer")["externalTrafficPolicy"] == "Local"
    for kind in ("ClusterIP", "NodePort"):
        assert "externalTrafficPolicy" not in service(kind)
