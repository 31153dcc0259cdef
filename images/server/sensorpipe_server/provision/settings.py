"""The settings of provisioning, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from sensorpipe_runtime.settings import Environment

_PREFIX = "SENSORPIPE_MONGODB_"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of provisioning the mongod in the same pod."""

    admin_password: str = field(repr=False)
    """Password of the user `admin`."""
    username: str
    """Name of the server's user, which is created in the server's database."""
    password: str = field(repr=False)
    """Password of the server's user."""
    database: str
    """Name of the server's database."""
    address: tuple[str, int]
    """Host and port by which clients, and mongod itself, reach this mongod."""
    replica_set: str
    """Name of the replica set."""
    http: tuple[str, int]
    """Where metrics and health listen, `HOST:PORT`."""
    log_level: str
    """Least severe level that is logged."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment, or raise SettingsError with everything that is wrong."""
        env = Environment(environ)
        settings = cls(
            admin_password=env.parse(f"{_PREFIX}ADMIN_PASSWORD", _non_empty),
            username=env.parse(f"{_PREFIX}USERNAME", _non_empty, "sensorpipe-server"),
            password=env.parse(f"{_PREFIX}PASSWORD", _non_empty),
            database=env.parse(f"{_PREFIX}DATABASE", _database, "sensorpipe"),
            address=env.address(f"{_PREFIX}HOST", "127.0.0.1:27017"),
            replica_set=env.parse(f"{_PREFIX}REPLICA_SET", _non_empty, "sensorpipe"),
            http=env.address("SENSORPIPE_HTTP", "0.0.0.0:9090"),
            log_level=env.log_level(),
        )
        env.check()
        return settings

    @property
    def member(self) -> str:
        """The address in the form of a replica set's configuration: `HOST:PORT`."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def port(self) -> int:
        """The port of the mongod in the same pod."""
        return self.address[1]


def _non_empty(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _database(text: str) -> str:
    if not text or text in {"admin", "local", "config"} or set(text) & set('/\\. "$*<>:|?\0'):
        raise ValueError(f"must be a valid name other than admin, local and config; got {text!r}")
    return text
