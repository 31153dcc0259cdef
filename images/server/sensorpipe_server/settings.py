"""The server's settings, from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.settings import Environment

from sensorpipe_server.access.files import read_access
from sensorpipe_server.access.rules import AccessError
from sensorpipe_server.storage.rollups import retention
from sensorpipe_server.storage.rollups.retention import Retention

MAX_PAGE: Final = 10_000

_is_origin = re.compile(
    r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[1-9]\d{0,4})?", re.ASCII
).fullmatch

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the server."""

    kafka: KafkaSettings
    mongodb_uri: str
    """Address of MongoDB, with the database: `mongodb://[USER:PASSWORD@]HOST[:PORT]/DATABASE`."""
    http: tuple[str, int]
    """Where the API listens, `HOST:PORT`."""
    monitoring: tuple[str, int]
    """Where metrics and health listen, apart from the API so that its load cannot reach them."""
    page_limit: int
    """Largest number of windows in one page of the API, and the default of `limit`."""
    cors_origins: tuple[str, ...]
    """Origins whose pages may read the API, as `https://HOST[:PORT]`, separated by commas; `*` for
    all."""
    auth_file: Path | None
    """Access file: who may read what of the API; everybody everything if none."""
    lateness_ms: int
    """How long after its end a window stays open for late readings; must equal the compactor's."""
    retention: Retention
    """How long windows and rollups are kept, by level."""
    log_level: str
    """Least severe level that is logged."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment, or raise SettingsError with everything that is wrong."""
        env = Environment(environ)
        settings = cls(
            kafka=KafkaSettings.read(env),
            mongodb_uri=env.parse(
                "SENSORPIPE_MONGODB_URI", _mongodb_uri, "mongodb://127.0.0.1:27017/sensorpipe"
            ),
            http=env.address("SENSORPIPE_HTTP", "0.0.0.0:8080"),
            monitoring=env.address("SENSORPIPE_MONITORING", "0.0.0.0:9090"),
            page_limit=env.whole("SENSORPIPE_PAGE_LIMIT", 20, 1, MAX_PAGE),
            cors_origins=env.parse("SENSORPIPE_CORS_ORIGINS", _origins, ""),
            auth_file=env.parse("SENSORPIPE_AUTH_FILE", _auth_file, ""),
            lateness_ms=env.milliseconds("SENSORPIPE_LATENESS", "2s"),
            retention=env.parse("SENSORPIPE_RETENTION", retention.parse, retention.DEFAULT),
            log_level=env.log_level(),
        )
        env.check()
        return settings


def _origins(text: str) -> tuple[str, ...]:
    """Return origins as browsers send them: without the default port."""
    found = [each.strip() for each in text.split(",") if each.strip()]
    wrong = [] if found == ["*"] else [each for each in found if not _is_origin(each)]
    if wrong:
        raise ValueError(
            "must be origins separated by commas, https://HOST[:PORT] or http://HOST[:PORT] in "
            f"lower case without a path, or * for all; got {wrong[0]!r}"
        )
    return tuple(dict.fromkeys(_without_default_port(each) for each in found))


def _without_default_port(origin: str) -> str:
    scheme, _, rest = origin.partition("://")
    return f"{scheme}://{rest.removesuffix(_DEFAULT_PORTS[scheme])}" if rest else origin


def _auth_file(text: str) -> Path | None:
    """Check the access file with the files that it names, and return its path."""
    if not text:
        return None
    path = Path(text)
    try:
        read_access(path)
    except AccessError as error:
        raise ValueError("\n  ".join(["the access file is wrong:", *error.problems])) from error
    return path


def _mongodb_uri(text: str) -> str:
    """Check a URI without any look-up; what `mongodb+srv` names is resolved when connecting."""
    scheme, _, rest = text.partition("+srv://")
    checked = f"{scheme}://{rest.partition('?')[0]}" if scheme == "mongodb" else text
    try:
        parse_uri(checked)
    except (PyMongoError, ValueError) as error:
        # what PyMongo says may quote the password
        why = "invalid user, password, host or options" if "@" in text else error
        raise ValueError(
            "must be mongodb://[USER:PASSWORD@]HOST[:PORT]/DATABASE, with percent-encoding in "
            f"USER and PASSWORD: {why}"
        ) from error
    return text
