"""Provisioning a mongod that knows nothing yet: replica set, administrator, the server's user."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.settings import SettingsError
from sensorpipe_server.provision.settings import Settings
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.store import Store
from support import services
from support.live_streams import listening, live
from support.pipeline import ask_status
from support.server_parts import NOW, batch_of, one
from support.services import running
from support.waiting import eventually, in_thread

ADMIN, SERVER = "the administrator's", "the server's p@ss/word"


class Pod:
    """A mongod, its data and its passwords, and what provisions it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mongod = services.secured_mongod(folder)
        self.password("admin", ADMIN)
        self.password("server", SERVER)

    def password(self, user: str, text: str) -> None:
        (self.folder / user).write_text(text)

    def provision(self, host: str = "127.0.0.1", **extra: str) -> Child:
        port = free_port()
        ours = {
            "SENSORPIPE_MONGODB_ADMIN_PASSWORD_FILE": str(self.folder / "admin"),
            "SENSORPIPE_MONGODB_PASSWORD_FILE": str(self.folder / "server"),
            "SENSORPIPE_MONGODB_HOST": f"{host}:{self.mongod.port}",
            "SENSORPIPE_HTTP": f"127.0.0.1:{port}",
        }
        argv = [sys.executable, "-m", "sensorpipe_server.provision"]
        log = self.folder / "provision.log"
        return Child("provision", argv, log, environ={**os.environ, **ours, **extra}, port=port)

    def client(self, user: str | None, password: str, source: str) -> AsyncMongoClient[Any]:
        """Connect as the server does: to the replica set's members, not to this address only."""
        who: dict[str, Any] = (
            {"username": user, "password": password, "authSource": source} if user else {}
        )
        return AsyncMongoClient(
            "127.0.0.1",
            self.mongod.port,
            replicaSet="sensorpipe",
            tz_aware=True,
            serverSelectionTimeoutMS=5000,
            **who,
        )

    def server(self, password: str = SERVER) -> AsyncMongoClient[Any]:
        return self.client("sensorpipe-server", password, "sensorpipe")

    def admin(self) -> AsyncMongoClient[Any]:
        return self.client("admin", ADMIN, "admin")


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    made = Pod(tmp_path)
    async with running(made.mongod):
        yield made


async def ready(program: Child) -> None:
    await eventually(in_thread(lambda: status(program, "readyz") == 200), state=program.tail)


def status(program: Child, path: str) -> int:
    assert program.returncode is None, program.exit_report()
    return ask_status(f"http://127.0.0.1:{program.port}/{path}")


async def said(program: Child, text: str) -> dict[str, Any]:
    """Wait until a log line holds this text, and return it."""
    await eventually(in_thread(lambda: text in program.tail()), state=program.tail)
    lines = [line for line in program.tail().splitlines() if text in line]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


async def refused(client: AsyncMongoClient[Any], name: str, command: dict[str, Any]) -> bool:
    """Whether MongoDB refuses a command for want of rights."""
    async with client:
        try:
            await client[name].command(command)
        except OperationFailure as error:
            return error.code in {13, 18}
    return False


async def test_a_fresh_mongod_becomes_the_servers_and_nobody_elses(pod):
    async with running(pod.provision()) as program:
        await ready(program)
        async with pod.server() as client:
            db = database.database(client)
            outcome = await Store(db).write(batch_of(one([(1, 1.0)])).partials)
            again = await Store(db).write(batch_of(one([(2, 1.0)], number=2)).partials)
            await Store(db).write(batch_of(one([(3, 1.0)], window=60, number=3)).partials)
            await Rolling(db, lambda: True, clock=NOW.timestamp, keep={"windows": 0}.get).round()
            assert await database.rollups(db).find_one({"level": "5m"}) is not None
            left = await database.windows(db).find({}).to_list()
        assert (outcome.inserted, again.inserted, len(left)) == (1, 1, 1)
        find = {"find": "compacted_sensor_readings"}
        assert await refused(pod.server(), "another", find)
        assert await refused(pod.server(), "admin", {"find": "system.users"})
        assert await refused(pod.server(), "sensorpipe", {"drop": "compacted_sensor_readings"})
        assert await refused(pod.server(), "sensorpipe", {"usersInfo": 1})
        assert await refused(pod.server("wrong"), "sensorpipe", find)
        assert await refused(pod.client(None, "", ""), "sensorpipe", find)
        assert await refused(pod.client(None, "", ""), "admin", {"listDatabases": 1})
    assert program.returncode == 0
    for secret in (ADMIN, SERVER):
        assert secret not in program.log.read_text()


