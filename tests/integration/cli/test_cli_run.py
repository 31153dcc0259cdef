"""How `sensorpipe up` starts, watches and stops its processes, with stand-ins for the programs."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.waiting import until

# Answers as server, compactor and generator do, and notes when it starts and is told to stop.
STAND_IN = """
import json, os, signal, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

program, notes = sys.argv[0], open(os.environ["STAND_IN_NOTES"], "a", buffering=1)
name = os.path.basename(os.path.dirname(program)).removeprefix("sensorpipe_")
totals = json.loads(os.environ.get("STAND_IN_TOTALS", "{}"))
integrity = {"data": [], "totals": {"count": 0, "lost": 0, "duplicates": 0, **totals}}
window = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:10Z"}
windows = [{"window": window, "avg_humidity": 50.0}]
answers = {
    "/readyz": "ok",
    "/metrics": "sensorpipe_generator_published_total 0.0\\n",
    "/api/integrity": json.dumps(integrity),
    "/api/facilities": json.dumps({"data": [{"facility_name": "facility_1"}]}),
    "/api/sensors/facility_1": json.dumps({"data": windows, "pagination": {"total": 1}}),
}

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        text = answers.get(self.path.split("?")[0])
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *args):
        pass

def stop(number, frame):
    notes.write(f"stop {name}\\n")
    if name != os.environ.get("STAND_IN_STUBBORN"):
        os._exit(0)

signal.signal(signal.SIGTERM, stop)
host, port = os.environ["SENSORPIPE_HTTP"].split(":")
server = ThreadingHTTPServer((host, int(port)), Answer)
notes.write(f"start {name}\\n")
if name == os.environ.get("STAND_IN_CRASH"):
    def crash():
        print("the last words of", name, flush=True)
        os._exit(7)
    threading.Timer(1, crash).start()
watched = os.environ.get("SENSORPIPE_MONITORING", "127.0.0.1:0").split(":")
monitoring = ThreadingHTTPServer((watched[0], int(watched[1])), Answer)
threading.Thread(target=monitoring.serve_forever, daemon=True).start()
server.serve_forever()
"""

SENSOR = """\
apiVersion: sensorpipe.dev/v1alpha1
kind: Sensor
metadata: {name: hall}
spec:
  facility: facility_1
  interval: 1s
  measurements: [{name: humidity, signal: {constant: {value: 50}}}]
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def sensor(tmp_path: Path) -> Path:
    path = tmp_path / "sensor.yaml"
    path.write_text(SENSOR)
    return path


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.touch()
    return path


