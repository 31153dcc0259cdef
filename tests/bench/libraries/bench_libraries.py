"""`make bench-libraries`: what this project uses against what was first named for it."""

import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import library_codecs
import library_drivers
import uvloop
from bench_machine import machine
from library_contest import REPEATS, Contest
from motor.motor_asyncio import (  # type: ignore[import-not-found]  # only in the bench's own venv
    AsyncIOMotorClient,
)
from pymongo import AsyncMongoClient
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_server.storage.documents import Document
from support.services import running

AGAINST = ("motor", "betterproto", "betterproto2")


async def main() -> None:
    here = machine() | {"against": ", ".join(f"{name} {version(name)}" for name in AGAINST)}
    print("\n".join(f"{name:10}{value}" for name, value in here.items()))
    print(f"\nMedians of {REPEATS} runs in turn; CPU of this process, all threads.", flush=True)
    await _hold(library_codecs.contests())
    with tempfile.TemporaryDirectory(prefix="sensorpipe-bench-") as folder:
        async with running(embedded.mongod(free_port(), Path(folder))) as mongod:
            await _drivers(f"mongodb://127.0.0.1:{mongod.port}")


async def _drivers(uri: str) -> None:
    with closing(AsyncIOMotorClient(uri, tz_aware=True)) as motor:
        async with AsyncMongoClient[Document](uri, tz_aware=True) as pymongo:
            clients = {"pymongo AsyncMongoClient": pymongo, "motor": motor}
            await _hold(await library_drivers.contests(clients))


async def _hold(contests: list[Contest]) -> None:
    for contest in contests:
        await contest.hold()
        print(contest.text(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
