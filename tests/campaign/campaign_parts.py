"""The pipeline under the campaign: real parts, with proxies between, on disks that can fill up."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import pymongo
from campaign_proxy import Proxy
from campaign_publisher import FACILITIES, names
from campaign_schedule import TARGETS
from pymongo.errors import PyMongoError
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_compactor.windowing.sources import DEFAULT_BYTES
from support import services
from support.pipeline import addresses, ask, ask_status, monitoring_url
from support.stepped_clock import FAKETIME
from support.waiting import eventually, in_thread

_DISK: Final = "size=900m"
_SETTLE_SECONDS: Final = 10.0
_BLOCK: Final = 64 * 1024
_PERSISTENT: Final = f"{services.MOSQUITTO_TUNED}persistence true\nautosave_interval 1\n"


class Parts:
    """Mosquitto, Kafka and MongoDB, and the compactor and server that are tried on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disks: dict[str, Path] = {}
        for name in ("kafka", "mongodb"):
            self.disks[name] = folder / name
            self.disks[name].mkdir()
        self.feeds = folder / "feeds"
        """The compactor's folder of Feeds."""
        self.feeds.mkdir()
        self.children: dict[str, Child] = {}
        self.proxies: dict[str, Proxy] = {}

    def clock(self, name: str) -> Path:
        """Return the file that holds by how much a program's clock is off."""
        return self.folder / f"{name}.clock"

    @property
    def source_bytes(self) -> Path:
        """The file that holds how much memory a compactor has for sources from its next start."""
        return self.folder / "source-bytes"

    @property
    def bootstrap(self) -> str:
        """Address of Kafka."""
        return f"127.0.0.1:{self.children['kafka'].port}"

    @property
    def api(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.children['server'].port}"

    async def start(self) -> None:
        """Start everything, and wait until it is ready."""
        self._mount()
        self.source_bytes.write_text(f"{DEFAULT_BYTES}\n")
        folder = self.folder / "mosquitto"
        mosquitto = services.mosquitto(folder, f"{_PERSISTENT}persistence_location {folder}/\n")
        mongodb = embedded.mongod(free_port(), self.disks["mongodb"], self.folder)
        mongodb._argv += ["--replSet", "campaign"]
        kafka = services.kafka(self.disks["kafka"], self.folder / "kafka.log")
        self.children = {"mosquitto": mosquitto, "kafka": kafka, "mongodb": mongodb}
        for child in self.children.values():
            await child.start()
        for child in self.children.values():
            await child.listening()
        for name in TARGETS["cut"]:
            self.proxies[name] = Proxy(self.children[name].port or 0)
            await self.proxies[name].start()
        await asyncio.to_thread(self._initiate)
        for name in ("compactor", "server"):
            self.children[name] = self.program(name)
            await self.children[name].start()
        # a broker keeps nothing for a compactor that has not subscribed yet
        await self.ready()

    async def ready(self) -> None:
        """Wait until the compactor takes readings, also if it ends and is started again."""
        compactor = self.children["compactor"]
        url = f"{monitoring_url(compactor)}/readyz"
        await eventually(in_thread(lambda: ask_status(url) == 200), state=compactor.tail)

    async def stop(self) -> None:
        """Stop everything, and give the disks back."""
        for child in reversed(self.children.values()):
            await child.kill()
        for proxy in self.proxies.values():
            await proxy.close()
        for disk in self.disks.values():
            command = ["umount", str(disk)]
            await asyncio.to_thread(subprocess.run, command, check=False, capture_output=True)

    def program(self, name: str, log: str | None = None) -> Child:
        """Return one of the programs that are tried, with a clock that can be stepped."""
        port = free_port()
        clock = self.clock(name)
        clock.write_text("+0\n")
        mqtt, mongodb = self.proxies["mosquitto"].port, self.proxies["mongodb"].port
        environ = os.environ | addresses(mqtt, self.children["kafka"].port, mongodb, port)
        environ["SENSORPIPE_MONGODB_URI"] += "?replicaSet=campaign"
        if FAKETIME.exists():
            environ |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(clock),
                "FAKETIME_NO_CACHE": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        environ["SENSORPIPE_SOURCE_BYTES_FILE"] = str(self.source_bytes)
        if name == "compactor":
            environ["SENSORPIPE_FEEDS"] = str(self.feeds)
        argv = [sys.executable, "-m", f"sensorpipe_{name}"]
        return Child(name, argv, self.folder / f"{log or name}.log", environ=environ, port=port)

    def _mount(self) -> None:
        """Give Kafka and MongoDB disks of their own, if this is root with a right to mount."""
        for disk in self.disks.values():
            command = ["mount", "-t", "tmpfs", "-o", _DISK, "sensorpipe-campaign", str(disk)]
            subprocess.run(command, check=False, capture_output=True)

    @property
    def disks_can_fill(self) -> bool:
        """Whether Kafka and MongoDB have disks of their own."""
        return all(disk.is_mount() for disk in self.disks.values())

    def _initiate(self) -> None:
        """Make the replica set of one, known by the proxy's address."""
        address = f"127.0.0.1:{self.proxies['mongodb'].port}"
        members = [{"_id": 0, "host": address}]
        with pymongo.MongoClient[dict[str, object]](
            f"mongodb://127.0.0.1:{self.children['mongodb'].port}/?directConnection=true"
        ) as client:
            client.admin.command("replSetInitiate", {"_id": "campaign", "members": members})

    def fill(self, name: str) -> Path:
        """Fill a part's disk; return the file that takes up the room."""
        filler = self.disks[name] / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):  # until there is no room
            while True:
                file.write(bytes(_BLOCK))
        return filler


@asynccontextmanager
async def parts(folder: Path) -> AsyncIterator[Parts]:
    """Run the parts until the caller is done."""
    made = Parts(folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(made.stop)
        await made.start()
        yield made


def step_down(port: int) -> None:
    """Have the primary step down for two seconds; nothing where it is none just now."""
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    with pymongo.MongoClient[dict[str, object]](address, serverSelectionTimeoutMS=2000) as client:
        try:
            client.admin.command("replSetStepDown", 2, force=True)
        except PyMongoError:  # it answers by closing connections, too
            return


def settle(port: int) -> None:
    """Wait until MongoDB has found itself in its replica set; not where it ends, or for ever."""
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    give_up = time.monotonic() + _SETTLE_SECONDS
    with (
        suppress(PyMongoError),
        pymongo.MongoClient[dict[str, object]](address, serverSelectionTimeoutMS=2000) as client,
    ):
        while "setName" not in client.admin.command("hello") and time.monotonic() < give_up:
            time.sleep(0.1)  # a poll of another program


def stored(api: str) -> int:
    """Return where the newest window of a few facilities ends, in unix ms; 0 without any."""
    pages = (ask(f"{api}/api/sensors/{facility}?limit=1")["data"] for facility in names(FACILITIES))
    ends = (window["window"]["end_time"] for page in pages for window in page)
    return max((round(datetime.fromisoformat(end).timestamp() * 1000) for end in ends), default=0)
