"""The broker's pod as the chart sets it up, as far as it can be had without a cluster."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from support.chart.passwords import made
from support.chart.render import Object, one

NAME = "demo-sensorpipe-mosquitto"
TOPIC = "sensor_readings/hall_1/boiler"
SESSION = ("-V", "5", "-i", "compactor", "-c", "-x", "3600", "-q", "1", "-t", "sensor_readings/#")

_SBIN = "/usr/sbin"
"""Where Debian has the broker, which is not in every user's path."""


class Broker:
    """The pod of the rendered StatefulSet."""

    def __init__(self, objects: list[Object], folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_port() for name in ("mqtt", "mqtts", "trial")}
        self._secret = made(objects).values("sensors", NAME)
        self._spec = one(objects, "StatefulSet", NAME)["spec"]["template"]["spec"]
        for name in ("source/config", "source/passwords", "run", "data"):
            (folder / name).mkdir(parents=True)
        for name, text in one(objects, "ConfigMap", NAME)["data"].items():
            (folder / "source/config" / name).write_text(self._here(text))
        for name, value in self._secret.items():
            (folder / "source/passwords" / name).write_text(value)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._ports["mqtt"]

    @property
    def tls_port(self) -> int:
        """Where it listens for devices with users of their own."""
        return self._ports["mqtts"]

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text()

    @property
    def _log(self) -> Path:
        return self._folder / "mosquitto.log"

    def mount(self, volume: str, files: Mapping[str, str]) -> None:
        """Write the files of a volume, or replace all of them at once, as the kubelet does."""
        path = self._folder / "source" / volume
        version = self._folder / f"{volume}-{len(list(self._folder.iterdir()))}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
        link = self._folder / "link"
        link.symlink_to(version)
        link.replace(path)

    def endpoint(self, role: str) -> Endpoint:
        """Return what leads a role to it."""
        return Endpoint("127.0.0.1", self.port, username=role, password=self.password(role))

    def prepare(self) -> None:
        """Run what the init container runs; CalledProcessError has what it says if it fails."""
        (prepare,) = self._spec["initContainers"]
        command = [self._here(word) for word in prepare["command"]]
        subprocess.run(command, check=True, capture_output=True, text=True, env=_environ())

    def child(self) -> Child:
        """Return the container's process."""
        command = [self._here(word) for word in self._spec["containers"][0]["command"]]
        if command[0] == "mosquitto":
            command[0] = shutil.which("mosquitto") or f"{_SBIN}/mosquitto"
        return Child("mosquitto", command, self._log, environ=_environ(), port=self.port)

    def password(self, role: str) -> str:
        """Return the password of generator or compactor."""
        return self._secret[f"{role}-password"]

    def holds(self, text: str) -> bool:
        """Whether that is on the volume."""
        saved = self._folder / "data/mosquitto.db"
        return saved.exists() and text.encode() in saved.read_bytes()

    async def publish(self, role: str, payload: str, *options: str) -> str:
        """Publish with QoS 1; return what mosquitto_pub reports as an error."""
        login = ("-u", role, "-P", self.password(role))
        given = ("-V", "5", *login, "-q", "1", "-t", TOPIC, "-m", payload, *options)
        return (await self.client("mosquitto_pub", *given))[1]

    async def subscribe(self, role: str, *options: str) -> list[str]:
        """Return the lines of what a subscriber gets."""
        login = ("-u", role, "-P", self.password(role))
        return (await self.client("mosquitto_sub", *login, *options))[0].split()

    async def client(self, program: str, *options: str) -> tuple[str, str]:
        """Run one of Mosquitto's clients; return its two outputs."""
        process = await asyncio.create_subprocess_exec(
            program, "-p", str(self.port), *options, stdout=-1, stderr=-1
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        return out.decode(), err.decode()

    def _here(self, text: str) -> str:
        # root would become the user `mosquitto`, who may not read a test's folder
        user = "user root\n" if os.geteuid() == 0 else ""
        return (
            text.replace("listener 18883 ", f"{user}listener {self._ports['trial']} ")
            .replace("listener 1883", f"{user}listener {self.port} 127.0.0.1")
            .replace("listener 8883", f"listener {self.tls_port} 127.0.0.1")
            .replace("/run/mosquitto", f"{self._folder}/run")
            .replace("/source", f"{self._folder}/source")
            .replace("/mosquitto/data", f"{self._folder}/data")
        )


def need_mosquitto() -> None:
    """Skip the test where Mosquitto or one of its programs is missing."""
    for program in ("mosquitto_passwd", "mosquitto_pub", "mosquitto_sub"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}; `apt-get install mosquitto mosquitto-clients` brings it")


def _environ() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{_SBIN}"}
