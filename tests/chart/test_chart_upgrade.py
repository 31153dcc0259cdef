"""Upgrades: what is there stays as it is, and what only the first install may choose is refused."""

from pathlib import Path

import pytest
from support.chart.lookup import render_in
from support.chart.parts import COMPACTOR, environ, files
from support.chart.passwords import made, plan
from support.chart.render import CHART, Object, RefusedError, one, render
from support.kube.secret_store import SecretStore, encoded

BROKER = "demo-sensorpipe-mosquitto"
CLIENT_ID = "compactor-client-id"
ENVIRON = "SENSORPIPE_MQTT_CLIENT_ID"
FIXED = "which cannot be changed"
CLASS = f'"fast" differs from the existing volume\'s "", {FIXED}; set ""'


def secret(**data: str) -> Object:
    """Return the broker's Secret as an earlier revision left it."""
    values = {key.replace("_", "-"): text for key, text in data.items()}
    labels = {"app.kubernetes.io/instance": "demo", "app.kubernetes.io/part-of": "sensorpipe"}
    metadata = {"name": BROKER, "namespace": "sensors", "labels": labels, "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded(values)}


def client_id(store: SecretStore) -> str:
    """Return the MQTT client id that the broker's Secret holds."""
    return store.values("sensors", BROKER)[CLIENT_ID]


# --- the compactor's session at the broker ---


def test_a_first_install_has_a_client_id_that_nobody_can_guess():
    made_id, again = client_id(made(render())), client_id(made(render()))

    assert len({made_id, again, "sensorpipe-compactor"}) == 3
    assert made_id.isalnum()
    assert len(made_id) == 32


def test_an_upgrade_keeps_the_client_id(tmp_path: Path):
    held = secret(compactor_client_id="secret-of-old", generator_password="x")
    assert client_id(made(render_in(tmp_path, [held]), held)) == "secret-of-old"


@pytest.mark.parametrize("upgrade", [True, False], ids=["upgrade", "installed again"])
def test_a_session_from_before_there_was_a_secret_is_not_lost(tmp_path: Path, *, upgrade: bool):
    held = secret(generator_password="x", compactor_password="y")
    objects = render_in(tmp_path, [held], "compactor.clientId=plant-7", upgrade=upgrade)

    assert client_id(made(objects, held)) == "plant-7"
    assert environ(objects, COMPACTOR)["SENSORPIPE_COMPACTOR_NAME"] == "plant-7"


def test_the_client_id_reaches_the_compactor_as_a_file_only():
    objects = render()

    assert files(objects, COMPACTOR)["mqtt-client-id"] == (BROKER, CLIENT_ID)
    assert ENVIRON not in environ(objects, COMPACTOR)


def test_a_secret_of_ones_own_may_hold_the_client_id():
    sets = ("mosquitto.existingSecret=broker", "compactor.existingSecret=session")
    objects = render(*sets)
    assert files(objects, COMPACTOR)["mqtt-client-id"] == ("session", "client-id")

    # without lookup a made one would be another each time
    named = render(sets[0])
    assert "mqtt-client-id" not in files(named, COMPACTOR)
    assert environ(named, COMPACTOR)[ENVIRON] == "sensorpipe-compactor"
    assert BROKER not in plan(named)


# --- what only the first install chooses ---


def there(*sets: str) -> list[Object]:
    """Return what a release of these values holds in its cluster."""
    kinds = {"Secret", "StatefulSet", "Deployment", "KafkaNodePool", "KafkaTopic"}
    return [found for found in render(*sets) if found["kind"] in kinds]


def refused(folder: Path, *sets: str, values: tuple[Path, ...] = ()) -> list[str]:
    """Return what is said to an upgrade of a default release, a line each."""
    with pytest.raises(RefusedError) as error:
        render_in(folder, there(), *sets, values=values)
    return [line[2:] for line in str(error.value).splitlines() if line.startswith("- ")]


def test_a_default_release_cannot_become_one_of_the_production_profile(tmp_path: Path):
    said = refused(tmp_path, values=(CHART / "profiles/production.yaml",))
    assert sorted(set(said)) == [
        f"kafka.replicas: 3 differs from the existing number, 1, {FIXED}; set 1",
        f"kafka.replicationFactor: 3 differs from the existing topics' 1, {FIXED}; set 1",
        f"mongodb.storage.size: 50Gi differs from the existing volume's 4Gi, {FIXED}; set 4Gi",
        f"mosquitto.storage.size: 10Gi differs from the existing volume's 1Gi, {FIXED}; set 1Gi",
    ]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "kafka.topics.partitions=2",
            "2 is less than the existing number, 3, which cannot be reduced; set 3 or more",
        ),
        (
            "kafka.storage.size=1Gi",
            "1Gi is less than the existing volumes' 2Gi, which can only grow; set 2Gi or more",
        ),
        ("kafka.storage.className=fast", CLASS),
        ("mongodb.storage.className=fast", CLASS),
    ],
)
def test_what_cannot_change_is_refused_with_its_name(tmp_path: Path, setting: str, said: str):
    assert refused(tmp_path, setting)[-1] == f"{setting.partition('=')[0]}: {said}"


@pytest.mark.parametrize(
    "setting",
    [
        "kafka.topics.partitions=12",
        "kafka.storage.size=3Gi",
        "mosquitto.storage.size=1024Mi",
        "mosquitto.queueBytes=1000",
        "server.replicas=3",
    ],
)
def test_all_else_may_change(tmp_path: Path, setting: str):
    assert render_in(tmp_path, there(), setting)


def test_a_release_may_keep_what_it_chose(tmp_path: Path):
    sets = ("mongodb.storage.className=fast", "kafka.storage.className=fast", "kafka.replicas=3")
    assert render_in(tmp_path, there(*sets), *sets)


def test_a_size_is_the_same_however_the_cluster_writes_it(tmp_path: Path):
    held = there("mosquitto.storage.size=1.1Gi")
    volume = one(held, "StatefulSet", BROKER)["spec"]["volumeClaimTemplates"][0]
    volume["spec"]["resources"]["requests"]["storage"] = "1181116006400m"  # as the API server does
    assert render_in(tmp_path, held, "mosquitto.storage.size=1.1Gi")


def test_another_name_under_the_same_full_name_is_refused(tmp_path: Path):
    names = ("fullnameOverride=demo-sensorpipe", "nameOverride=pipe")
    assert refused(tmp_path, *names)[-1] == (
        f'nameOverride: "pipe" differs from the existing resources\' "sensorpipe", {FIXED}; '
        'set "sensorpipe"'
    )
