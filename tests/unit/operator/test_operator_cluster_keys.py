"""The keeper of the cluster's keys: what it publishes; no failure empties or takes over."""

import json
from copy import deepcopy
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sensorpipe_operator.cluster_keys.keeper import ClusterKeysKeeper
from sensorpipe_operator.cluster_keys.published import (
    ISSUER_PATH,
    KEYS_PATH,
    UnusableError,
    pause,
    published,
)
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import MANAGER, Body, Kind
from sensorpipe_operator.settings import ClusterIssuerSettings

ISSUER = "https://kubernetes.default.svc.cluster.local"
LOST = ApiError(0, "Unreachable", "no response")
RSA = {"use": "sig", "kty": "RSA", "kid": "a", "alg": "RS256", "n": "0vx7-_", "e": "AQAB"}
EC = {
    "use": "sig",
    "kty": "EC",
    "kid": "b",
    "alg": "ES256",
    "crv": "P-256",
    "x": "f83O",
    "y": "x_F",
}
DEPLOYMENT: Body = {
    "metadata": {
        "name": "demo-operator",
        "uid": "u-operator",
        "labels": {"app.kubernetes.io/instance": "demo"},
    }
}


class Site:
    """An API server with one ConfigMap, and the keeper; it has the parts that are asked for."""

    def __init__(self, owner: str = "demo-operator") -> None:
        self.documents: dict[str, Any] = {ISSUER_PATH: {"issuer": ISSUER}, KEYS_PATH: keys(RSA)}
        self.config_map: Body | None = None
        self.deployment: Body | None = deepcopy(DEPLOYMENT)
        self.refuse: dict[str, ApiError] = {}
        self.writes: list[str] = []
        self.now = 100.0
        self.registry = CollectorRegistry()
        self.keeper = ClusterKeysKeeper(
            self,
            settings=ClusterIssuerSettings(("release", "keys"), owner),
            every_seconds=600,
            metrics=OperatorMetrics(self.registry),
            clock=lambda: self.now,
            random_part=lambda: 1.0,
        )

    async def document(self, path: str) -> Body:
        self._may(path)
        found: Body = deepcopy(self.documents[path])
        return found

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        self._may(f"get {kind}")
        found = {
            (Kind.CONFIG_MAP, "release", "keys"): self.config_map,
            (Kind.DEPLOYMENT, "release", "demo-operator"): self.deployment,
        }[kind, namespace, name]
        if found is None:
            raise ApiError(404, "NotFound", "not found")
        return deepcopy(found)

    async def create(self, body: Body) -> Body:
        self._may("create")
        assert self.config_map is None
        return self._store(body, "create", "Update")

    async def take_ownership(self, live: Body, entry: int) -> None:
        self._may("take")
        assert (entry, live["kind"]) == (0, Kind.CONFIG_MAP)
        self.writes.append("take")

    async def apply(self, body: Body, uid: str) -> Body:
        self._may("apply")
        assert uid == "u-keys"
        return self._store(body, "apply", "Apply")

    def _store(self, body: Body, verb: str, operation: str) -> Body:
        self.writes.append(verb)
        self.config_map = deepcopy(body)
        managers = [{"manager": MANAGER, "operation": operation}]
        self.config_map["metadata"] |= {"uid": "u-keys", "managedFields": managers}
        return self.config_map

    def _may(self, what: str) -> None:
        if error := self.refuse.get(what):
            raise error

    # What a test does.

    @property
    def data(self) -> Any:
        return (self.config_map or {}).get("data")

    def looks(self, result: str) -> float | None:
        name = "sensorpipe_operator_cluster_key_looks_total"
        return self.registry.get_sample_value(name, {"result": result})


def keys(*found: Any) -> dict[str, Any]:
    return {"keys": [*found]}


def kept(data: dict[str, str]) -> list[dict[str, str]]:
    """Return the published keys."""
    found: list[dict[str, str]] = json.loads(data["jwks.json"])["keys"]
    return found


@pytest.fixture
def site() -> Site:
    return Site()


def test_issuer_and_public_parameters_are_published_and_nothing_else() -> None:
    private = {**RSA, "d": "private", "p": "private", "x5c": ["cert"], "k": "secret"}
    found = published({"issuer": ISSUER, "jwks_uri": "https://10.0.0.1/x"}, keys(private, EC))
    assert found.keys() == {"issuer", "jwks.json"}
    assert found["issuer"] == ISSUER
    assert kept(found) == [EC, RSA]  # EC's first parameter sorts before RSA's


