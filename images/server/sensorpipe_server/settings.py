"""The server's settings, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from sensorpipe_schema.kafka import KafkaSettings
from sensorpipe_schema.settings import Environment

MAX_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server needs to know."""

    kafka: KafkaSettings
    mongodb_uri: str
    http: tuple[str, int]
    page_limit: int
    """Windows of one page, when a request names no limit and at most."""
    log_level: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Settings":
        """Read the environment, or raise SettingsError with everything that is wrong."""
        env = Environment(variables)
        settings = cls(
            kafka=KafkaSettings.read(env),
            mongodb_uri=env.parse(
                "SENSORPIPE_MONGODB_URI", _mongodb_uri, "mongodb://127.0.0.1:27017/sensorpipe"
            ),
            http=env.address("SENSORPIPE_HTTP", "0.0.0.0:8080"),
            page_limit=env.whole("SENSORPIPE_PAGE_LIMIT", 20, 1, MAX_PAGE),
            log_level=env.log_level(),
        )
        env.check()
        return settings


def _mongodb_uri(text: str) -> str:
    """Check a URI without any look-up; what `mongodb+srv` names is resolved when connecting."""
    scheme, _, rest = text.partition("+srv://")
    checked = f"{scheme}://{rest.partition('?')[0]}" if scheme == "mongodb" else text
    try:
        parse_uri(checked)
    except (PyMongoError, ValueError) as error:
        # what PyMongo says may quote the password
        why = "user, password, host or options are not as they must be" if "@" in text else error
        raise ValueError(
            "must be mongodb://[USER:PASSWORD@]HOST[:PORT]/DATABASE, with percent-encoding in "
            f"USER and PASSWORD: {why}"
        ) from error
    return text
