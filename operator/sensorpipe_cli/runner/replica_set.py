"""A mongod as the only member of a replica set, which change streams (`/api/live`) need.

The set is made once mongod listens, also on the data of a mongod without one. The member's
address in the data is that of the run before, so it is set anew at each start.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sensorpipe_cli.runner.child import Child, ChildError
from sensorpipe_cli.runner.ports import LOOPBACK

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient

NAME: Final = "sensorpipe"
"""Name of the replica set."""

OPLOG_MB: Final = 64
"""Size of the oplog in MB: how much a client of `/api/live` may have missed and still resume."""

ARGUMENTS: Final = (
    *("--replSet", NAME, "--oplogSize", str(OPLOG_MB)),
    # a primary that stops waits so long for clients to find another one, which there never is
    *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
)
"""Arguments of mongod."""

_ALREADY_INITIALIZED: Final = 23
_POLL_SECONDS: Final = 0.01


class ReplicaSetMember(Child):
    """A mongod that is started with ARGUMENTS; it is `listening` once it accepts writes."""

    async def listening(self, seconds: float = 60) -> None:
        """Wait until mongod is primary; raise ChildError on exit or after `seconds`."""
        # imported while mongod starts, since it takes a tenth of a second
        importing = asyncio.to_thread(_import_pymongo)
        await asyncio.gather(super().listening(seconds), importing)
        from pymongo.errors import PyMongoError  # noqa: PLC0415  see `_import_pymongo`

        try:
            async with asyncio.timeout(seconds):
                await make_primary(self.port or 0)
        except (PyMongoError, TimeoutError) as error:
            raise ChildError(
                f"{self.name} does not become the primary of its replica set: "
                f"{str(error) or f'not within {seconds:g} s'}; "
                f"its last log lines:\n{self.tail()}"
            ) from error


async def make_primary(port: int) -> None:
    """Make a mongod the only member of its replica set, and wait until it is primary.

    Raises PyMongoError.
    """
    from pymongo import AsyncMongoClient  # noqa: PLC0415  see `_import_pymongo`

    # no other member: the one that the stored configuration names may be another program's now
    async with AsyncMongoClient[dict[str, Any]](
        LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=5000
    ) as client:
        await _initiate(client, f"{LOOPBACK}:{port}")
        while not (await client.admin.command("hello"))["isWritablePrimary"]:  # noqa: ASYNC110  another process decides
            await asyncio.sleep(_POLL_SECONDS)


async def _initiate(client: "AsyncMongoClient[dict[str, Any]]", member: str) -> None:
    from pymongo.errors import OperationFailure  # noqa: PLC0415  see `_import_pymongo`

    members = [{"_id": 0, "host": member}]
    try:
        await client.admin.command("replSetInitiate", {"_id": NAME, "members": members})
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise
        config = (await client.admin.command("replSetGetConfig"))["config"]
        if [each["host"] for each in config["members"]] == [member]:
            return
        config |= {"members": members, "version": config["version"] + 1}
        await client.admin.command("replSetReconfig", config, force=True)


def _import_pymongo() -> None:
    """Import PyMongo, which a run with one's own MongoDB does not need."""
    import pymongo  # noqa: F401, PLC0415  the docstring says why