def test_the_same_keys_in_another_order_are_the_same_data() -> None:
    configuration, turned = {"issuer": ISSUER}, dict(reversed(RSA.items()))
    first = published(configuration, keys(RSA, EC))
    assert published(configuration, keys(EC, turned)) == first
    assert published(configuration, keys(RSA)) != first


def test_a_key_of_an_unknown_type_is_left_out() -> None:
    found = published({"issuer": ISSUER}, keys({"kty": "oct", "k": "secret"}, RSA))
    assert kept(found) == [RSA]


@pytest.mark.parametrize("issuer", [None, "", 5, "a b", "a\nb", "x" * 513])
def test_a_wrong_issuer_is_not_published(issuer: Any) -> None:
    with pytest.raises(UnusableError, match="openid-configuration has no issuer of 1 to 512"):
        published({"issuer": issuer}, keys(RSA))


@pytest.mark.parametrize(
    ("key_set", "why"),
    [
        ({}, "has no list of 1 to 32 keys"),
        ([], "has no list of 1 to 32 keys"),
        ({"keys": {}}, "has no list of 1 to 32 keys"),
        (keys(), "has no list of 1 to 32 keys"),
        (keys(*[RSA] * 33), "has no list of 1 to 32 keys"),
        (keys({"kty": "oct", "k": "secret"}), "has no key of the types RSA, EC, OKP"),
        (keys(RSA, "no key"), r"keys\[1\] is no key"),
        (keys({**RSA, "kty": ["RSA"]}), r"keys\[0\] is no key"),
        (keys({**RSA, "n": ""}), r"keys\[0\] is no valid key of the type RSA"),
        (keys({**RSA, "n": "a b"}), r"keys\[0\] is no valid key of the type RSA"),
        (keys({**RSA, "n": "a" * 5000}), r"keys\[0\] is no valid key of the type RSA"),
        (keys({**RSA, "kid": 5}), r"keys\[0\] is no valid key of the type RSA"),
        (keys(EC, {"kty": "RSA", "e": "AQAB"}), r"keys\[1\] is no valid key of the type RSA"),
    ],
)
def test_a_wrong_key_set_is_not_published(key_set: Any, why: str) -> None:
    with pytest.raises(UnusableError, match=f"/openid/v1/jwks:? {why}"):
        published({"issuer": ISSUER}, key_set)


async def test_the_config_map_is_made_for_the_release_and_goes_with_the_operator(
    site: Site,
) -> None:
    await site.keeper.look()
    assert site.config_map is not None
    assert (site.data["issuer"], kept(site.data)) == (ISSUER, [RSA])
    metadata = site.config_map["metadata"]
    assert metadata["labels"]["app.kubernetes.io/instance"] == "demo"
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "demo-operator",
            "uid": "u-operator",
        }
    ]
    assert site.looks("written") == 1


@pytest.mark.parametrize("owner", ["", "demo-operator"])
async def test_without_a_deployment_it_has_no_owner(owner: str) -> None:
    site = Site(owner)
    site.deployment = None
    await site.keeper.look()
    assert site.config_map is not None
    assert "ownerReferences" not in site.config_map["metadata"]


async def test_it_is_written_on_a_change_only(site: Site) -> None:
    for _ in range(3):
        await site.keeper.look()
    assert site.writes == ["create"]
    site.documents[KEYS_PATH] = keys(RSA, EC)
    for _ in range(2):
        await site.keeper.look()
    # what was created is applied from then on, so that what is left out later goes
    assert site.writes == ["create", "take", "apply"]
    site.documents[KEYS_PATH] = keys(EC)
    await site.keeper.look()
    assert site.writes == ["create", "take", "apply", "apply"]
    assert kept(site.data) == [EC]
    assert (site.looks("written"), site.looks("unchanged")) == (3, 3)


async def test_a_new_issuer_is_written_with_its_keys(site: Site) -> None:
    await site.keeper.look()
    site.documents = {ISSUER_PATH: {"issuer": "https://new"}, KEYS_PATH: keys(EC)}
    await site.keeper.look()
    assert (site.data["issuer"], kept(site.data)) == ("https://new", [EC])


