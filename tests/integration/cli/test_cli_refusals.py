"""What `sensorpipe` refuses, all of it at once and before anything starts."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from sensorpipe_cli.runner import embedded

GOOD = """\
apiVersion: sensorpipe.dev/v1alpha1
kind: Sensor
metadata: {name: hall}
spec:
  facility: facility_1
  interval: 1s
  measurements: [{name: humidity, signal: {constant: {value: 50}}}]
"""


def sensorpipe(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sensorpipe_cli", *map(str, arguments)]
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=240, env=os.environ | environ, check=False
    )


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


def refused(*arguments: object, **environ: str) -> list[str]:
    if arguments[0] == "up" and "--port" not in arguments:
        arguments = (*arguments, "--port", 0)  # somebody's demo may have the default one
    done = sensorpipe(*arguments, **environ)
    assert done.returncode == 2, done
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_bad_sensor_file_is_reported_by_path_field_and_what_is_allowed(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.replace("facility_1", "Facility 1").replace("1s", "soon"))
    facility, interval = sorted(refused("up", path))
    assert facility.startswith(f"{path}: spec.facility: ")
    assert "lower-case letters" in facility
    assert interval.startswith(f"{path}: spec.interval: ")
    assert "10ms" in interval


def test_everything_wrong_is_reported_at_once(tmp_path, good):
    empty = tmp_path / "empty"
    empty.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused("up", good, "nowhere.yaml", empty, "--port", port, "--mqtt", "http://x")
    assert len(told) == 4
    for start in ("nowhere.yaml: ", f"{empty}: ", "--mqtt: must be mqtt://", f"--port: {port} is"):
        assert any(line.startswith(start) for line in told), told


def test_one_sensor_twice_is_refused(tmp_path, good):
    (tmp_path / "again.yaml").write_text(GOOD)
    (told,) = refused("up", good, tmp_path / "again.yaml")
    assert "metadata.name" in told


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--mqtt", "mqtt://127.0.0.1:1", "nothing accepts connections at 127.0.0.1:1"),
        ("--kafka", "127.0.0.1:1", "nothing accepts connections at 127.0.0.1:1"),
        ("--kafka", "kafka", "must be HOST:PORT"),
        ("--mongodb", "127.0.0.1:27017", "must be mongodb://HOST:PORT/DATABASE"),
    ],
)
def test_a_service_of_ones_own_has_to_be_there(good, option, value, told):
    (line,) = refused("up", good, option, value)
    assert line.startswith(f"{option}: ")
    assert told in line


def test_data_has_to_be_a_folder(good):
    (told,) = refused("up", good, "--data", good)
    assert told.startswith(f"--data: {good} ")


def test_the_window_is_checked_before_anything_starts(good):
    (told,) = refused("up", good, SENSORPIPE_WINDOW="ten")
    assert told.startswith("SENSORPIPE_WINDOW: ")


@pytest.mark.parametrize("text", ["60", "0s", "soon"])
def test_a_duration_has_to_be_one(good, text):
    assert "--duration" in refused("up", good, "--duration", text)[-1]


def test_a_machine_without_an_embedded_service_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for service, option in (
        (embedded.mqtt_broker, "--mqtt mqtt://"),
        (embedded.kafka_broker, "--kafka HOST"),
        (embedded.mongod_replica_set, "--mongodb mongodb://"),
    ):
        with pytest.raises(embedded.NotEmbeddedError, match=option):
            service(1, tmp_path)


def test_check_lists_sensors_and_refuses_what_up_refuses(tmp_path, good):
    done = sensorpipe("check", good)
    assert done.returncode == 0
    assert done.stdout == "hall: facility facility_1, 1 device every 1s, humidity\n"
    (tmp_path / "bad.yaml").write_text("kind: Pod")
    (told,) = refused("check", tmp_path)
    assert told.startswith(f"{tmp_path / 'bad.yaml'}: ")


def test_the_demo_is_there_without_files():
    done = sensorpipe("check")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        assert f"facility_{number}" in line
        assert "every 5s, humidity, pressure, temperature" in line


def test_help_and_version_load_nothing_heavy():
    program = (
        "import sys; from sensorpipe_cli import main; "
        "print(*{'rich.live', 'numpy', 'aiokafka', 'pymongo', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
    assert sensorpipe("--version").stdout.startswith("sensorpipe ")
    assert "Exit codes:" in sensorpipe("--help").stdout


def test_a_missing_library_that_no_wheel_brings_is_named_with_its_package(monkeypatch, tmp_path):
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("ctypes.CDLL", absent)
    monkeypatch.setattr("importlib.metadata.files", lambda _: [])
    with pytest.raises(
        embedded.NotEmbeddedError, match=r"needs the library libcurl\.so\.4"
    ) as said:
        embedded.mongod(1, tmp_path)
    assert "apt-get install libcurl4" in str(said.value)
