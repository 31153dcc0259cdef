"""The steps that provision a mongod; each is idempotent."""

from collections.abc import Mapping
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from sensorpipe_server.provision.settings import Settings

ADMIN: Final = "admin"
"""Name of the administrator, and of the database in which it is created."""

ROLE: Final = "sensorpipe_server"
ACTIONS: Final = ("find", "insert", "update", "remove", "changeStream")
"""Actions that the server needs, the last one for live events; an insert creates a collection."""

_AUTHENTICATION_FAILED: Final = 18
_UNAUTHORIZED: Final = 13
_ALREADY_INITIALIZED: Final = 23
_NO_REPLICATION: Final = 76
_NOT_FOUND: Final = frozenset({11, 31})
"""UserNotFound and RoleNotFound."""

_DURABLE: Final = {"w": "majority", "j": True, "wtimeout": 10_000}
_SECONDS: Final = 3

Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]


class SetupError(Exception):
    """The mongod cannot be provisioned as it is; the text says what to do."""


def connect(port: int, username: str | None = None, password: str | None = None) -> Client:
    """Return a client of the mongod in the same network namespace, and of no other member."""
    return AsyncMongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        username=username,
        password=password,
        authSource=ADMIN,
        serverSelectionTimeoutMS=_SECONDS * 1000,
        connectTimeoutMS=_SECONDS * 1000,
        socketTimeoutMS=4 * _SECONDS * 1000,
        retryReads=False,
        appname="sensorpipe-provision",
    )


async def is_primary(client: Client) -> bool:
    """Whether this mongod accepts writes."""
    return bool((await client.admin.command("hello")).get("isWritablePrimary"))


async def is_authenticated(admin: Client) -> bool:
    """Whether the credentials of this client are valid."""
    try:
        await admin.admin.command("ping")
    except OperationFailure as error:
        if error.code == _AUTHENTICATION_FAILED:
            return False
        raise
    return True


async def initiate(client: Client, name: str, member: str) -> bool:
    """Initiate a replica set with this mongod as its only member; return whether there was none."""
    config = {"_id": name, "members": [{"_id": 0, "host": member}]}
    try:
        await client.admin.command("replSetInitiate", config)
    except OperationFailure as error:
        if error.code == _UNAUTHORIZED:
            raise _wrong_admin_password() from error
        if error.code == _NO_REPLICATION:
            raise SetupError(
                f"mongod has no replica set: start it with --replSet {name}"
            ) from error
        if error.code != _ALREADY_INITIALIZED:
            raise
        return False
    return True


async def rename_member(admin: Client, member: str) -> bool:
    """Rename the only member; return whether its name differed, or mongod was not a member."""
    config = (await admin.admin.command("replSetGetConfig"))["config"]
    if len(config["members"]) > 1:
        raise SetupError(
            "the replica set has several members, and only one of a single member can be set up"
        )
    # A member that did not find itself at its start, as without DNS, does not try again.
    found_itself = "setName" in await admin.admin.command("hello")
    if config["members"][0]["host"] == member and found_itself:
        return False
    config["members"][0]["host"] = member
    config["version"] += 1
    await admin.admin.command("replSetReconfig", config, force=True)
    return True


async def create_admin(anonymous: Client, password: str) -> None:
    """Create the administrator, which MongoDB allows from localhost while there is no user."""
    try:
        await anonymous.admin.command(
            {"createUser": ADMIN, "pwd": password, "roles": ["root"], "writeConcern": _DURABLE}
        )
    except OperationFailure as error:
        if error.code == _UNAUTHORIZED:
            raise _wrong_admin_password() from error
        raise


async def ensure_user(admin: Client, settings: Settings) -> None:
    """Create or update the server's user and its role, which is limited to its database."""
    db: Database = admin[settings.database]
    resource = {"db": settings.database, "collection": ""}
    privileges = [{"resource": resource, "actions": list(ACTIONS)}]
    await _ensure(db, "Role", ROLE, {"privileges": privileges, "roles": []})
    await _ensure(db, "User", settings.username, {"pwd": settings.password, "roles": [ROLE]})


async def refuse_anonymous(anonymous: Client) -> None:
    """Raise SetupError if mongod answers a client without a password."""
    try:
        await anonymous.admin.command("listDatabases")
    except OperationFailure as error:
        if error.code == _UNAUTHORIZED:
            return
        raise
    raise SetupError("mongod answers without a password: start it with --auth and --keyFile")


async def _ensure(db: Database, kind: str, name: str, content: Mapping[str, Any]) -> None:
    try:
        await db.command({f"update{kind}": name, **content, "writeConcern": _DURABLE})
    except OperationFailure as error:
        if error.code not in _NOT_FOUND:
            raise
        await db.command({f"create{kind}": name, **content, "writeConcern": _DURABLE})


def _wrong_admin_password() -> SetupError:
    return SetupError(
        "SENSORPIPE_MONGODB_ADMIN_PASSWORD is not the password of the user 'admin' of this "
        "MongoDB: use the one with which its data was created, or change it in MongoDB"
    )