async def test_what_others_did_is_put_right(site: Site) -> None:
    await site.keeper.look()
    good = dict(site.data)
    assert site.config_map is not None
    site.config_map["data"]["jwks.json"] = '{"keys": []}'
    await site.keeper.look()
    assert site.data == good
    site.config_map = None
    await site.keeper.look()
    assert site.data == good


async def test_the_operator_installed_again_is_the_new_owner(site: Site) -> None:
    await site.keeper.look()
    assert site.deployment is not None
    site.deployment["metadata"]["uid"] = "u-second"
    await site.keeper.look()
    assert site.config_map is not None
    (owner,) = site.config_map["metadata"]["ownerReferences"]
    assert owner["uid"] == "u-second"


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/component": "cluster-issuer"},
        # of a Sensor with the ConfigMap's name
        {"app.kubernetes.io/managed-by": MANAGER, "app.kubernetes.io/component": "generator"},
    ],
)
async def test_a_config_map_of_others_is_left_alone(
    site: Site, labels: dict[str, str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    metadata: Body = {"name": "keys", "uid": "u-keys", "managedFields": [{"manager": MANAGER}]}
    if labels is not None:
        metadata["labels"] = labels
    site.config_map = {"metadata": metadata, "data": {"issuer": "other"}}
    before = deepcopy(site.config_map)
    await site.keeper.look()
    assert (site.config_map, site.writes) == (before, [])
    assert site.looks("foreign") == 1
    assert "release/keys exists and is not the operator's" in caplog.records[-1].error  # type: ignore[attr-defined]  # a field
    site.config_map = None
    await site.keeper.look()
    assert site.data["issuer"] == ISSUER


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (ISSUER_PATH, {}),
        (ISSUER_PATH, {"issuer": ""}),
        (KEYS_PATH, keys()),
        (KEYS_PATH, {"message": "no JSON"}),
        (KEYS_PATH, [RSA]),
        (KEYS_PATH, keys(RSA, {})),
    ],
)
async def test_an_answer_without_keys_changes_nothing(site: Site, path: str, wrong: Any) -> None:
    await site.keeper.look()
    before = deepcopy(site.config_map)
    right, site.documents[path] = site.documents[path], wrong
    await site.keeper.look()
    assert (site.config_map, site.writes) == (before, ["create"])
    assert site.looks("failed") == 1
    site.documents[path] = right
    await site.keeper.look()
    assert site.looks("unchanged") == 1


@pytest.mark.parametrize(
    "what", [ISSUER_PATH, KEYS_PATH, "get ConfigMap", "get Deployment", "create"]
)
@pytest.mark.parametrize("error", [LOST, ApiError(403, "Forbidden", "cannot get path")])
async def test_what_is_refused_is_tried_again(site: Site, what: str, error: ApiError) -> None:
    site.refuse[what] = error
    for _ in range(3):
        await site.keeper.look()
    assert (site.writes, site.looks("failed")) == ([], 3)
    del site.refuse[what]
    await site.keeper.look()
    assert site.writes == ["create"]


async def test_a_malformed_object_ends_nothing(site: Site) -> None:
    site.config_map = {"metadata": 5}
    await site.keeper.look()
    assert site.looks("failed") == 1
    site.config_map = None
    await site.keeper.look()
    assert site.looks("written") == 1


async def test_the_age_is_that_of_the_last_look_that_found_it_right(site: Site) -> None:
    site.now = 130.0
    assert site.keeper.age_seconds == 30  # since the start
    site.refuse[KEYS_PATH] = LOST
    await site.keeper.look()
    assert site.keeper.age_seconds == 30
    site.refuse.clear()
    await site.keeper.look()
    assert site.keeper.age_seconds == 0
    site.now = 700.0
    assert site.keeper.age_seconds == 570
    await site.keeper.look()  # unchanged
    assert site.keeper.age_seconds == 0


async def test_the_pause_is_long_after_success_and_grows_after_failures(site: Site) -> None:
    site.refuse[KEYS_PATH] = LOST
    pauses = []
    for _ in range(8):
        await site.keeper.look()
        pauses.append(site.keeper.pause_seconds)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    site.refuse.clear()
    await site.keeper.look()
    assert site.keeper.pause_seconds == 600


def test_pauses_are_spread_and_never_longer_than_asked_for() -> None:
    assert pause(0, 600, 0.0) == 480
    assert (pause(1, 600, 0.0), pause(10**9, 600, 0.5)) == (1.6, 54)
    assert pause(5, 10, 1.0) == 10
