"""Address and credentials of an MQTT broker, given as one URL."""

import ssl
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from sensorpipe_runtime import tls
from sensorpipe_runtime.settings import Environment

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = (
    "must be mqtt://HOST:PORT or mqtts://USER:PASSWORD@HOST:PORT; "
    "in a password, write / ? # @ : as %2F %3F %23 %40 %3A"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and credentials of a broker; `repr` and `str` do not contain the password."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    """File with the CA certificates to trust; the system's if none."""

    @classmethod
    def parse(cls, url: str, ca_file: str | None = None) -> Self:
        """Parse `mqtt[s]://[USER:PASSWORD@]HOST[:PORT]`; raise ValueError if it is not one."""
        try:
            parts = urlsplit(url)
            port = parts.port
            host = parts.hostname or ""
            host.encode("idna")
        except ValueError:
            raise ValueError(_FORM) from None  # the cause may quote the password
        if parts.scheme not in _PORTS or not host or port == 0:
            raise ValueError(_FORM)
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(_FORM)
        return cls(
            host,
            _PORTS[parts.scheme] if port is None else port,
            parts.scheme == "mqtts",
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password is not None else None,
            ca_file,
        )

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read `SENSORPIPE_MQTT_URL` and `SENSORPIPE_MQTT_CA_FILE`; problems are added to `env`."""
        ca_file = env.text("SENSORPIPE_MQTT_CA_FILE", "") or None
        default = "mqtt://127.0.0.1:1883"
        endpoint = env.parse("SENSORPIPE_MQTT_URL", lambda url: cls.parse(url, ca_file), default)
        if problem := tls.ca_file_problem(ca_file):
            env.problem(f"SENSORPIPE_MQTT_CA_FILE: {problem}")
        return endpoint

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the context that verifies the broker's certificate; None without TLS."""
        return tls.client_context(self.ca_file) if self.tls else None
