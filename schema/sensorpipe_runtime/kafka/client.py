"""Settings of Kafka clients, their TLS contexts, and the creation of topics."""

import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from sensorpipe_runtime import tls
from sensorpipe_runtime.settings import Environment

PARTITIONS: Final = 3
"""Number of partitions of a topic that a program creates."""

COMPRESSIONS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
"""Codecs of batches, with the level that aiokafka gives each."""

DEFAULT_COMPRESSION: Final = "zstd"
"""About the fewest bytes of them, for 1 µs of CPU a partial: see docs/benchmarks.md."""

_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TOPIC_EXISTS: Final = 36
_DENIED: Final = frozenset({29, 31})


class MissingTopicsError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """Topics do not exist, and the user may not create them."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Address and credentials of a Kafka cluster."""

    bootstrap: str
    """Addresses of brokers, `HOST:PORT,HOST:PORT`."""
    security: str
    """Security protocol."""
    mechanism: str
    """SASL mechanism, where the protocol has SASL."""
    username: str | None
    """User; required with SASL."""
    password: str | None = field(repr=False)
    """Password; required with SASL."""
    ca_file: str | None
    """File with the CA certificates to trust; the system's if none."""

    @classmethod
    def read(cls, env: Environment) -> Self:
        """Read `SENSORPIPE_KAFKA_*`; problems are added to `env`."""
        prefix = "SENSORPIPE_KAFKA_"
        settings = cls(
            bootstrap=env.text(f"{prefix}BOOTSTRAP", "127.0.0.1:9092"),
            security=env.choice(f"{prefix}SECURITY", "PLAINTEXT", _PROTOCOLS),
            mechanism=env.choice(f"{prefix}MECHANISM", "PLAIN", _MECHANISMS),
            username=env.text(f"{prefix}USERNAME", "") or None,
            password=env.text(f"{prefix}PASSWORD", "") or None,
            ca_file=env.text(f"{prefix}CA_FILE", "") or None,
        )
        security = settings.security or ""
        if security.startswith("SASL") and not (settings.username and settings.password):
            env.problem(f"{prefix}USERNAME and {prefix}PASSWORD: must be set for {security}")
        if problem := tls.ca_file_problem(settings.ca_file):
            env.problem(f"{prefix}CA_FILE: {problem}")
        return settings

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments that every aiokafka client takes."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security,
        }
        if self.security.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        if self.security.endswith("SSL"):
            options["ssl_context"] = tls_context(self.ca_file)
        return options


async def ensure_topics(settings: KafkaSettings, *names: str) -> None:
    """Create the topics that do not exist; existing ones are left unchanged.

    Raises MissingTopicsError if the user may not create them, else KafkaError or OSError.
    """
    admin = AIOKafkaAdminClient(**settings.client_options())
    await admin.start()
    try:
        missing = sorted(set(names) - set(await admin.list_topics()))
        if not missing:
            return
        # aiokafka takes -1, the broker's default, only beside replica assignments, if empty ones
        topics = [NewTopic(name, PARTITIONS, -1, replica_assignments={}) for name in missing]
        answer = await admin.create_topics(topics)
        denied = [name for name, code, *_ in answer.topic_errors if code in _DENIED]
        if denied:
            raise MissingTopicsError(
                f"Kafka at {settings.bootstrap} has no topic {', '.join(denied)} that the user "
                f"{settings.username!r} may see, and does not let it create one: create it (with "
                "Strimzi by a KafkaTopic), or give the user its ACL where the topic exists"
            )
        for name, code, *detail in answer.topic_errors:
            if code not in (0, _TOPIC_EXISTS):
                raise for_code(code)(f"cannot create topic {name}: {detail}")
    finally:
        await admin.close()


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts the CAs in `ca_file`, or else those of the system.

    aiokafka keeps it for the lifetime of a client, so it reloads a changed file. Raises OSError
    if the file cannot be read or holds no certificate.
    """
    if ca_file is None:
        return _context(None)
    return tls.ReloadingContext(ca_file, lambda: _context(ca_file))


def _context(ca_file: str | None) -> ssl.SSLContext:
    context = tls.client_context(ca_file)
    context.sslobject_class = _OneWayShutdown
    return context


class _OneWayShutdown(ssl.SSLObject):
    """Sends close_notify, and does not wait for the peer's (RFC 8446, 6.1, allows that).

    Kafka sends none if it reads close_notify together with the request before it:
    SslTransportLayer leaves it to the next read, which never comes. A consumer that stops
    causes just that, since its next fetch is always in flight; uvloop would wait for 30 s
    (asyncio until the fetch's response fails), and aiokafka cannot set ssl_shutdown_timeout.
    Nothing is lost: all other requests of aiokafka are answered by then.
    """

    def unwrap(self) -> None:
        with suppress(ssl.SSLWantReadError):  # ours was sent; only the peer's is missing
            super().unwrap()
