"""Who may read what of the API, as the chart sets it up: tokens by default, grants by values."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from sensorpipe_server.access.files import read_access
from sensorpipe_server.access.rules import ADMIN, METRICS, READ
from support.chart.parts import (
    EXTERNAL,
    OPERATOR,
    SERVER,
    container,
    deployment,
    environ,
    policy,
    write_access,
)
from support.chart.render import RefusedError, notes, of_kind, one, render

PLANT = {"issuer": "https://login.example.com:8443/realms/plant", "audiences": ["sensorpipe"],
         "claims": {"groups": "/groups"}}  # fmt: skip
SHARED = {"name": "shared", "issuer": "sensorpipe", "audiences": ["dash"], "secretFile": "secret"}
HALL = {"issuer": "cluster", "subject": "system:serviceaccount:team-a:*", "scopes": ["read"],
        "facilities": ["hall_1", "hall_2-*"]}  # fmt: skip


def auth(**values: Any) -> str:
    """Return an argument that sets values of server.auth."""
    return f"server.auth={json.dumps(values)}"


def rendered(**values: Any) -> list[Any]:
    return render(more=("--set-json", auth(**values)))


def test_by_default_only_the_releases_reader_reads_and_it_reads_everything(tmp_path: Path):
    objects = render()
    assert environ(objects, SERVER)["SENSORPIPE_AUTH_FILE"] == "/etc/sensorpipe/access/access.yaml"
    rules = read_access(write_access(objects, tmp_path)).rules

    (issuer,) = rules.issuers
    assert (issuer.name, issuer.audiences) == ("cluster", ("sensorpipe",))
    (grant,) = rules.grants
    account = one(objects, "ServiceAccount", "demo-sensorpipe-reader")
    assert grant.subject == f"system:serviceaccount:sensors:{account['metadata']['name']}"
    assert (grant.scopes, grant.facilities) == ((READ, METRICS, ADMIN), ("*",))
    assert account["automountServiceAccountToken"] is False
    assert rules.anonymous.scopes == ()


def test_the_operator_publishes_the_keys_where_the_server_finds_them():
    found = environ(render(), OPERATOR)
    volume = deployment(render(), SERVER)["template"]["spec"]["volumes"][-1]
    published = volume["projected"]["sources"][1]["configMap"]["name"]
    assert found["SENSORPIPE_CLUSTER_ISSUER_CONFIG_MAP"] == f"sensors/{published}"
    assert found["SENSORPIPE_CLUSTER_ISSUER_OWNER"] == OPERATOR
    assert not [
        key for key in environ(render("server.auth.enabled=false"), OPERATOR) if "ISSUER" in key
    ]


def test_grants_and_issuers_of_the_values_come_after_the_releases_own(tmp_path: Path):
    anonymous = {"scopes": ["metrics"], "facilities": ["*"]}
    objects = rendered(grants=[HALL], issuers=[PLANT, SHARED], secretName="s", anonymous=anonymous)
    path = write_access(objects, tmp_path)
    (tmp_path / "secret").write_text("x" * 48)
    rules = read_access(path).rules

    assert [each.name or each.issuer for each in rules.issuers] == [
        "cluster", PLANT["issuer"], "shared",
    ]  # fmt: skip
    assert rules.grants[1].facilities == ("hall_1", "hall_2-*")
    assert rules.anonymous.scopes == (METRICS,)
    volume = deployment(objects, SERVER)["template"]["spec"]["volumes"][-1]
    assert volume["projected"]["sources"][-1] == {"secret": {"name": "s"}}


def test_a_change_of_grants_restarts_no_pod():
    before = render(*EXTERNAL)
    after = render(*EXTERNAL, more=("--set-json", auth(grants=[HALL])))
    assert before != after
    assert deployment(before, SERVER) == deployment(after, SERVER)


def test_without_authentication_there_is_nothing_of_it():
    objects = render("server.auth.enabled=false")
    assert "SENSORPIPE_AUTH_FILE" not in environ(objects, SERVER)
    assert "demo-sensorpipe-access" not in of_kind(objects, "ConfigMap")
    assert "demo-sensorpipe-reader" not in of_kind(objects, "ServiceAccount")
    assert [mount["name"] for mount in container(objects, SERVER)["volumeMounts"]] == [
        "connections"
    ]


def test_the_server_reaches_issuers_whose_keys_it_fetches():
    def ports(*issuers: dict[str, Any]) -> list[int]:
        last = policy(rendered(issuers=list(issuers), secretName="s"), "server")["egress"][-1]
        return [] if "to" in last else [port["port"] for port in last["ports"]]

    assert ports(SHARED) == []
    assert ports(PLANT) == [8443]
    google = {"issuer": "https://accounts.google.com", "audiences": ["a"]}
    assert ports(PLANT, google, SHARED) == [8443, 443]
    assert ports({**google, "discoveryUrl": "https://[2001:db8::1]:9443/x"}) == [9443]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"issuers": [SHARED]},
            "server.auth.issuers[0].secretFile: is a key of server.auth",
        ),
        ({"issuers": [PLANT, PLANT]}, "server.auth.issuers: each needs a name of its own"),
        ({"issuers": [{**PLANT, "name": "cluster"}]}, "each needs a name of its own"),
        ({"grants": [{**HALL, "issuer": "else"}]}, "server.auth.grants[0].issuer: must be one of"),
        ({"grants": [{**HALL, "scopes": ["write"]}]}, "/server/auth/grants/0/scopes/0"),
        ({"grants": [{**HALL, "scopes": ["admin"]}]}, "/server/auth/grants/0/facilities"),
        ({"grants": [{**HALL, "group": "both"}]}, "/server/auth/grants/0"),
        ({"grants": [{**HALL, "facilities": ["Hall 1"]}]}, "/server/auth/grants/0/facilities/0"),
        ({"issuers": [{**SHARED, "jwksFile": "k"}], "secretName": "s"}, "/server/auth/issuers/0"),
        ({"issuers": [{**PLANT, "claims": {"scopes": "/s"}}]}, "/server/auth/issuers/0/claims"),
        ({"issuers": [{**PLANT, "discoveryUrl": "http://x"}]}, "issuers/0/discoveryUrl"),
        ({"secretName": "Not a name"}, "/server/auth/secretName"),
        ({"enabled": "no"}, "/server/auth/enabled"),
    ],
)
def test_wrong_values_are_refused_by_their_place(values: dict[str, Any], said: str):
    with pytest.raises(RefusedError) as caught:
        rendered(**values)
    assert said in str(caught.value)


def test_the_api_has_an_ingress_with_tls():
    tls = [{"secretName": "sensors-tls", "hosts": ["sensors.example.com"]}]
    objects = render(
        "server.ingress.enabled=true",
        "server.ingress.className=nginx",
        "server.ingress.hosts={sensors.example.com,plant.example.com}",
        "server.ingress.annotations.cert-manager\\.io/cluster-issuer=ours",
        more=("--set-json", f"server.ingress.tls={json.dumps(tls)}"),
    )
    made = one(objects, "Ingress", SERVER)
    assert made["metadata"]["annotations"] == {"cert-manager.io/cluster-issuer": "ours"}
    spec = made["spec"]
    assert (spec["ingressClassName"], spec["tls"]) == ("nginx", tls)
    assert [rule["host"] for rule in spec["rules"]] == ["sensors.example.com", "plant.example.com"]
    ports = one(objects, "Service", SERVER)["spec"]["ports"]
    for rule in spec["rules"]:
        (path,) = rule["http"]["paths"]
        assert path["backend"] == {"service": {"name": SERVER, "port": {"name": ports[0]["name"]}}}


def test_the_api_has_an_http_route_to_its_gateway():
    gateway = {"name": "public", "namespace": "gateways", "sectionName": "https"}
    objects = render(
        "server.httpRoute.enabled=true",
        "server.httpRoute.hostnames={sensors.example.com}",
        "server.service.port=80",
        more=("--set-json", f"server.httpRoute.parentRefs={json.dumps([gateway])}"),
    )
    spec = one(objects, "HTTPRoute", SERVER)["spec"]
    assert (spec["parentRefs"], spec["hostnames"]) == ([gateway], ["sensors.example.com"])
    assert spec["rules"][0]["backendRefs"] == [{"name": SERVER, "port": 80}]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("server.ingress.enabled=true", "server.ingress.hosts: is required"),
        ("server.ingress.hosts={https://x}", "/server/ingress/hosts/0"),
        ("server.httpRoute.enabled=true", "server.httpRoute.parentRefs: is required"),
        ("monitoring.sensorMonitor.enabled=true", "monitoring.sensorMonitor.tokenSecret.name: is"),
    ],
)
def test_what_is_missing_beside_a_value_is_said(setting: str, said: str):
    with pytest.raises(RefusedError) as caught:
        render(setting)
    assert said in str(caught.value)


def test_whom_everybody_may_read_metrics_needs_no_token_for_prometheus():
    anonymous = {"scopes": ["metrics"], "facilities": ["*"]}
    more = ("--set-json", auth(anonymous=anonymous))
    objects = render("monitoring.sensorMonitor.enabled=true", more=more)
    (monitor,) = of_kind(objects, "PodMonitor").values()
    assert "authorization" not in monitor["spec"]["podMetricsEndpoints"][0]


def test_the_access_file_is_yaml_whatever_a_name_holds():
    odd = {**HALL, "subject": 'a: "b" #c {{ .Values }} \\'}
    text = one(rendered(grants=[odd]), "ConfigMap", "demo-sensorpipe-access")["data"]["access.yaml"]
    assert yaml.safe_load(text)["grants"][1]["subject"] == odd["subject"]


def test_the_notes_say_how_to_get_a_token_in_one_line_and_use_it():
    said = notes("server.service.port=80")
    created = "kubectl create token demo-sensorpipe-reader --namespace default"
    assert f"TOKEN=$({created} --audience sensorpipe)" in said.splitlines()
    assert 'curl --header "Authorization: Bearer $TOKEN"' in said
    assert "sensorpipe verify --wait --token-file -" in said
    assert "TOKEN" not in notes("server.auth.enabled=false")


INGRESS = ("server.ingress.enabled=true", "server.ingress.hosts={a.example}")
ADMITTED = "networkPolicy.apiFrom[0].namespaceSelector.matchLabels.a=b"
CLOSED = "its controller may not connect: networkPolicy.apiFrom is empty."
READABLE = "The Ingress has no TLS: tokens can be read on the way."
OPEN = "Everybody who reaches the API reads everything: server.auth.enabled is false."


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ((), []),
        (INGRESS, [CLOSED, READABLE]),
        ((*INGRESS, ADMITTED, "server.ingress.tls[0].secretName=t"), []),
        ((*INGRESS, ADMITTED, "server.auth.enabled=false"), [OPEN]),
        (("server.auth.enabled=false",), []),
    ],
)
def test_the_notes_warn_of_an_api_that_is_closed_or_open_unexpectedly(
    sets: tuple[str, ...], expected: list[str]
):
    said = notes(*sets)
    assert [warning for warning in (CLOSED, READABLE, OPEN) if warning in said] == expected
