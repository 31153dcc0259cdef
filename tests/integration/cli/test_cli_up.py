"""`sensorpipe up` for real: the demo through the embedded services, then counted."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import psutil
import pytest
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.ports import free_port, is_free
from support import services
from support.waiting import until

FACILITIES = ["facility_1", "facility_2", "facility_3"]

Up = tuple[subprocess.Popen[str], int]


@pytest.fixture
def up(tmp_path) -> Iterator[Up]:
    """The demo, running, and the port of its API."""
    port = free_port()
    argv = [sys.executable, "-m", "sensorpipe_cli", "up", "--no-tty", "--port", str(port)]
    process = subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    yield process, port
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def ask(port: int, path: str):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return json.load(answer)


def stored(port: int) -> dict[str, int]:
    """Return how many windows each facility has; none while nobody answers."""
    try:
        pages = {name: ask(port, f"/api/sensors/{name}?limit=1") for name in FACILITIES}
    except OSError:
        return {}
    return {name: page["pagination"]["total"] for name, page in pages.items()}


def is_stored(port: int) -> bool:
    """Whether each facility has a window."""
    counts = stored(port)
    return bool(counts) and all(counts.values())


def test_the_demo_is_stored_exactly_once_and_leaves_nothing(up, tmp_path):
    process, port = up
    until(lambda: is_stored(port) or process.poll() is not None, state=lambda: stored(port))
    assert process.poll() is None, process.stdout.read()
    item = ask(port, "/api/sensors/facility_1?limit=1")["data"][0]
    for sensor, mean in (("humidity", 50), ("pressure", 1013), ("temperature", 20)):
        assert item[f"count_{sensor}"] >= 1
        assert item[f"min_{sensor}"] <= item[f"avg_{sensor}"] <= item[f"max_{sensor}"]
        assert item[f"avg_{sensor}"] == pytest.approx(mean, rel=0.5)
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "sensorpipe_cli", "verify", "--all", "--url", url]
    verified = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    assert verified.returncode == 0, verified
    assert all(name in verified.stdout for name in FACILITIES)

    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 9  # the server's API is a process of its own
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    summary = {
        name.strip(): value.strip()
        for name, _, value in (line.partition("  ") for line in output.splitlines())
        if value.strip()
    }
    assert summary["lost"] == summary["duplicates"] == "0"
    assert int(summary["stored"]) == int(summary["readings published"]) >= 9
    assert summary["facilities"] == f"3 ({', '.join(FACILITIES)})"
    assert "not stored in time" not in output
    assert not any(child.is_running() for child in children)
    assert is_free(port)
    assert list(tmp_path.iterdir()) == []


async def test_it_runs_through_services_of_ones_own(tmp_path):
    mosquitto, kafka = services.mosquitto(tmp_path / "mqtt"), services.kafka(tmp_path / "kafka")
    mongod = embedded.mongod(free_port(), tmp_path / "mongodb")
    own = [mosquitto, kafka, mongod]
    try:
        for child in own:
            await child.start()
        for child in own:
            await child.listening()
        options = {
            "--mqtt": f"mqtt://127.0.0.1:{mosquitto.port}",
            "--kafka": f"127.0.0.1:{kafka.port}",
            "--mongodb": f"mongodb://127.0.0.1:{mongod.port}/mine",
        }
        pairs = [word for pair in options.items() for word in pair]
        argv = [sys.executable, "-m", "sensorpipe_cli", "up", "--no-tty", "--port", "0", *pairs]
        run = await asyncio.create_subprocess_exec(
            *argv,
            "--duration",
            "12s",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output = (await asyncio.wait_for(run.communicate(), 120))[0].decode()
        finally:
            if run.returncode is None:
                run.kill()
        assert run.returncode == 0, output
        assert re.search(r"(?m)^facilities +3\b", output), output
        assert "mqtt-broker" not in output
        assert all(child.returncode is None for child in own)
    finally:
        for child in own:
            await child.stop()
