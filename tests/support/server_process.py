"""The server as a process of its own, with a Kafka and a MongoDB of its own."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child
from sensorpipe_cli.runner.ports import free_port, free_ports
from sensorpipe_runtime.kafka.client import PARTITIONS
from sensorpipe_schema.names import COMPACTED, SERVER_GROUP
from support.services import running
from support.waiting import eventually


def server_child(
    folder: Path,
    kafka: Child,
    mongod: Child,
    name: str,
    environ: Mapping[str, str] | None = None,
    *,
    port: int | None = None,
) -> Child:
    """Return the program on these services, with a database of this name; not started yet."""
    port = port or free_port()
    ours = {
        "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}",
        "SENSORPIPE_MONGODB_URI": f"mongodb://127.0.0.1:{mongod.port}/{name}",
        "SENSORPIPE_HTTP": f"127.0.0.1:{port}",
    }
    argv = [sys.executable, "-m", "sensorpipe_server"]
    log = folder / "server.log"
    return Child("server", argv, log, environ={**os.environ, **ours, **(environ or {})}, port=port)


class Server:
    """The program with services of its own; its MongoDB has change streams if `live`."""

    def __init__(self, folder: Path, *, live: bool = False) -> None:
        self.folder = folder
        self.kafka = embedded.kafka_broker(free_port(), folder)
        mongod = embedded.mongod_replica_set if live else embedded.mongod
        self.mongod: Child = mongod(free_port(), folder)
        self.port, self.monitoring = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.watched = f"http://127.0.0.1:{self.monitoring}"
        self.bootstrap = f"127.0.0.1:{self.kafka.port}"

    def child(self, open_files: int | None = None, **environ: str) -> Child:
        """Return the program, not started yet."""
        watched = {"SENSORPIPE_MONITORING": f"127.0.0.1:{self.monitoring}"}
        child = server_child(
            self.folder, self.kafka, self.mongod, "sensorpipe", watched | environ, port=self.port
        )
        if open_files is not None:
            child._argv[:0] = ["sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh"]
        return child

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Have a client of the API; tests stop services under it for as long as a machine takes."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=60) as client:
            yield client

    async def ready(self) -> None:
        """Return once the program is ready."""
        async with httpx2.AsyncClient(base_url=self.watched) as client:
            await eventually(lambda: answered(client, "/readyz", lambda _: True))

    @asynccontextmanager
    async def restricted(
        self, access: Path
    ) -> AsyncIterator[tuple[httpx2.AsyncClient, httpx2.AsyncClient]]:
        """Run it and its services with an access file; yield clients of API and monitoring."""
        async with (
            running(self.kafka),
            running(self.mongod),
            running(self.child(SENSORPIPE_AUTH_FILE=str(access))),
            self.client() as client,
            httpx2.AsyncClient(base_url=self.watched) as probes,
        ):
            await self.ready()
            yield client, probes

    async def committed(self) -> int:
        """Return how many records are committed."""
        async with AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=SERVER_GROUP, enable_auto_commit=False
        ) as consumer:
            partitions = [TopicPartition(COMPACTED, number) for number in range(PARTITIONS)]
            return sum([await consumer.committed(partition) or 0 for partition in partitions])


def api_of(program: Child) -> psutil.Process:
    """Return the process of the API of a program that runs."""
    (api,) = psutil.Process(program.pid).children()
    return api


async def answered(
    client: httpx2.AsyncClient, path: str, check: Callable[[httpx2.Response], bool]
) -> bool:
    """Whether a path answers, and as it should."""
    try:
        answer = await client.get(path)
    except httpx2.TransportError:
        return False
    return answer.status_code == 200 and check(answer)
