"""Where the broker is and how to get in, as one URL."""

import ssl
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from sensorpipe_schema.settings import Environment

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker's address; `repr` and `str` leave the password out."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    @classmethod
    def parse(cls, url: str, ca_file: str | None = None) -> Self:
        """Read `mqtt[s]://[USER:PASSWORD@]HOST[:PORT]`; ValueError says what is wrong."""
        form = "must be mqtt://HOST:PORT or mqtts://USER:PASSWORD@HOST:PORT"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{form}: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError(form)
        return cls(
            parts.hostname,
            _PORTS[parts.scheme] if port is None else port,
            parts.scheme == "mqtts",
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password is not None else None,
            ca_file,
        )

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read `SENSORPIPE_MQTT_URL` and `SENSORPIPE_MQTT_CA_FILE`, and try the latter."""
        ca_file = env.text("SENSORPIPE_MQTT_CA_FILE", "") or None
        default = "mqtt://127.0.0.1:1883"
        endpoint = env.parse("SENSORPIPE_MQTT_URL", lambda url: cls.parse(url, ca_file), default)
        if ca_file is not None:
            try:
                ssl.create_default_context(cafile=ca_file)
            except OSError as error:
                env.problem(f"SENSORPIPE_MQTT_CA_FILE: {ca_file} holds no certificates: {error}")
        return endpoint

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what checks the broker's certificate; None without TLS."""
        return ssl.create_default_context(cafile=self.ca_file) if self.tls else None
