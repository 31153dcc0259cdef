"""A replica set of three real mongods, whose members' replication can be stopped."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pymongo import AsyncMongoClient
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from support.services import running
from support.waiting import eventually

NAME = "three"


class ReplicaSet:
    """Three members, of which the first is the primary as long as it lives."""

    def __init__(self, members: list[Child]) -> None:
        self.members = members

    def uri(self, database: str) -> str:
        """Return the URI of a database."""
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"mongodb://{hosts}/{database}?replicaSet={NAME}"

    async def start(self) -> None:
        """Make the set of its members, and wait for the primary."""
        members = [
            {"_id": number, "host": f"127.0.0.1:{member.port}", "priority": 1 + 9 * (not number)}
            for number, member in enumerate(self.members)
        ]
        async with self._client(self.members[0]) as client:
            await client.admin.command("replSetInitiate", {"_id": NAME, "members": members})

            async def is_elected() -> bool:
                return bool((await client.admin.command("hello"))["isWritablePrimary"])

            await eventually(is_elected)

    async def replicate(self, *, on: bool) -> None:
        """Let both secondaries take what is written, or nothing; they vote all the same."""
        for member in self.members[1:]:
            async with self._client(member) as client:
                await client.admin.command(
                    {"configureFailPoint": "stopReplProducer", "mode": "off" if on else "alwaysOn"}
                )

    async def count(self, database: str, collection: str) -> int:
        """Return how many documents the first member has, whoever else has them."""
        async with self._client(self.members[0]) as client:
            found: int = await client[database][collection].count_documents({})
            return found

    def _client(self, member: Child) -> AsyncMongoClient[dict[str, object]]:
        return AsyncMongoClient(f"mongodb://127.0.0.1:{member.port}/?directConnection=true")


@asynccontextmanager
async def replica_set(folder: Path) -> AsyncIterator[ReplicaSet]:
    """Run a replica set until the caller is done."""
    async with AsyncExitStack() as stack:
        members = []
        for number in range(3):
            member = embedded.mongod(free_port(), folder / str(number))
            member._argv += ["--replSet", NAME, "--setParameter", "enableTestCommands=1"]
            member._argv += ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]
            members.append(await stack.enter_async_context(running(member)))
        made = ReplicaSet(members)
        await made.start()
        yield made
