"""The environment that `sensorpipe up` gives each program."""

from pathlib import Path

import pytest
from sensorpipe_cli.runner import programs
from sensorpipe_cli.runner.ports import free_ports, is_free

SERVICES = programs.Services(
    "mqtt://127.0.0.1:1", "127.0.0.1:2", "mongodb://127.0.0.1:3/sensorpipe"
)


def test_each_program_gets_what_it_needs_on_loopback():
    server = programs.server(SERVICES, 8080, 9000, {})
    compactor = programs.compactor(SERVICES, 9001, {})
    generator = programs.generator("hall", Path("/run/hall.json"), SERVICES, 9002, {})
    assert server.environ == {
        "SENSORPIPE_KAFKA_BOOTSTRAP": "127.0.0.1:2",
        "SENSORPIPE_MONGODB_URI": "mongodb://127.0.0.1:3/sensorpipe",
        "SENSORPIPE_HTTP": "127.0.0.1:8080",
        "SENSORPIPE_MONITORING": "127.0.0.1:9000",
    }
    assert compactor.environ == {
        "SENSORPIPE_MQTT_URL": "mqtt://127.0.0.1:1",
        "SENSORPIPE_KAFKA_BOOTSTRAP": "127.0.0.1:2",
        "SENSORPIPE_HTTP": "127.0.0.1:9001",
    }
    assert generator.environ == {
        "SENSORPIPE_MQTT_URL": "mqtt://127.0.0.1:1",
        "SENSORPIPE_SENSOR": "/run/hall.json",
        "SENSORPIPE_HTTP": "127.0.0.1:9002",
    }


def test_with_a_broker_of_the_runs_own_the_client_id_is_the_runs_and_the_name_stays():
    given = programs.compactor(SERVICES, 9001, {}, "compactor-1f").environ
    assert given["SENSORPIPE_MQTT_CLIENT_ID"] == "compactor-1f"
    assert given["SENSORPIPE_COMPACTOR_NAME"] == "sensorpipe-compactor"
    named = {"SENSORPIPE_COMPACTOR_NAME_FILE": "/run/name"}
    kept = programs.compactor(SERVICES, 9001, named, "compactor-1f").environ
    assert kept["SENSORPIPE_COMPACTOR_NAME_FILE"] == "/run/name"
    assert "SENSORPIPE_COMPACTOR_NAME" not in kept


def test_settings_of_a_service_pass_only_to_ones_own():
    environ = {
        "PATH": "/bin",
        "SENSORPIPE_WINDOW": "1m",
        "SENSORPIPE_KAFKA_PASSWORD": "secret",
        "SENSORPIPE_MQTT_TOPIC": "elsewhere/#",
    }
    assert programs.shared_environment(environ, frozenset()) == {
        "PATH": "/bin",
        "SENSORPIPE_WINDOW": "1m",
    }
    assert programs.shared_environment(environ, frozenset({"KAFKA"})) == {
        "PATH": "/bin",
        "SENSORPIPE_WINDOW": "1m",
        "SENSORPIPE_KAFKA_PASSWORD": "secret",
    }


@pytest.mark.parametrize("suffix", ["", "_FILE"])
def test_what_the_run_sets_wins_over_the_users_environment(suffix):
    server = programs.server(SERVICES, 8080, 9000, {f"SENSORPIPE_HTTP{suffix}": "0.0.0.0:80"})
    assert server.environ["SENSORPIPE_HTTP"] == "127.0.0.1:8080"
    assert "SENSORPIPE_HTTP_FILE" not in server.environ


def test_free_ports_are_different_and_free():
    ports = free_ports(500)
    assert len(set(ports)) == 500
    assert all(is_free(port) for port in ports)
