"""Devices publish to `sensorpipe up` as they are: MQTT 3.1.1 and 5, without a setting."""

import asyncio
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sensorpipe_cli.runner.options import Options, device_address, problems
from sensorpipe_cli.runner.ports import free_port
from support.feeds import SHIPPED
from support.pipeline import ask
from support.waiting import eventually, in_thread

SENSOR = """\
apiVersion: sensorpipe.dev/v1alpha1
kind: Sensor
metadata: {name: hall}
spec:
  facility: facility_1
  interval: 1s
  measurements: [{name: humidity, signal: {constant: {value: 50}}}]
"""


class Run:
    """A run of `sensorpipe up`, with what it printed."""

    def __init__(self, api: int, devices: int, folder: Path) -> None:
        self.api = api
        self.devices = devices
        self.folder = folder
        """The folder with the manifests."""
        self.output = ""

    async def follow(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.output += line.decode()

    async def publish(self, topic: str, payload: str, *options: str) -> None:
        """Publish as a user does, with what is given and no more."""
        argv = ["mosquitto_pub", "-p", str(self.devices), "-t", topic, "-m", payload, *options]
        process = await asyncio.create_subprocess_exec(*argv)
        assert await process.wait() == 0

    def averages(self, facility: str, *sensors: str) -> dict[str, float]:
        """Return a facility's averages over all its windows."""
        path = f"/api/stats?sensors={','.join(sensors)}&facility={facility}"
        try:
            stats = ask(f"http://127.0.0.1:{self.api}{path}")
        except OSError:
            return {}
        found: dict[str, Any] = next((item for item in stats if item["_id"] == facility), {})
        return {name: item["avg"] for name, item in found.items() if name != "_id"}


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    if shutil.which("mosquitto_pub") is None:
        pytest.skip("no mosquitto_pub here; `apt-get install mosquitto-clients` brings it")
    (tmp_path / "hall.yaml").write_text(SENSOR)
    (tmp_path / "zigbee2mqtt.yaml").write_text((SHIPPED / "zigbee2mqtt.yaml").read_text())
    found = Run(free_port(), free_port(), tmp_path)
    argv = [sys.executable, "-m", "sensorpipe_cli", "up", str(tmp_path), "--no-tty"]
    argv += ["--port", str(found.api), "--listen", f"127.0.0.1:{found.devices}"]
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    following = asyncio.create_task(found.follow(process.stdout))
    try:
        await eventually(
            lambda: f"devices: publish to mqtt://127.0.0.1:{found.devices}" in found.output,
            state=lambda: found.output,
        )
        yield found
        process.terminate()
        await process.wait()
        await following
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_plain_mosquitto_pub_reaches_the_api(run: Run) -> None:
    ts = int(time.time() * 1000)
    for version in ("311", "5"):
        for qos in (0, 1, 2):
            payload = f'{{"ts": {ts}, "val": {10 * qos + (version == "5")}}}'
            options = ["-q", str(qos)] if qos else []
            options += ["-V", "5"] if version == "5" else []
            await run.publish(f"sensor_readings/yard/t{qos}", payload, *options)

    def stored() -> bool:
        return run.averages("yard", "t0", "t1", "t2") == {"t0": 0.5, "t1": 10.5, "t2": 20.5}

    await eventually(in_thread(stored), state=lambda: run.averages("yard", "t0", "t1", "t2"))

    await run.publish("zigbee2mqtt/Kitchen", '{"temperature": 27.34, "humidity": 44.72}')

    def kitchen() -> dict[str, float]:
        return run.averages("kitchen", "temperature", "humidity")

    await eventually(
        in_thread(lambda: kitchen() == {"temperature": 27.34, "humidity": 44.72}), state=kitchen
    )
    await eventually(lambda: " stored, 8 of others, " in run.output, state=lambda: run.output)


async def test_what_is_refused_is_shown_by_reason(run: Run) -> None:
    await run.publish("sensor_readings/yard/t0", '{"ts": 1795653109, "val": "20.1"}')
    await run.publish("sensor_readings/yard/t0", "21.5")
    await eventually(
        lambda: "refused 2 (bad_val 1, not_an_object 1)" in run.output, state=lambda: run.output
    )


async def test_a_feed_that_is_added_to_the_folder_is_used(run: Run) -> None:
    (run.folder / "bare.yaml").write_text((SHIPPED / "bare-number.yaml").read_text())

    async def arrives() -> bool:
        await run.publish("sensors/temperature", "21.5")
        return await asyncio.to_thread(run.averages, "home", "temperature") == {"temperature": 21.5}

    await eventually(arrives, state=lambda: run.output)


def test_port_1883_or_the_next_free_one_is_taken() -> None:
    host, port = device_address(None)
    assert host == "127.0.0.1"
    assert 1883 <= port < 1983
    with socket.create_server(("127.0.0.1", port)):
        assert device_address(None)[1] > port
        with pytest.raises(
            ValueError, match=rf"cannot listen on 127\.0\.0\.1, port {port}: in use"
        ):
            device_address(f"127.0.0.1:{port}")
        told = problems(Options(port=0, listen=f"127.0.0.1:{port}"))
        assert [line.split(":")[0] for line in told] == ["--listen"]


@pytest.mark.parametrize("listen", ["192.0.2.1", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:70000"])
def test_an_address_that_cannot_be_is_refused(listen: str) -> None:
    (told,) = problems(Options(port=0, listen=listen))
    assert told.startswith("--listen: ")


def test_devices_connect_to_a_broker_of_ones_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        url = f"mqtt://127.0.0.1:{broker.getsockname()[1]}"
        (told,) = problems(Options(port=0, listen="0.0.0.0", mqtt=url))
    assert told == "--listen: devices connect to the broker that --mqtt names"
