"""Upgrades: what is there stays as it is, and what only the first install may choose is refused."""

from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from chart_lookup import render_in
from chart_parts import COMPACTOR, environ, files
from chart_render import Object, of_kind, one, render

BROKER = "demo-sensorpipe-mosquitto"
CLIENT_ID = "compactor-client-id"
ENVIRON = "SENSORPIPE_MQTT_CLIENT_ID"


def secret(**data: str) -> Object:
    """Return the broker's Secret as an earlier revision left it."""
    encoded = {
        key.replace("_", "-"): b64encode(text.encode()).decode() for key, text in data.items()
    }
    metadata = {"name": BROKER, "namespace": "sensors"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}


def client_id(objects: list[Object]) -> str:
    """Return the MQTT client id that the broker's Secret holds."""
    return b64decode(one(objects, "Secret", BROKER)["data"][CLIENT_ID]).decode()


# --- the compactor's session at the broker ---


def test_a_first_install_has_a_client_id_that_nobody_can_guess(tmp_path: Path):
    made = client_id(render_in(tmp_path, [], upgrade=False))
    again = client_id(render_in(tmp_path, [], upgrade=False))

    assert len({made, again, "sensorpipe-compactor"}) == 3
    assert made.isalnum()
    assert len(made) == 32


def test_an_upgrade_keeps_the_client_id(tmp_path: Path):
    held = secret(compactor_client_id="secret-of-old", generator_password="x")
    assert client_id(render_in(tmp_path, [held])) == "secret-of-old"


@pytest.mark.parametrize("upgrade", [True, False], ids=["upgrade", "installed again"])
def test_a_session_from_before_there_was_a_secret_is_not_lost(tmp_path: Path, *, upgrade: bool):
    held = secret(generator_password="x", compactor_password="y")
    objects = render_in(tmp_path, [held], "compactor.clientId=plant-7", upgrade=upgrade)

    assert client_id(objects) == "plant-7"
    assert environ(objects, COMPACTOR)["SENSORPIPE_COMPACTOR_NAME"] == "plant-7"


def test_the_client_id_reaches_the_compactor_as_a_file_only():
    objects = render()

    assert files(objects, COMPACTOR)["mqtt-client-id"] == (BROKER, CLIENT_ID)
    assert ENVIRON not in environ(objects, COMPACTOR)
    for found in objects:
        assert found["kind"] == "Secret" or client_id(objects) not in str(found)


def test_a_secret_of_ones_own_may_hold_the_client_id():
    sets = ("mosquitto.existingSecret=broker", "compactor.existingSecret=session")
    objects = render(*sets)
    assert files(objects, COMPACTOR)["mqtt-client-id"] == ("session", "client-id")

    # without lookup a made one would be another each time
    named = render(sets[0])
    assert "mqtt-client-id" not in files(named, COMPACTOR)
    assert environ(named, COMPACTOR)[ENVIRON] == "sensorpipe-compactor"
    assert BROKER not in of_kind(named, "Secret")
