"""Who reads what of the API on a real cluster, with tokens that `kubectl create token` makes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest
from cluster_client import Cluster
from support.chart.release import NAME, Release
from support.chart.release_site import uninstalled
from support.openapi_operations import needed, operations_of, path_of
from support.services import ROOT
from support.waiting import until

OURS, OTHERS = "facility_1", "facility_2"


@dataclass(frozen=True, slots=True)
class Api:
    """The forwarded API, and its operations as its own document has them."""

    release: Release
    port: int
    operations: dict[str, Any]

    def get(self, path: str, token: str | None = None) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and the JSON of an answer; of a stream only that it began."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            given = {name.lower(): value for name, value in answer.getheaders()}
            is_json = "json" in given.get("content-type", "")
            return answer.status, given, json.loads(answer.read()) if is_json else None
        finally:
            connection.close()


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    """The release with the samples, and a grant for an account of one facility."""
    with uninstalled(cluster) as made:
        grant = {
            "issuer": "cluster",
            "subject": f"system:serviceaccount:{made.namespace}:dash",
            "scopes": ["read", "metrics"],
            "facilities": [OURS],
        }
        made.install("--set-json", f"server.auth.grants={json.dumps([grant])}")
        made.kubectl("apply", "-f", str(ROOT / "manifests/samples"))
        for account in ("dash", "stranger"):
            made.kubectl("create", "serviceaccount", account)
        made.wait_facilities(OURS, OTHERS)
        yield made


@pytest.fixture(scope="module")
def api(release: Release) -> Iterator[Api]:
    """The forwarded API."""
    target = f"service/{NAME}-server"
    with release.cluster.port_forward(target, 8080, release.namespace) as port:
        _, _, document = Api(release, port, {}).get("/openapi.json")
        yield Api(release, port, operations_of(document))


def test_each_operation_that_holds_data_answers_401_without_a_token(api: Api):
    is_open = {path for path, one in api.operations.items() if needed(one) is None}
    assert is_open == {"/openapi.json"}
    assert len(api.operations) >= 9
    for path in api.operations.keys() - is_open:
        status, headers, said = api.get(path_of(path, api.operations[path], OURS))
        assert (path, status) == (path, 401)
        assert headers["www-authenticate"].startswith("Bearer")
        assert "token" in said["detail"]


def test_each_operation_answers_a_token_of_the_releases_reader(api: Api):
    token = api.release.token()
    for path, operation in api.operations.items():
        status, _, said = api.get(path_of(path, operation, OURS, named=True), token)
        assert (path, status) == (path, 200), said


def test_each_operation_that_names_another_facility_answers_403(api: Api):
    token, named = api.release.token("dash"), set()
    for path, operation in api.operations.items():
        ours = path_of(path, operation, OURS, named=True)
        theirs = path_of(path, operation, OTHERS, named=True)
        if needed(operation) is None:
            continue
        if needed(operation) == "admin":
            assert api.get(ours, token)[0] == 403
        elif ours != theirs:
            named.add(path)
            assert (path, api.get(ours, token)[0]) == (path, 200)
            assert (path, api.get(theirs, token)[0]) == (path, 403)
    assert len(named) >= 5


def test_lists_hold_the_granted_facilities_only(api: Api):
    found = api.get("/api/facilities", api.release.token("dash"))[2]["data"]
    assert [each["facility_name"] for each in found] == [OURS]


def test_who_has_no_grant_reads_nothing(api: Api):
    token = api.release.token("stranger")
    for path, operation in api.operations.items():
        if needed(operation) is not None:
            status, _, _ = api.get(path_of(path, operation, OURS), token)
            assert (path, status) == (path, 403)


def test_a_token_for_kubernetes_itself_is_none_of_the_api(api: Api):
    token = api.release.kubectl("create", "token", f"{NAME}-reader").strip()
    status, _, said = api.get("/api/facilities", token)
    assert status == 401
    assert said["detail"] == "The token is not for this API: aud must have sensorpipe"


def test_a_grant_that_is_taken_back_ends_without_a_restart(api: Api):
    pods = api.release.pods("server")
    token = api.release.token("dash")
    assert api.get("/api/facilities", token)[0] == 200
    api.release.upgrade()  # without the grant
    until(lambda: api.get("/api/facilities", token)[0] == 403, seconds=180)
    assert api.release.pods("server") == pods