async def test_the_servers_user_may_follow_changes_and_one_that_may_not_is_told(pod):
    role = {"updateRole": "sensorpipe_server"}
    fewer = {"resource": {"db": "sensorpipe", "collection": ""}, "actions": ["find", "insert"]}
    async with running(pod.provision()) as program, pod.server() as client, pod.admin() as admin:
        await ready(program)
        db = database.database(client)
        async with live(db) as port, listening(port) as stream:
            await Store(db).write(batch_of(one([(1, 1.0)])).partials)
            assert (await stream.event()).data["count_temperature"] == 1
        await admin["sensorpipe"].command({**role, "privileges": [fewer]})
        async with live(db) as port, listening(port) as stream:
            assert stream.status == 501
            detail = json.loads(await stream.body())["detail"]
    assert detail == (
        "The server's user in MongoDB may not open change streams: poll /api/series instead"
    )


async def test_a_second_start_changes_nothing_and_a_rotated_password_is_taken(pod):
    async with running(pod.provision()) as program:
        await ready(program)
    pod.password("server", "rotated")
    async with running(pod.provision()) as program:
        await ready(program)
        assert await refused(pod.server(), "sensorpipe", {"find": "x"})
        assert not await refused(pod.server("rotated"), "sensorpipe", {"find": "x"})
        assert not await refused(pod.admin(), "admin", {"usersInfo": "admin"})


async def test_a_mongod_restarted_beside_it_is_watched_and_taken_up_again(pod):
    async with running(pod.provision()) as program:
        await ready(program)
        await pod.mongod.stop()
        await eventually(in_thread(lambda: status(program, "readyz") == 503), state=program.tail)
        assert status(program, "healthz") == 200
        line = await said(program, "MongoDB is unavailable; trying again")
        assert f"127.0.0.1:{pod.mongod.port}" in line["error"]
        await pod.mongod.start()
        await ready(program)
        assert not await refused(pod.server(), "sensorpipe", {"find": "x"})


async def test_a_member_of_another_name_is_renamed(pod):
    async with running(pod.provision()) as program:
        await ready(program)
    async with running(pod.provision(host="localhost")) as program:
        await ready(program)
        assert (await said(program, "replica set reconfigured"))["member"].startswith("localhost:")
        async with pod.admin() as client:
            config = (await client.admin.command("replSetGetConfig"))["config"]
            assert [m["host"] for m in config["members"]] == [f"localhost:{pod.mongod.port}"]


async def test_a_host_that_is_not_this_mongod_is_reported_and_waited_for(pod):
    async with running(pod.provision(host="elsewhere.invalid")) as program:
        line = await said(program, "MongoDB is unavailable; trying again")
        assert "maps to this node" in line["error"]
        assert status(program, "readyz") == 503
        assert status(program, "healthz") == 200


async def test_a_wrong_administrators_password_is_reported(pod):
    async with running(pod.provision()) as program:
        await ready(program)
    pod.password("admin", "another")
    async with running(pod.provision()) as program:
        line = await said(program, "MongoDB cannot be provisioned")
        assert "SENSORPIPE_MONGODB_ADMIN_PASSWORD is not the password" in line["error"]
        assert status(program, "readyz") == 503
        assert status(program, "healthz") == 200
        pod.password("admin", ADMIN)
        program.send(signal.SIGTERM)
        assert await asyncio.wait_for(program.wait(), 60) == 0


async def test_a_mongod_without_replication_is_reported(mongod, tmp_path):
    pod = Pod(tmp_path)
    pod.mongod = mongod
    async with running(pod.provision()) as program:
        line = await said(program, "MongoDB cannot be provisioned")
        assert "--replSet sensorpipe" in line["error"]


async def test_a_mongod_that_lets_anybody_in_is_not_ready(tmp_path):
    pod = Pod(tmp_path)
    pod.mongod._argv.remove("--auth")
    where = pod.mongod._argv.index("--keyFile")  # which implies --auth
    del pod.mongod._argv[where : where + 2]
    async with running(pod.mongod), running(pod.provision()) as program:
        line = await said(program, "MongoDB cannot be provisioned")
        assert "answers without a password" in line["error"]


def test_wrong_settings_are_all_named():
    with pytest.raises(SettingsError) as error:
        Settings.read({"SENSORPIPE_MONGODB_DATABASE": "admin", "SENSORPIPE_MONGODB_HOST": "x"})
    assert {problem.partition(":")[0] for problem in error.value.problems} == {
        "SENSORPIPE_MONGODB_ADMIN_PASSWORD",
        "SENSORPIPE_MONGODB_PASSWORD",
        "SENSORPIPE_MONGODB_DATABASE",
        "SENSORPIPE_MONGODB_HOST",
    }


def test_passwords_are_not_shown():
    given = {"SENSORPIPE_MONGODB_ADMIN_PASSWORD": "one", "SENSORPIPE_MONGODB_PASSWORD": "two"}
    shown = repr(Settings.read(given))
    assert "one'" not in shown
    assert "two'" not in shown