@pytest.fixture
def up(tmp_path: Path, notes: Path, sensor: Path) -> Iterator[Start]:
    """Start `sensorpipe up` with stand-ins in the place of the programs."""
    for program in ("server", "compactor", "generator"):
        package = tmp_path / "programs" / f"sensorpipe_{program}"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(STAND_IN)
    (tmp_path / "tmp").mkdir()
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, **environ: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "sensorpipe_cli", "up", str(sensor), "--no-tty"]
        process = subprocess.Popen(
            [*argv, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ
            | {"PYTHONPATH": str(tmp_path / "programs"), "STAND_IN_NOTES": str(notes)}
            | {"TMPDIR": str(tmp_path / "tmp")}
            | environ,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def everything(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def running(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until it says that everything runs; return all its processes."""
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("logs:"):
            return everything(process)
    pytest.fail("".join(seen))


def finished(process: subprocess.Popen[str]) -> str:
    """Return the output that is left: what was read ahead, too, which communicate() passes over."""
    assert process.stdout
    output = process.stdout.read()
    process.wait(240)
    return output


def listening(connections: Iterable[Any]) -> set[int]:
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_starts_and_stops_in_order_and_leaves_nothing(up, notes, tmp_path):
    process = up()
    children = running(process)
    ports = {port for child in children for port in listening(child.net_connections())}
    process.send_signal(signal.SIGINT)
    output = finished(process)
    assert process.returncode == 0, output
    told = notes.read_text().split("\n")[:-1]
    assert sorted(told[:2]) == ["start compactor", "start server"]
    assert told[2:] == ["start generator", "stop generator", "stop compactor", "stop server"]
    states = [line for line in output.splitlines() if line.endswith(": stopped")]
    assert [line.split(":")[0] for line in states[:3]] == ["generator hall", "compactor", "server"]
    assert {line.split(":")[0] for line in states[3:]} == {"mqtt-broker", "kafka-broker", "mongodb"}
    assert len(children) == 6
    until(lambda: gone(children))
    assert len(ports) >= 6
    assert not ports & listening(psutil.net_connections())
    assert list((tmp_path / "tmp").iterdir()) == []


def test_says_in_plain_lines_what_became_of_the_run(up):
    output = up("--duration", "1s").communicate(timeout=240)[0]
    assert all(line.isascii() and line.isprintable() for line in output.splitlines())
    words = dict(line.rsplit(maxsplit=1) for line in output.splitlines() if "  " in line)
    assert words["lost"] == words["duplicates"] == "0"
    assert "1 (facility_1)" in output
    assert re.search(r"^page: http://127.0.0.1:\d+/$", output, re.MULTILINE)
    assert "API: http://127.0.0.1:" in output


@pytest.mark.parametrize("totals", ['{"lost": 1}', '{"duplicates": 1}'])
def test_a_lost_or_duplicate_reading_is_a_failure(up, totals):
    process = up("--duration", "1s", STAND_IN_TOTALS=totals)
    process.communicate(timeout=240)
    assert process.returncode == 1


@pytest.mark.parametrize("part", ["generator", "compactor", "server"])
def test_a_crash_stops_everything_and_shows_the_last_log_lines(up, notes, tmp_path, part):
    process = up(STAND_IN_CRASH=part)
    children = running(process)
    output = finished(process)
    assert process.returncode == 1
    assert "exited with 7" in output
    assert f"the last words of {part}" in output
    stops = [line for line in notes.read_text().splitlines() if line.startswith("stop")]
    order = ["stop generator", "stop compactor", "stop server"]
    assert stops == [stop for stop in order if not stop.endswith(part)]
    until(lambda: gone(children))
    (kept,) = (tmp_path / "tmp").iterdir()
    assert str(kept / "logs") in output
    assert list((kept / "logs").glob(f"{part}*.log"))


def test_a_service_that_crashes_stops_everything(up, notes):
    process = up()
    children = running(process)
    next(child for child in children if child.name() == "mongod").kill()
    output = finished(process)
    assert process.returncode == 1
    assert "mongodb was killed by SIGKILL" in output
    assert notes.read_text().splitlines()[-1] == "stop server"
    until(lambda: gone(children))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_the_run_in_order(up, notes, number):
    process = up()
    children = running(process)
    process.send_signal(number)
    output = finished(process)
    assert process.returncode == 0, output
    assert notes.read_text().splitlines()[-3:] == [
        "stop generator",
        "stop compactor",
        "stop server",
    ]
    until(lambda: gone(children))


def test_a_second_interrupt_stops_at_once(up, notes):
    process = up(STAND_IN_STUBBORN="generator")
    children = running(process)
    process.send_signal(signal.SIGINT)
    until(lambda: "stop generator" in notes.read_text())
    process.send_signal(signal.SIGINT)
    output = finished(process)
    assert process.returncode == 130, output
    assert "stop compactor" not in notes.read_text()
    until(lambda: gone(children))


def test_interrupted_while_starting_it_leaves_nothing(up, tmp_path):
    process = up()
    assert process.stdout
    process.stdout.readline()
    children = everything(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=240)
    assert process.returncode == 130
    until(lambda: gone(children))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_killed_it_takes_all_its_processes_with_it(up):
    process = up()
    children = running(process)
    assert len(children) == 6
    process.kill()
    process.wait()
    until(lambda: gone(children))


def test_a_reader_that_goes_away_ends_the_run_in_order(up, notes):
    process = up()
    children = running(process)
    assert process.stdout
    process.stdout.close()
    assert process.wait(timeout=240) == 0
    assert notes.read_text().splitlines()[-1] == "stop server"
    until(lambda: gone(children))


def test_data_and_logs_stay_where_the_user_wants_them(up, tmp_path):
    folder = tmp_path / "mine"
    process = up("--duration", "1s", "--data", str(folder))
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    assert (folder / "mongodb" / "WiredTiger").exists()
    assert (folder / "logs" / "generator-hall.log").exists()
    assert str(folder / "logs") in output
